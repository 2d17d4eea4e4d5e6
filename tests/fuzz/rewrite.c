/* SPDX-License-Identifier: ISC */

/*
 * Fuzzes the compiler of header rules and its output. The input: lines, each an option by its
 * first character and the option's value; the first empty line ends them, and the rest is what
 * the client chose as server name and protocol and, unless it is of even length, in a certificate.
 */

#include "rewrite.h"

#include <stdlib.h>

#include "strict.h"

#define INPUT_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct span options[] = {
	{"xForwardedFor", 13},
	{"httpSetHeader", 13},
	{"httpAddHeader", 13},
	{"httpDelHeader", 13},
};

#define FIELDS                             \
	"Host: a\r\n"                      \
	"A:b\r\n"                          \
	"x-forwarded-for: 203.0.113.9\r\n" \
	"X_Forwarded_For: 203.0.113.9\r\n" \
	"X-Forwarded-For:\r\n"             \
	"Cookie: c=d\r\n"                  \
	"Content-Length: 3\r\n"            \
	"\r\n"

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

static struct span cut(struct span s, size_t max)
{
	return span_of(s.p, s.len < max ? s.len : max);
}

static void choose(struct facts *facts, struct facts_cert *cert, struct span s)
{
	facts->sni = cut(s, FACTS_NAME_MAX);
	facts->alpn = cut(s, FACTS_ALPN_MAX);
	facts->client_verify = cut(s, FACTS_VERIFY_MAX);
	if (s.len % 2 == 0)
		return;
	cert->subject = cert->issuer = cut(s, FACTS_DN_MAX);
	cert->serial = cut(s, FACTS_SERIAL_MAX);
	cert->sha256 = cut(s, 64);
	cert->pem = cert->rfc9440 = cut(s, FACTS_PEM_MAX);
	cert->chain = cut(s, FACTS_CHAIN_MAX);
	facts->client_cert = cert;
}

static bool holds(struct span text, const char *part)
{
	return memmem(text.p, text.len, part, strlen(part));
}

/* Sound, with its framing, no longer than announced, and nowhere the host that a rule replaced. */
static void check(const struct rewrite *rw, const struct facts *facts, struct span request)
{
	static struct h1_head head;
	static char buffer[1 << 20];
	struct out out = out_of(buffer, sizeof buffer);

	if (h1_head_parse(request, H1_FIELDS_MAX, 0, &head) != 0)
		abort();
	rewrite_request(rw, facts, &head, 1, &out);
	if (out.full || out.len > request.len + rewrite_insertion(rw))
		abort();
	if (strict_head(buffer, out.len, STRICT_ANY, "") != out.len)
		abort();
	if (!holds(out_span(&out), "\r\nContent-Length: 3\r\n"))
		abort();
	if (memcmp(buffer, "POST /", 6) != 0 && !holds(out_span(&out), "\r\nHost: a\r\n"))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rewrite rw;
	struct facts facts = {
		.client = {.family = FACTS_IPV4, .text_len = 9, .text = "192.0.2.7"},
		.tls_version = SPAN("TLSv1.3"),
	};
	struct facts_cert cert = {0};
	const struct span requests[] = {
		SPAN("POST / HTTP/1.1\r\n" FIELDS),
		SPAN("POST http://a?b HTTP/1.1\r\n" FIELDS),
	};
	struct span in = span_of((const char *)data, size);

	if (size > INPUT_MAX)
		return 0;
	memset(&rw, 0, sizeof rw); /* also the padding, which is compared */
	compile_lines(&rw, &in);
	choose(&facts, &cert, in);
	for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
		check(&rw, &facts, requests[i]);
	return 0;
}
