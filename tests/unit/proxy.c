/* SPDX-License-Identifier: ISC */
#include "proxy.h"
#include "proxy_decode.h"
#include "proxy_encode.h"

#include "harness.h"
#include "ip.h"

static struct facts_addr address(enum facts_family family, const char *text, uint16_t port)
{
	struct facts_addr a = {.family = family, .port = port, .text_len = (uint8_t)strlen(text)};

	memcpy(a.text, text, strlen(text));
	return a;
}

static void check_line(struct facts_addr from, struct facts_addr to, const char *expected)
{
	static struct guard guard;
	const struct facts facts = {.client = from, .server = to};
	const struct proxy v1 = {.version = 1};
	uint32_t dropped;
	struct out out;

	if (!guard.end)
		guard = guard_new(PROXY_V1_MAX);
	out = out_of(guard.end - PROXY_V1_MAX, PROXY_V1_MAX);
	assert_true(proxy_encode(&v1, &facts, &out, &dropped));
	assert_false(out.full);
	assert_bytes(out_span(&out), span_str(expected), "PROXY v1 line");
}

static void check_none(struct facts_addr from, struct facts_addr to)
{
	const struct facts facts = {.client = from, .server = to};
	const struct proxy v1 = {.version = 1};
	char buffer[PROXY_V1_MAX];
	struct out out = out_of(buffer, sizeof buffer);
	uint32_t dropped;

	assert_false(proxy_encode(&v1, &facts, &out, &dropped));
	assert_int_equal(out.len, 0);
	assert_false(out.full);
}

static void both_families(void **state)
{
	(void)state;
	check_line(address(FACTS_IPV4, "192.0.2.7", 51234),
		   address(FACTS_IPV4, "198.51.100.1", 443),
		   "PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n");
	check_line(address(FACTS_IPV6, "2001:db8::7", 51234), address(FACTS_IPV6, "::1", 443),
		   "PROXY TCP6 2001:db8::7 ::1 51234 443\r\n");
	check_line(address(FACTS_IPV4, "1.2.3.4", 1), address(FACTS_IPV4, "4.3.2.1", 0),
		   "PROXY TCP4 1.2.3.4 4.3.2.1 1 0\r\n");
}

