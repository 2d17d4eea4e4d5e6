/* SPDX-License-Identifier: ISC */

/*
 * Fuzzes templates in logs, in JSON and in headers. The input: a template, then values, each with
 * its length in a byte before it; the variables that peers choose take the values in turn. Found
 * out: that a value in a log or in JSON ends its quotes or its line, or cannot be read back; that
 * one in a header ends its quotes or the line; that a server name holds what a host name does not;
 * that a template is not the sum of its parts.
 */

#include "template.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define VALUES_MAX 16
#define OUTPUT_MAX (1 << 17)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum template_place places[] = {
	TEMPLATE_IN_HEADER,
	TEMPLATE_IN_LOG,
	TEMPLATE_IN_JSON,
};
#define PLACES (sizeof places / sizeof places[0])

enum {
	HEADERS = TEMPLATE_IN_HEADER,
	LOGS = TEMPLATE_IN_LOG | TEMPLATE_IN_JSON,
	ANYWHERE = HEADERS | LOGS,
};

static struct facts facts;
static struct facts_cert cert;
static struct template_exchange exchange;
static struct h1_head head;

/* What a peer chose. */
static const struct text {
	const char *name;
	struct span *value;
	size_t max;
	int places;
	bool word; /* holds no space in a log */
} texts[] = {
	{"request", &exchange.request_line, 255, LOGS, false},
	{"sni", &facts.sni, FACTS_NAME_MAX, ANYWHERE, true},
	{"user_agent", &exchange.user_agent, 255, LOGS, false},
	{"client_cert_subject", &cert.subject, FACTS_DN_MAX, ANYWHERE, false},
	{"client_cert_pem", &cert.pem, FACTS_PEM_MAX, HEADERS, false},
	{"alpn", &facts.alpn, FACTS_ALPN_MAX, ANYWHERE, true},
	{"referer", &exchange.referer, 255, LOGS, false},
	{"client_cert_issuer", &cert.issuer, FACTS_DN_MAX, ANYWHERE, false},
	{"client_cert_serial", &cert.serial, FACTS_SERIAL_MAX, ANYWHERE, false},
	{"client_cert_sha256", &cert.sha256, 64, ANYWHERE, false},
	{"client_cert_rfc9440", &cert.rfc9440, FACTS_PEM_MAX, HEADERS, false},
	{"client_cert_chain", &cert.chain, FACTS_CHAIN_MAX, HEADERS, false},
	{"client_cert_verify", &facts.client_verify, FACTS_VERIFY_MAX, ANYWHERE, true},
	{"tls_version", &facts.tls_version, FACTS_TLS_MAX, ANYWHERE, true},
	{"tls_group", &facts.group, FACTS_TLS_MAX, ANYWHERE, true},
	{"tls_cipher", &facts.tls_cipher, FACTS_TLS_MAX, ANYWHERE, true},
	{"time", &exchange.time, 255, LOGS, false},
	{"time_iso8601", &exchange.iso_time, 255, LOGS, false},
	{"backend", &exchange.backend, TEMPLATE_BACKEND_MAX, LOGS, true},
	{"host", &exchange.host, 255, LOGS, true},
	{"service", &exchange.service, TEMPLATE_SERVICE_MAX, LOGS, true},
};
#define TEXTS (sizeof texts / sizeof texts[0])

#define TRACE_ID "30430844290647b62b3f3cd90d580c41" /* of request 42 of the connection "id" */

/* What is ours. An empty text: a number of this input. */
static const struct ours {
	const char *name, *text;
	int places;
} ours[] = {
	{"client_ip", "192.0.2.7", ANYWHERE},
	{"client_port", "51234", ANYWHERE},
	{"peer_ip", "2001:db8::1", ANYWHERE},
	{"proto", "https", ANYWHERE},
	{"server_ip", "unknown", ANYWHERE},
	{"server_port", "0", ANYWHERE},
	{"session_reused", "1", ANYWHERE},
	{"forwarded", "for=192.0.2.7;by=unknown;proto=https", HEADERS},
	{"request_id", "id-2a", ANYWHERE},
	{"trace_id", TRACE_ID, ANYWHERE},
	{"traceparent", "00-" TRACE_ID "-f2e921a02e885c59-01", HEADERS},
	{"bytes", "", LOGS},
	{"status", "", LOGS},
	{"time_connect", "", LOGS},
	{"time_first_byte", "", LOGS},
	{"time_total", "", LOGS},
};
#define OURS (sizeof ours / sizeof ours[0])

