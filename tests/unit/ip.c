/* SPDX-License-Identifier: ISC */
#include "ip.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "harness.h"

static struct facts_addr address(const char *text)
{
	struct facts_addr addr = {0};

	addr.family = strchr(text, ':') ? FACTS_IPV6 : FACTS_IPV4;
	assert_int_equal(inet_pton(addr.family == FACTS_IPV6 ? AF_INET6 : AF_INET, text, addr.ip),
			 1);
	ip_facts(&addr);
	return addr;
}

/* The form of RFC 5952, by its own examples and ours. */
static void test_text(void **state)
{
	static const char *const same[] = {
		"0.0.0.0",
		"255.255.255.255",
		"10.20.30.40",
		"1.2.3.100",
		"::",
		"::1",
		"1::",
		"2001:db8::1",
		"2001:db8::1:0:0:1",
		"2001:db8:0:1:1:1:1:1",
		"1:2:3:4:5:6:7:8",
		"::2:3:4:5:6:7:8",
		"1:2:3:4:5:6::",
		"ff02::fb",
		"::10.1.2.3",
		"64:ff9b::102:304",
		"abcd:ef01:2345:6789:abcd:ef01:2345:6789",
	};

	(void)state;
	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
		struct facts_addr addr = address(same[i]);
		char libc[INET6_ADDRSTRLEN];

		inet_ntop(addr.family == FACTS_IPV6 ? AF_INET6 : AF_INET, addr.ip, libc,
			  sizeof libc);
		/* glibc shortens a single group, which RFC 5952 4.2.2 forbids */
		if (strcmp(same[i], "2001:db8:0:1:1:1:1:1") != 0 &&
		    strcmp(same[i], "::2:3:4:5:6:7:8") != 0)
			assert_string_equal(addr.text, libc);
		assert_int_equal(addr.text_len, strlen(addr.text));
		assert_false(addr.mapped);
	}
	assert_string_equal(address("2001:db8:0:1:1:1:1:1").text, "2001:db8:0:1:1:1:1:1");
	assert_string_equal(address("::2:3:4:5:6:7:8").text, "0:2:3:4:5:6:7:8");
}

static void test_mapped(void **state)
{
	struct facts_addr addr = address("::ffff:192.0.2.7");

	(void)state;
	assert_int_equal(addr.family, FACTS_IPV4);
	assert_true(addr.mapped);
	assert_string_equal(addr.text, "192.0.2.7");
}

/* What is written is read again, whatever the bytes: zeros are frequent in them. */
static void test_round_trip(void **state)
{
	(void)state;
	srandom(1);
	for (int n = 0; n < 20000; n++) {
		struct facts_addr addr = {.family = n % 5 ? FACTS_IPV6 : FACTS_IPV4};
		uint8_t ip[16], back[16] = {0};
		struct span text;
		bool ok;

		for (int i = 0; i < 16; i += 2) {
			long r = random();

			ip[i] = (uint8_t)(r & 0x30000 ? r : 0);
			ip[i + 1] = (uint8_t)(r & 0x30000 ? r >> 8 : 0);
		}
		memcpy(addr.ip, ip, 16);
		ip_facts(&addr);
		assert_true(addr.text_len <= FACTS_IP_TEXT_MAX);
		text = span_of(addr.text, addr.text_len);
		ok = addr.family == FACTS_IPV6 ? ip_parse_v6(text, back) : ip_parse_v4(text, back);
		assert_true(ok);
		assert_memory_equal(back, ip, addr.family == FACTS_IPV6 ? 16 : 4);
	}
}

static bool holds(const char *block, const char *addr)
{
	struct facts_addr a = address(addr);
	struct ip_block b;

	assert_true(ip_block_parse(span_of(block, strlen(block)), &b));
	return ip_block_holds(&b, &a);
}

static void test_blocks(void **state)
{
	(void)state;
	assert_true(holds("10.0.0.0/8", "10.255.1.2"));
	assert_false(holds("10.0.0.0/8", "11.0.0.0"));
	assert_true(holds("0.0.0.0/0", "1.2.3.4"));
	assert_false(holds("0.0.0.0/0", "2001:db8::1"));
	assert_true(holds("192.0.2.4/30", "192.0.2.7"));
	assert_false(holds("192.0.2.4/30", "192.0.2.8"));
	assert_true(holds("192.0.2.7", "::ffff:192.0.2.7"));
	assert_true(holds("::ffff:192.0.2.0/120", "192.0.2.9"));
	assert_true(holds("2001:db8::/33", "2001:db8:7fff::1"));
	assert_false(holds("2001:db8::/33", "2001:db8:8000::1"));
}

static void test_what_is_no_block(void **state)
{
	static const char *const bad[] = {
		"",
		"/",
		"10.0.0.1/8",
		"10.0.0.0/33",
		"10.0.0.0/",
		"10.0.0.0/08",
		"10.0.0/8",
		"::/129",
		"::1/64",
		"localhost",
		"10.0.0.0/8 ",
		"10.0.0.0/-1",
		"010.0.0.1",
		"fe80::1%1",
		"::ffff:10.0.0.1/104",
	};
	struct ip_block block;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(ip_block_parse(span_of(bad[i], strlen(bad[i])), &block));
}

static void test_lists(void **state)
{
	static const char text[] = " 10.0.0.0/8,\t::1 , ,nonsense 1.2.3.4";
	struct span list = span_of(text, sizeof text - 1), word;
	struct ip_block block;

	(void)state;
	assert_int_equal(ip_block_next(&list, &word, &block), 1);
	assert_int_equal(block.bits, 8);
	assert_int_equal(ip_block_next(&list, &word, &block), 1);
	assert_int_equal(block.bits, 128);
	assert_int_equal(ip_block_next(&list, &word, &block), -1);
	assert_memory_equal(word.p, "nonsense", word.len);
	assert_int_equal(ip_block_next(&list, &word, &block), 1);
	assert_int_equal(ip_block_next(&list, &word, &block), 0);
	assert_int_equal(ip_block_next(&list, &word, &block), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),	   cmocka_unit_test(test_mapped),
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_lists),	   cmocka_unit_test(test_what_is_no_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