static void the_longest_line_fits(void **state)
{
	(void)state;
	check_line(address(FACTS_IPV6, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535),
		   address(FACTS_IPV6, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 65535),
		   "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		   "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe 65535 65535\r\n");
}

static void what_version_1_cannot_name(void **state)
{
	const struct facts_addr v4 = address(FACTS_IPV4, "192.0.2.7", 51234);
	const struct facts_addr v6 = address(FACTS_IPV6, "2001:db8::1", 443);
	const struct facts_addr none = {0};

	(void)state;
	check_none(none, v4);
	check_none(v6, none);
	check_none(none, none);
}

static void families_are_made_one(void **state)
{
	const struct facts_addr v4 = address(FACTS_IPV4, "192.0.2.7", 51234);
	const struct facts_addr v6 = address(FACTS_IPV6, "2001:db8::1", 443);

	(void)state;
	check_line(v4, v6, "PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 51234 443\r\n");
	check_line(v6, v4, "PROXY TCP6 2001:db8::1 ::ffff:192.0.2.7 443 51234\r\n");
}

/* --- version 2 out -----------------------------------------------------------------------------
 */

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define INET4 "\xc0\0\2\7\xc6\x33\x64\1\xc8\x22\1\xbb" /* 192.0.2.7:51234 198.51.100.1:443 */

static struct facts two_v4(void)
{
	struct facts facts = {.client = address(FACTS_IPV4, "192.0.2.7", 51234),
			      .server = address(FACTS_IPV4, "198.51.100.1", 443),
			      .tls_version = SPAN("TLSv1.3")};

	memcpy(facts.client.ip, "\xc0\0\2\7", 4);
	memcpy(facts.server.ip, "\xc6\x33\x64\1", 4);
	return facts;
}

static void option(struct proxy *p, const char *list)
{
	const char *why;

	if (proxy_option(p, span_str(list), &why) != 0)
		fail_msg("%s: %s", list, why);
}

static void check_v2(const struct proxy *p, const struct facts *facts, struct span expected,
		     uint32_t expected_dropped)
{
	char buffer[PROXY_HEADER_MAX];
	struct out out = out_of(buffer, sizeof buffer);
	uint32_t dropped;

	assert_true(proxy_encode(p, facts, &out, &dropped));
	assert_bytes(out_span(&out), expected, "PROXY v2 header");
	assert_int_equal(dropped, expected_dropped);
}

static void addresses_of_version_2(void **state)
{
	const struct proxy p = {.version = 2, .max_length = 536};
	struct facts facts = two_v4();

	(void)state;
	check_v2(&p, &facts, SPAN(SIGNATURE "\x21\x11\0\x0c" INET4), 0);
	facts.server.family = FACTS_IPV6;
	memcpy(facts.server.ip, "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	check_v2(&p, &facts,
		 SPAN(SIGNATURE "\x21\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\7"
				"\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1\xc8\x22\1\xbb"),
		 0);
	facts.client.family = FACTS_NONE;
	check_v2(&p, &facts, SPAN(SIGNATURE "\x20\0\0\0"), 0);
}

static void mapped_addresses(void **state)
{
	struct proxy p = {.version = 2, .max_length = 536, .keep_mapped = 1};
	struct facts facts = two_v4();

	(void)state;
	check_v2(&p, &facts, SPAN(SIGNATURE "\x21\x11\0\x0c" INET4), 0);
	facts.client.mapped = facts.server.mapped = true;
	check_v2(&p, &facts,
		 SPAN(SIGNATURE "\x21\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\7"
				"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\1\xc8\x22\1\xbb"),
		 0);
	p.keep_mapped = 0;
	check_v2(&p, &facts, SPAN(SIGNATURE "\x21\x11\0\x0c" INET4), 0);
}

static void tlvs(void **state)
{
	struct proxy p = {.version = 2, .max_length = 536};
	const struct facts_cert cert = {.cn = SPAN("me"), .der = SPAN("\x30\0")};
	struct facts facts = two_v4();

	(void)state;
	facts.alpn = SPAN("h2");
	facts.sni = SPAN("a.test");
	facts.conn_id = SPAN("id");
	option(&p, "unique-id, alpn,authority");
	option(&p, "0xE3:hi, netns:blue, noop:2");
	check_v2(&p, &facts,
		 SPAN(SIGNATURE "\x21\x11\0\x30" INET4 "\1\0\2h2\2\0\6a.test\5\0\2id\x30\0\4blue"
				"\xe3\0\2hi\4\0\2\0\0"),
		 0);
	p = (struct proxy){.version = 2, .max_length = 536};
	option(&p, "cn, client-cert, cipher, sig-alg, key-alg, group, sig-scheme");
	facts.tls_cipher = SPAN("C");
	facts.sig_alg = SPAN("S");
	facts.key_alg = SPAN("K");
	facts.group = SPAN("G");
	facts.sig_scheme = SPAN("H");
	check_v2(&p, &facts, /* no certificate: verify says so */
		 SPAN(SIGNATURE "\x21\x11\0\x32" INET4 "\x20\0\x23\1\0\0\0\1\x21\0\7TLSv1.3"
				"\x23\0\1C\x24\0\1S\x25\0\1K\x26\0\1G\x27\0\1H"),
		 0);
	facts.client_cert = &cert;
	facts.cert_in_session = facts.cert_on_connection = true;
	option(&p, "ssl");
	check_v2(&p, &facts,
		 SPAN(SIGNATURE "\x21\x11\0\x3c" INET4 "\x20\0\x2d\7\0\0\0\0\x21\0\7TLSv1.3"
				"\x22\0\2me\x23\0\1C\x24\0\1S\x25\0\1K\x26\0\1G\x27\0\1H"
				"\x28\0\2\x30\0"),
		 0);
	facts.cert_on_connection = false; /* resumed, and not verified */
	facts.verify_code = 0x01020304;
	p.tlvs = UINT32_C(1) << PROXY_SSL;
	check_v2(&p, &facts,
		 SPAN(SIGNATURE "\x21\x11\0\x1e" INET4 "\x20\0\x0f\5\1\2\3\4\x21\0\7TLSv1.3"), 0);
	facts.plain = true; /* a client without TLS has no such TLV */
	check_v2(&p, &facts, SPAN(SIGNATURE "\x21\x11\0\x0c" INET4), 0);
}

/* The CRC was computed by another implementation. */
static void the_crc(void **state)
{
	struct proxy p = {.version = 2, .max_length = 536};
	struct facts facts = two_v4();

	(void)state;
	option(&p, "crc32c");
	check_v2(&p, &facts, SPAN(SIGNATURE "\x21\x11\0\x13" INET4 "\3\0\4\xf1\xab\x89\x85"), 0);
}

static void what_does_not_fit_goes_in_order(void **state)
{
	struct proxy p = {.version = 2, .max_length = 28 + 5 + 5};
	struct facts facts = two_v4();
	const uint32_t noop = UINT32_C(1) << PROXY_NOOP, alpn = UINT32_C(1) << PROXY_ALPN;

	(void)state;
	facts.alpn = SPAN("h2");
	facts.conn_id = SPAN("id");
	option(&p, "alpn, unique-id, noop:0");
	check_v2(&p, &facts, SPAN(SIGNATURE "\x21\x11\0\x16" INET4 "\1\0\2h2\5\0\2id"), noop);
	p.max_length--;
	check_v2(&p, &facts, SPAN(SIGNATURE "\x21\x11\0\x11" INET4 "\5\0\2id"), noop | alpn);
	p.max_length = 41;
	check_v2(&p, &facts, SPAN(SIGNATURE "\x21\x11\0\x19" INET4 "\1\0\2h2\5\0\2id\4\0\0"), 0);
}

static void what_came_in_goes_out(void **state)
{
	struct proxy p = {.version = 2, .max_length = 536, .pass = true};
	struct facts facts = two_v4();

	(void)state;
	facts.alpn = SPAN("h2");
	facts.tlvs = SPAN("\1\0\1x\2\0\1y\3\0\4abcd\4\0\0\xe5\0\1z\xe6\0\1w");
	option(&p, "alpn, 0xE6:q");
	check_v2(&p, &facts,
		 SPAN(SIGNATURE "\x21\x11\0\x1d" INET4 "\1\0\2h2\xe6\0\1q\2\0\1y\xe5\0\1z"), 0);
}

static void bad_options(void **state)
{
	static const char *const lists[] = {
		"nothing", "alpn:x", "0xD0:x", "0xF0:x",    "0xEG:x", "0xE",
		"noop",	   "noop:",  "noop:x", "noop:1025", "netns",  "alpn, ssl, what"};
	struct proxy p = {.version = 2}, before = p;
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		assert_int_equal(proxy_option(&p, span_str(lists[i]), &why), -1);
		assert_non_null(why);
		assert_memory_equal(&p, &before, sizeof p);
	}
}