struct text_buffer {
	char p[OUTPUT_MAX];
	size_t len;
};

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "WRONG: %s\n", what);
	abort();
}

static void append(struct text_buffer *b, const char *p, size_t len)
{
	must(len <= OUTPUT_MAX - b->len, "the harness has too little room");
	if (len != 0)
		memcpy(b->p + b->len, p, len);
	b->len += len;
}

static struct template_source source(enum template_place place)
{
	return (struct template_source){
		.facts = &facts,
		.head = place == TEMPLATE_IN_HEADER ? &head : NULL,
		.exchange = place == TEMPLATE_IN_HEADER ? NULL : &exchange,
		.number = 42,
		.place = place,
	};
}

/* --- a value by itself ------------------------------------------------------------------------ */

static unsigned hex(const char *p)
{
	const char digits[] = "0123456789ABCDEF";
	const char *high = memchr(digits, p[0], 16), *low = memchr(digits, p[1], 16);

	must(high && low, "an escape without its two digits");
	return (unsigned)(high - digits) * 16 + (unsigned)(low - digits);
}

/* Reads back what stands between quotes, as a reader of logs or of JSON does. */
static void unescape(struct span s, enum template_place place, struct text_buffer *b)
{
	struct span escape = place == TEMPLATE_IN_JSON ? SPAN("u00") : SPAN("x");

	b->len = 0;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];

		must(c >= ' ' && c <= '~', "a byte that is not printable ASCII");
		must(c != '"', "a quote without an escape");
		if (c != '\\') {
			append(b, &c, 1);
			continue;
		}
		must(++i < s.len, "half an escape");
		c = s.p[i];
		if (c != '"' && c != '\\') {
			must(s.len - i >= escape.len + 2 &&
				     memcmp(s.p + i, escape.p, escape.len) == 0,
			     "an escape that the place does not have");
			c = (char)hex(s.p + i + escape.len);
			i += escape.len + 1;
		}
		append(b, &c, 1);
	}
}

static bool is(const struct text *t, const char *name)
{
	return strcmp(t->name, name) == 0;
}

/* The names of RFC 4514 bring their own backslashes, which here need not be in pairs. */
static bool is_dn(const struct text *t)
{
	return is(t, "client_cert_subject") || is(t, "client_cert_issuer");
}

static bool stays(const struct text *t, char c)
{
	bool host = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    c == '-' || c == '.' || c == '_';

	if (is(t, "sni"))
		return host;
	if (is(t, "client_cert_pem"))
		return host || c == '~';
	if (!is_dn(t) && (c == '"' || c == '\\'))
		return false;
	return (unsigned char)c >= ' ' && c != 0x7f;
}

/* With percents for all that may not stay: in a header, and a server name anywhere. */
static void encode(const struct text *t, struct text_buffer *b)
{
	char code[4];

	b->len = 0;
	for (size_t i = 0; i < t->value->len; i++) {
		char c = t->value->p[i];

		snprintf(code, sizeof code, "%%%02X", (unsigned)(unsigned char)c);
		if (!stays(t, c))
			append(b, code, 3);
		else
			append(b, &c, 1);
	}
}

