/* SPDX-License-Identifier: ISC */

/*
 * Fuzzes the compiler of header rules and its output. The input: lines, each an option by its
 * first character and the option's value; the first empty line ends them, and the rest is what
 * the client chose as server name and protocol.
 */

#include "rewrite.h"

#include <stdlib.h>

#include "strict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct span options[] = {
	{"xForwardedFor", 13},
	{"httpSetHeader", 13},
	{"httpAddHeader", 13},
	{"httpDelHeader", 13},
};

static const char request[] = "GET / HTTP/1.1\r\n"
			      "Host: a\r\n"
			      "A:b\r\n"
			      "x-forwarded-for: 203.0.113.9\r\n"
			      "X_Forwarded_For: 203.0.113.9\r\n"
			      "X-Forwarded-For:\r\n"
			      "Cookie: c=d\r\n"
			      "\r\n";

/* One option; refused ones must leave no trace. */
static void compile(struct rewrite *rw, struct span line)
{
	static struct rewrite before;
	const char *why = NULL;
	size_t which = (size_t)(unsigned char)line.p[0] % (sizeof options / sizeof options[0]);

	span_skip(&line, 1);
	before = *rw;
	if (rewrite_option(rw, options[which], line, &why) == 0) {
		if (why)
			abort();
		return;
	}
	if (!why || memcmp(rw, &before, sizeof before) != 0)
		abort();
}

static void compile_lines(struct rewrite *rw, struct span *in)
{
	while (in->len != 0) {
		const char *lf = memchr(in->p, '\n', in->len);
		size_t len = lf ? (size_t)(lf - in->p) : in->len;

		if (len != 0)
			compile(rw, span_of(in->p, len));
		span_skip(in, len + (lf != NULL));
		if (len == 0)
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rewrite rw;
	static struct h1_head head;
	static char buffer[1 << 20];
	struct facts facts = {
		.client = {.family = FACTS_IPV4, .text_len = 9, .text = "192.0.2.7"},
		.tls_version = SPAN("TLSv1.3"),
	};
	struct out out = out_of(buffer, sizeof buffer);
	struct span in = span_of((const char *)data, size);
	size_t written;

	memset(&rw, 0, sizeof rw); /* also the padding, which is compared */
	compile_lines(&rw, &in);
	facts.sni = span_of(in.p, in.len < FACTS_NAME_MAX ? in.len : FACTS_NAME_MAX);
	facts.alpn = span_of(in.p, in.len < FACTS_ALPN_MAX ? in.len : FACTS_ALPN_MAX);
	if (h1_head(SPAN(request), H1_FIELDS_MAX, h1_request_line, &head) != 0)
		abort();
	rewrite_request(&rw, &facts, &head, 1, &out);
	if (out.full || out.len > sizeof request - 1 + rewrite_insertion(&rw))
		abort();
	written = strict_head(buffer, out.len, STRICT_ANY, "");
	if (written != out.len)
		abort();
	return 0;
}
