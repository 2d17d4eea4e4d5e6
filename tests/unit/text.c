/* SPDX-License-Identifier: ISC */
#include "text.h"

#include "harness.h"

static void hexadecimal_digits_have_either_case(void **state)
{
	static const char digits[] = "0123456789abcdef";

	(void)state;
	for (int c = 0; c < 256; c++) {
		char lower = (char)(c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c);
		const char *at = c != 0 ? memchr(digits, lower, 16) : NULL;

		assert_int_equal(text_hex_digit((char)c), at ? (int)(at - digits) : -1);
	}
}

static void decimal_numbers_end_at_their_bound(void **state)
{
	static const struct {
		struct span text;
		uint64_t max;
		bool good;
		uint64_t n;
	} rows[] = {
		{SPAN_INIT("0"), 0, true, 0},
		{SPAN_INIT("7"), 5, false, 0},
		{SPAN_INIT("007"), 7, true, 7},
		{SPAN_INIT("65535"), 65535, true, 65535},
		{SPAN_INIT("65536"), 65535, false, 0},
		{SPAN_INIT("18446744073709551615"), UINT64_MAX, true, UINT64_MAX},
		{SPAN_INIT("18446744073709551616"), UINT64_MAX, false, 0},
		{SPAN_INIT("9223372036854775808"), INT64_MAX, false, 0},
		{SPAN_INIT(""), 9, false, 0},
		{SPAN_INIT("-1"), 9, false, 0},
		{SPAN_INIT("+1"), 9, false, 0},
		{SPAN_INIT("1 "), 9, false, 0},
		{SPAN_INIT("0x1"), 9, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t n;

		assert_int_equal(text_decimal(rows[i].text, rows[i].max, &n), rows[i].good);
		if (rows[i].good)
			assert_int_equal(n, rows[i].n);
	}
}

static void bytes_have_two_digits(void **state)
{
	char bytes[8];
	struct out out = out_of(bytes, sizeof bytes);

	(void)state;
	text_put_byte(&out, 0x0a, false);
	text_put_byte(&out, 0xff, true);
	text_put_byte(&out, 0x00, true);
	assert_true(span_eq(out_span(&out), SPAN("0aFF00")));
}

static void texts_are_kept_up_to_the_last_byte(void **state)
{
	struct text_at first, second, none = {9, 9};
	uint16_t used = 0;
	char array[6];

	(void)state;
	assert_true(text_keep(array, sizeof array, &used, SPAN("abc"), &first));
	assert_false(text_keep(array, sizeof array, &used, SPAN("defg"), &none));
	assert_int_equal(used, 3);
	assert_int_equal(none.at, 9);
	assert_true(text_keep(array, sizeof array, &used, SPAN("def"), &second));
	assert_true(text_keep(array, sizeof array, &used, SPAN(""), &none));
	assert_true(span_eq(text_kept(array, first), SPAN("abc")));
	assert_true(span_eq(text_kept(array, second), SPAN("def")));
	assert_int_equal(text_kept(array, none).len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hexadecimal_digits_have_either_case),
		cmocka_unit_test(decimal_numbers_end_at_their_bound),
		cmocka_unit_test(bytes_have_two_digits),
		cmocka_unit_test(texts_are_kept_up_to_the_last_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