static void check_text(const struct text *t, enum template_place place, struct span written)
{
	static struct text_buffer b;

	if (place == TEMPLATE_IN_HEADER || (is(t, "sni") && t->value->len != 0)) {
		encode(t, &b);
		must(span_eq(written, span_of(b.p, b.len)), "a value in a header");
		for (size_t i = 0; i < written.len; i++) {
			must((unsigned char)written.p[i] >= ' ' && written.p[i] != 0x7f,
			     "a control in a header");
			must(is_dn(t) || !memchr("\"\\", written.p[i], 2), "quotes are ended");
		}
		return;
	}
	unescape(written, place, &b);
	if (place == TEMPLATE_IN_LOG && t->word)
		must(!memchr(written.p, ' ', written.len), "a word with a space");
	if (place == TEMPLATE_IN_LOG && t->value->len == 0)
		must(span_eq(written, SPAN("-")), "an empty value");
	else
		must(span_eq(*t->value, span_of(b.p, b.len)), "a value is not read back");
}

/* What a variable alone becomes, judged, and appended to b. */
static void append_text(const struct text *t, enum template_place place, struct text_buffer *b)
{
	static struct template_pool pools[PLACES];
	static struct template templates[PLACES][TEXTS];
	struct template_source from = source(place);
	size_t which = place == TEMPLATE_IN_HEADER ? 0 : place == TEMPLATE_IN_LOG ? 1 : 2;
	struct template *template = &templates[which][t - texts];
	char name[32];
	int len = snprintf(name, sizeof name, "%%{%s}", t->name);
	struct out out = out_of(b->p + b->len, OUTPUT_MAX - b->len);

	if (template->count == 0)
		must(!template_compile(&pools[which], span_of(name, (size_t)len), place, template),
		     "a variable alone is refused");
	template_put(&pools[which], template, &from, &out);
	must(!out.full, "the harness has too little room");
	must(place != TEMPLATE_IN_HEADER || out.len <= template->max, "longer than announced");
	check_text(t, place, out_span(&out));
	b->len += out.len;
}

/* --- a template ------------------------------------------------------------------------------- */

static void append_ours(const struct ours *o, enum template_place place, struct text_buffer *b)
{
	const uint64_t million = 1000000;
	char number[64] = "";

	if (strcmp(o->name, "bytes") == 0)
		snprintf(number, sizeof number, "%" PRIu64, exchange.bytes);
	else if (strcmp(o->name, "status") == 0)
		snprintf(number, sizeof number,
			 exchange.status == 0 && place == TEMPLATE_IN_LOG ? "%03d" : "%d",
			 exchange.status);
	else if (strcmp(o->name, "time_total") == 0)
		snprintf(number, sizeof number, "%" PRIu64 ".%06" PRIu64, exchange.total / million,
			 exchange.total % million);
	else if (strcmp(o->name, "time_connect") == 0)
		snprintf(number, sizeof number, "%" PRIu64 ".%06" PRIu64,
			 exchange.connect / million, exchange.connect % million);
	else if (strcmp(o->name, "time_first_byte") == 0)
		snprintf(number, sizeof number, "%" PRIu64 ".%06" PRIu64,
			 exchange.first_byte / million, exchange.first_byte % million);
	else
		snprintf(number, sizeof number, "%s", o->text);
	append(b, number, strlen(number));
}

/* By its name; false if there is none in this place. */
static bool append_variable(struct span name, enum template_place place, struct text_buffer *b)
{
	for (size_t i = 0; i < TEXTS; i++)
		if ((texts[i].places & (int)place) &&
		    span_eq(name, span_of(texts[i].name, strlen(texts[i].name)))) {
			append_text(&texts[i], place, b);
			return true;
		}
	for (size_t i = 0; i < OURS; i++)
		if ((ours[i].places & (int)place) &&
		    span_eq(name, span_of(ours[i].name, strlen(ours[i].name)))) {
			append_ours(&ours[i], place, b);
			return true;
		}
	return false;
}

static bool begins(struct span s, const char *word)
{
	return s.len >= strlen(word) && memcmp(s.p, word, strlen(word)) == 0;
}