/* --- in: tests/proxy/headers ------------------------------------------------------------------ */

static int from_guard(struct span in, struct proxy_header *h)
{
	static struct guard guard;

	if (!guard.end)
		guard = guard_new(8192);
	return proxy_decode(guard_place(&guard, in), h);
}

/* The escapes of tests/wire. */
static void unescape(const char *p, struct text *bytes)
{
	static const char names[] = "rn0t\\", values[] = "\r\n\0\t\\";

	for (; *p != '\0'; p++) {
		const char *name = *p == '\\' ? strchr(names, *++p) : NULL;
		char c = *p;

		if (name) {
			c = values[name - names];
		} else if (p[-1] == '\\' && *p == 'x') {
			c = (char)(text_hex_digit(p[1]) << 4 | text_hex_digit(p[2]));
			p += 2;
		}
		text_add(bytes, span_of(&c, 1));
	}
}

static const char *error_name(int rc)
{
	static const char *const names[] = {"",
#define X(id, section, text) #id,
					    PROXY_ERRORS(X)
#undef X
	};
	static char lower[32];

	snprintf(lower, sizeof lower, "bad %s", names[-rc]);
	for (char *c = lower; *c != '\0'; c++)
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c | 0x20 : *c);
	return lower;
}

static void put_address(struct text *text, const struct facts_addr *addr)
{
	for (size_t i = 0; i < (addr->family == FACTS_IPV4 ? 4 : 16); i++)
		text_printf(text, "%02x", addr->ip[i]);
	text_printf(text, " %u ", addr->port);
}

