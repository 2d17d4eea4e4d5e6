/* SPDX-License-Identifier: ISC */
#include "proxy.h"

#include "harness.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_families),
		cmocka_unit_test(the_longest_line_fits),
		cmocka_unit_test(what_version_1_cannot_name),
		cmocka_unit_test(families_are_made_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