/* A template as plainly as can be. False: it is none. */
static bool expand(struct span s, enum template_place place, struct text_buffer *b,
		   const struct template_pool *pool, const struct template *t)
{
	bool of_cert = false, void_without_cert = false;

	b->len = 0;
	while (s.len != 0) {
		const char *end = memchr(s.p, '}', s.len);
		struct span name = {0};

		if (begins(s, "%{") && end) {
			name = span_of(s.p + 2, (size_t)(end - s.p) - 2);
			if (!append_variable(name, place, b))
				return false;
			must(!pool || template_uses(pool, name), "a variable is not known as used");
			of_cert |= begins(name, "client_cert_");
			void_without_cert |=
				begins(name, "client_cert_") && !begins(name, "client_cert_verify");
			span_skip(&s, name.len + 3);
			continue;
		}
		if (s.p[0] == '%' && !begins(s, "%%"))
			return false;
		append(b, s.p, 1);
		span_skip(&s, begins(s, "%%") ? 2 : 1);
	}
	must(!t || (t->of_cert == of_cert && t->void_without_cert == void_without_cert),
	     "what a template tells of the certificate");
	return true;
}

static void check_place(struct span text, enum template_place place)
{
	static struct text_buffer expected;
	static char buffer[OUTPUT_MAX];
	static struct template_pool pool;
	struct template_source from = source(place);
	struct out out = out_of(buffer, sizeof buffer), less;
	struct template t;
	const char *why;

	pool = (struct template_pool){0};
	why = template_compile(&pool, text, place, &t);
	if (why) {
		must(!expand(text, place, &expected, NULL, NULL), "a template is refused");
		return;
	}
	must(expand(text, place, &expected, &pool, &t), "a template is taken");
	template_put(&pool, &t, &from, &out);
	must(!out.full && span_eq(out_span(&out), span_of(expected.p, expected.len)),
	     "a template is not the sum of its parts");
	must(place != TEMPLATE_IN_HEADER || out.len <= t.max, "longer than announced");
	if (expected.len == 0)
		return;
	less = out_of(buffer, expected.len - 1);
	template_put(&pool, &t, &from, &less);
	must(less.full && less.len < expected.len &&
		     span_eq(out_span(&less), span_of(expected.p, less.len)),
	     "a template that does not fit");
}

/* --- the input -------------------------------------------------------------------------------- */

/* A piece with its length before it; what there is, if that is less. */
static struct span take(struct span *in)
{
	struct span piece = {"", 0};
	size_t len;

	if (in->len == 0)
		return piece;
	len = (unsigned char)in->p[0];
	span_skip(in, 1);
	piece = span_of(in->p, len < in->len ? len : in->len);
	span_skip(in, piece.len);
	return piece;
}

static void choose(struct span in)
{
	struct span value[VALUES_MAX] = {{"", 0}};
	uint64_t number = 0;
	size_t count = 0;

	while (in.len != 0 && count < VALUES_MAX)
		value[count++] = take(&in);
	if (count == 0)
		count = 1;
	facts = (struct facts){
		.client = {.family = FACTS_IPV4, .port = 51234, .text_len = 9, .text = "192.0.2.7"},
		.peer = {.family = FACTS_IPV6, .text_len = 11, .text = "2001:db8::1"},
		.session_reused = true,
		.conn_id = SPAN("id"),
	};
	for (size_t i = 0; i < TEXTS; i++) {
		struct span s = value[i % count];

		*texts[i].value = span_of(s.p, s.len < texts[i].max ? s.len : texts[i].max);
	}
	facts.client_cert = cert.subject.len != 0 ? &cert : NULL;
	if (!facts.client_cert)
		cert = (struct facts_cert){0};
	memcpy(&number, value[0].p, value[0].len < 8 ? value[0].len : 8);
	exchange.trace_id = SPAN(TRACE_ID);
	exchange.bytes = number;
	exchange.first_byte = number >> 13;
	exchange.total = ~number;
	exchange.connect = number >> 7;
	exchange.status = (int)(number % 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of((const char *)data, size), text = take(&in);

	choose(in);
	for (size_t i = 0; i < PLACES; i++) {
		static struct text_buffer alone;

		for (size_t j = 0; j < TEXTS; j++) {
			alone.len = 0;
			if (texts[j].places & (int)places[i])
				append_text(&texts[j], places[i], &alone);
		}
		check_place(text, places[i]);
	}
	return 0;
}