/* What the decoder made of it, in the words of the file; addresses in hexadecimal. */
static void describe(int rc, const struct proxy_header *h, struct text *text)
{
	if (rc < 0)
		text_printf(text, "%s", error_name(rc));
	else if (rc == 0)
		text_printf(text, "incomplete");
	else if (h->local)
		text_printf(text, "local");
	else if (h->client.family == FACTS_NONE)
		text_printf(text, "unix");
	else {
		text_printf(text, "good ");
		put_address(text, &h->client);
		put_address(text, &h->server);
	}
}

/* "ADDRESS PORT " from the front of words; what is behind it. */
static const char *next_word(const char *words, char addr[static 64], unsigned *port)
{
	size_t len = strcspn(words, " ");
	char *end;

	assert_true(len < 64);
	memcpy(addr, words, len);
	addr[len] = '\0';
	*port = (unsigned)strtoul(words + len, &end, 10);
	return *end == ' ' ? end + 1 : end;
}

/* The file's words, with addresses in hexadecimal. */
static void expected_words(const char *words, struct text *text)
{
	char client[64], server[64];
	struct facts_addr a = {0}, b = {0};
	unsigned from, to;

	if (strncmp(words, "good ", 5) != 0) {
		text_printf(text, "%s", words);
		return;
	}
	words = next_word(words + 5, client, &from);
	next_word(words, server, &to);
	a.family = b.family = strchr(client, ':') ? FACTS_IPV6 : FACTS_IPV4;
	assert_true(a.family == FACTS_IPV6 ? ip_parse_v6(span_str(client), a.ip) &&
						     ip_parse_v6(span_str(server), b.ip)
					   : ip_parse_v4(span_str(client), a.ip) &&
						     ip_parse_v4(span_str(server), b.ip));
	a.port = (uint16_t)from;
	b.port = (uint16_t)to;
	text_printf(text, "good ");
	put_address(text, &a);
	put_address(text, &b);
}

/* However many of its bytes have come: nothing yet, or what all of them give. */
static void check_header(struct span in, const char *words, const char *line)
{
	struct text expected = {0}, actual = {0};
	struct proxy_header h;
	bool decided = false;

	expected_words(words, &expected);
	for (size_t n = 0; n <= in.len; n++) {
		int rc = from_guard(span_of(in.p, n), &h);

		if (rc == 0 && !decided)
			continue;
		decided = true;
		if (rc > 0)
			assert_int_equal(rc, in.len);
		actual.len = 0;
		describe(rc, &h, &actual);
		assert_bytes(text_span(&actual), text_span(&expected), line);
	}
	assert_int_equal(decided, strcmp(words, "incomplete") != 0);
	text_free(&expected);
	text_free(&actual);
}

static void headers_of_the_corpus(void **state)
{
	const char *srcdir = getenv("srcdir");
	char path[4096], *line = NULL;
	size_t size = 0, count = 0;
	FILE *file;

	(void)state;
	snprintf(path, sizeof path, "%s/tests/proxy/headers", srcdir ? srcdir : ".");
	file = fopen(path, "r");
	assert_non_null(file);
	while (getline(&line, &size, file) > 0) {
		char *bar = strstr(line, " | ");
		struct text bytes = {0};

		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || !bar)
			continue;
		*bar = '\0';
		unescape(bar + 3, &bytes);
		check_header(text_span(&bytes), line, bar + 3);
		text_free(&bytes);
		count++;
	}
	free(line);
	fclose(file);
	assert_true(count > 150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_families),
		cmocka_unit_test(the_longest_line_fits),
		cmocka_unit_test(what_version_1_cannot_name),
		cmocka_unit_test(families_are_made_one),
		cmocka_unit_test(addresses_of_version_2),
		cmocka_unit_test(mapped_addresses),
		cmocka_unit_test(tlvs),
		cmocka_unit_test(the_crc),
		cmocka_unit_test(what_does_not_fit_goes_in_order),
		cmocka_unit_test(what_came_in_goes_out),
		cmocka_unit_test(bad_options),
		cmocka_unit_test(headers_of_the_corpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
