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
		{.text = SPAN_INIT("0"), .max = 0, .good = true, .n = 0},
		{.text = SPAN_INIT("7"), .max = 5, .good = false},
		{.text = SPAN_INIT("007"), .max = 7, .good = true, .n = 7},
		{.text = SPAN_INIT("65535"), .max = 65535, .good = true, .n = 65535},
		{.text = SPAN_INIT("65536"), .max = 65535, .good = false},
		{.text = SPAN_INIT("18446744073709551615"),
		 .max = UINT64_MAX,
		 .good = true,
		 .n = UINT64_MAX},
		{.text = SPAN_INIT("18446744073709551616"), .max = UINT64_MAX, .good = false},
		{.text = SPAN_INIT("9223372036854775808"), .max = INT64_MAX, .good = false},
		{.text = SPAN_INIT(""), .max = 9, .good = false},
		{.text = SPAN_INIT("-1"), .max = 9, .good = false},
		{.text = SPAN_INIT("+1"), .max = 9, .good = false},
		{.text = SPAN_INIT("1 "), .max = 9, .good = false},
		{.text = SPAN_INIT("0x1"), .max = 9, .good = false},
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
