/* SPDX-License-Identifier: ISC */
#include "tls/record_size.h"

#include "harness.h"

#define SEGMENT 1369

static struct tls_record_size r;

static int begin(void **state)
{
	(void)state;
	r = (struct tls_record_size){0};
	return 0;
}

/* Asserts the sizes, up to a 0, of the records for len bytes that are written at that time. */
static void assert_records(size_t len, uint32_t now_ms, const size_t *sizes)
{
	for (; *sizes != 0; sizes++) {
		size_t n = tls_record_size(&r, len, now_ms);

		assert_int_equal(n, *sizes);
		len -= n;
	}
	assert_int_equal(len, 0);
}

#define ASSERT_RECORDS(len, now_ms, ...) \
	assert_records(len, now_ms, (const size_t[]){__VA_ARGS__, 0})

static void the_first_ones_fill_ten_segments(void **state)
{
	(void)state;
	ASSERT_RECORDS(65536, 5000, SEGMENT, 3 * SEGMENT, 6 * SEGMENT, 16384, 16384, 16384, 2694);
	ASSERT_RECORDS(65536, 5999, 16384, 16384, 16384, 16384);
}

static void what_one_segment_holds_is_one_record(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		ASSERT_RECORDS(SEGMENT, 5000, SEGMENT);
	ASSERT_RECORDS(1, 5000, 1);
	ASSERT_RECORDS(20000, 5000, 16384, 3616);
}

static void a_head_that_comes_alone_counts(void **state)
{
	(void)state;
	ASSERT_RECORDS(300, 5000, 300);
	ASSERT_RECORDS(30000, 5000, SEGMENT, 3 * SEGMENT, 6 * SEGMENT, 16310);
}

static void they_are_small_again_behind_a_pause(void **state)
{
	(void)state;
	ASSERT_RECORDS(20000, 5000, SEGMENT, 3 * SEGMENT, 6 * SEGMENT, 6310);
	ASSERT_RECORDS(20000, 5999, 16384, 3616);
	ASSERT_RECORDS(20000, 6999, SEGMENT, 3 * SEGMENT, 6 * SEGMENT, 6310);
}

static void a_clock_may_overflow(void **state)
{
	(void)state;
	ASSERT_RECORDS(20000, UINT32_MAX, SEGMENT, 3 * SEGMENT, 6 * SEGMENT, 6310);
	ASSERT_RECORDS(20000, 998, 16384, 3616);
	ASSERT_RECORDS(2000, 1998, SEGMENT, 631);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_first_ones_fill_ten_segments, begin),
		cmocka_unit_test_setup(what_one_segment_holds_is_one_record, begin),
		cmocka_unit_test_setup(a_head_that_comes_alone_counts, begin),
		cmocka_unit_test_setup(they_are_small_again_behind_a_pause, begin),
		cmocka_unit_test_setup(a_clock_may_overflow, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
