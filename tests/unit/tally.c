/* SPDX-License-Identifier: ISC */
/* Counters in memory that workers share, and may write anything to. */
#include "conn/tally.h"

#include "harness.h"

#define CACHE_LINE 64
#define ACCEPTED offsetof(struct tally, accepted)

static void test_slots_are_summed_up(void **state)
{
	struct tallies *all = tally_new("web", 1, 3);

	(void)state;
	assert_non_null(all);
	for (size_t worker = 0; worker < 4; worker++) /* one more than there are slots */
		tally_add(&tally_slot(all, worker)->accepted, worker + 1);
	assert_int_equal(tally_sum(all, ACCEPTED), 10);
	assert_ptr_equal(tally_slot(all, 3), tally_slot(all, 0));
	tally_free(all);
}

/* What stands in front of the slots is in the same memory. */
static void test_nothing_that_is_shared_says_where_slots_are(void **state)
{
	struct tallies *all = tally_new("web", 1, 3);
	struct tally *first;

	(void)state;
	assert_non_null(all);
	first = tally_slot(all, 0);
	tally_one(&tally_slot(all, 2)->accepted);
	memset((char *)first - CACHE_LINE, 0xff, CACHE_LINE);
	assert_int_equal(tally_sum(all, ACCEPTED), 1);
	assert_ptr_equal(tally_slot(all, 3), first);
	tally_free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots_are_summed_up),
		cmocka_unit_test(test_nothing_that_is_shared_says_where_slots_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
