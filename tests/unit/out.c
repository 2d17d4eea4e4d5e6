/* SPDX-License-Identifier: ISC */
#include "out.h"

#include "harness.h"

/* Room of exactly `cap` bytes in front of a guard page. */
static struct out room(size_t cap)
{
	static struct guard guard;

	if (!guard.end)
		guard = guard_new(4096);
	return out_of(guard.end - cap, cap);
}

static void appends_in_order(void **state)
{
	struct out o = room(10);

	(void)state;
	out_put(&o, SPAN("abc"));
	out_put(&o, span_of(NULL, 0));
	out_char(&o, '-');
	out_put(&o, SPAN("def"));
	assert_false(o.full);
	assert_int_equal(out_room(&o), 3);
	assert_bytes(out_span(&o), SPAN("abc-def"), "appended");
}

static void fills_to_the_last_byte(void **state)
{
	struct out o = room(5);

	(void)state;
	out_put(&o, SPAN("abcde"));
	assert_false(o.full);
	assert_int_equal(out_room(&o), 0);
	out_put(&o, SPAN(""));
	assert_false(o.full);
	out_char(&o, 'f');
	assert_true(o.full);
	assert_bytes(out_span(&o), SPAN("abcde"), "full");
}

static void what_does_not_fit_is_not_written_at_all(void **state)
{
	struct out o = room(5);

	(void)state;
	out_put(&o, SPAN("abc"));
	out_put(&o, SPAN("def"));
	assert_true(o.full);
	assert_bytes(out_span(&o), SPAN("abc"), "three of five");
}

static void overflow_is_sticky(void **state)
{
	struct out o = room(5);

	(void)state;
	out_put(&o, SPAN("abcdef"));
	assert_true(o.full);
	out_put(&o, SPAN("a")); /* would fit, but then the output had a hole */
	out_put(&o, SPAN(""));
	assert_true(o.full);
	assert_int_equal(o.len, 0);
	out_reset(&o);
	assert_false(o.full);
	out_put(&o, SPAN("abcde"));
	assert_bytes(out_span(&o), SPAN("abcde"), "after the reset");
}

static void rollback_forgets_what_came_after_the_mark(void **state)
{
	struct out o = room(5);
	size_t mark;

	(void)state;
	out_put(&o, SPAN("ab"));
	mark = out_mark(&o);
	out_put(&o, SPAN("cd"));
	out_put(&o, SPAN("ef"));
	assert_true(o.full);
	out_rollback(&o, mark);
	assert_false(o.full);
	out_put(&o, SPAN("xyz"));
	assert_bytes(out_span(&o), SPAN("abxyz"), "after the rollback");
}

static void huge_lengths_do_not_wrap(void **state)
{
	struct out o = room(5);
	volatile size_t huge = SIZE_MAX; /* or the compiler warns of what is tried here */

	(void)state;
	out_put(&o, SPAN("ab"));
	out_put(&o, span_of(o.p, huge));
	assert_true(o.full);
	assert_int_equal(o.len, 2);
}

static void no_room_at_all(void **state)
{
	struct out o = out_of(NULL, 0);

	(void)state;
	out_put(&o, SPAN(""));
	assert_false(o.full);
	out_char(&o, 'x');
	assert_true(o.full);
}

static void numbers(void **state)
{
	static const struct {
		uint64_t n;
		const char *decimal, *hex;
	} rows[] = {
		{0, "0", "0"},
		{1, "1", "1"},
		{9, "9", "9"},
		{10, "10", "a"},
		{255, "255", "ff"},
		{256, "256", "100"},
		{65535, "65535", "ffff"},
		{UINT64_C(4503599627370495), "4503599627370495", "fffffffffffff"},
		{INT64_MAX, "9223372036854775807", "7fffffffffffffff"},
		{UINT64_MAX, "18446744073709551615", "ffffffffffffffff"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct out o = room(strlen(rows[i].decimal));

		out_decimal(&o, rows[i].n);
		assert_false(o.full);
		assert_bytes(out_span(&o), span_str(rows[i].decimal), "decimal");
		o = room(strlen(rows[i].hex));
		out_hex(&o, rows[i].n);
		assert_false(o.full);
		assert_bytes(out_span(&o), span_str(rows[i].hex), "hexadecimal");
		o = room(strlen(rows[i].hex) - 1);
		out_hex(&o, rows[i].n);
		assert_true(o.full);
		assert_int_equal(o.len, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_in_order),
		cmocka_unit_test(fills_to_the_last_byte),
		cmocka_unit_test(what_does_not_fit_is_not_written_at_all),
		cmocka_unit_test(overflow_is_sticky),
		cmocka_unit_test(rollback_forgets_what_came_after_the_mark),
		cmocka_unit_test(huge_lengths_do_not_wrap),
		cmocka_unit_test(no_room_at_all),
		cmocka_unit_test(numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
