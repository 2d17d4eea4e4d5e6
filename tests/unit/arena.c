/* SPDX-License-Identifier: ISC */
#include "config/arena.h"

#include "harness.h"

static void test_blocks_are_zeroed_and_apart(void **state)
{
	struct arena a = {0};
	char *block[300];

	(void)state;
	for (size_t i = 0; i < 300; i++) {
		block[i] = arena_alloc(&a, i);
		assert_non_null(block[i]);
		assert_int_equal((uintptr_t)block[i] % _Alignof(max_align_t), 0);
		for (size_t j = 0; j < i; j++)
			assert_int_equal(block[i][j], 0);
		memset(block[i], 0xff, i);
	}
	arena_free(&a);
	assert_null(a.chunk);
}

static void test_block_larger_than_a_chunk(void **state)
{
	struct arena a = {0};
	char *large = arena_alloc(&a, 1000000);

	(void)state;
	assert_non_null(large);
	memset(large, 1, 1000000);
	assert_string_equal(arena_text(&a, "behind it"), "behind it");
	arena_free(&a);
}

static void test_texts(void **state)
{
	struct arena a = {0};

	(void)state;
	assert_string_equal(arena_format(&a, "Service [%.3s] %d", "webs", 7), "Service [web] 7");
	assert_string_equal(arena_text(&a, ""), "");
	assert_null(arena_text(&a, NULL));
	arena_free(&a);
}

static void test_grown_array_leaves_the_shared_one(void **state)
{
	struct arena a = {0};
	int *one = arena_grown(&a, NULL, 0, sizeof *one), *two, *other;

	(void)state;
	one[0] = 1;
	two = arena_grown(&a, one, 1, sizeof *two);
	other = arena_grown(&a, one, 1, sizeof *other);
	two[1] = 2;
	other[1] = 3;
	assert_int_equal(two[0] + other[0], 2);
	assert_int_equal(two[1], 2);
	arena_free(&a);
}

static void test_array_of_one_owner_grows(void **state)
{
	struct arena a = {0};
	size_t *numbers = NULL;

	(void)state;
	for (size_t i = 0; i < 1000; i++) {
		numbers = arena_grow(&a, numbers, i, sizeof *numbers);
		numbers[i] = i;
	}
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(numbers[i], i);
	arena_free(&a);
}

static void test_like_blocks_are_shared(void **state)
{
	struct arena a = {0};
	const size_t *first[1000];

	(void)state;
	for (size_t i = 0; i < 1000; i++) {
		first[i] = arena_share(&a, &i, sizeof i);
		assert_int_equal(*first[i], i);
	}
	for (size_t i = 0; i < 1000; i++) {
		assert_ptr_equal(arena_share(&a, &i, sizeof i), first[i]);
		assert_ptr_not_equal(arena_share(&a, &i, 1), first[i]);
	}
	arena_free(&a);
	assert_null(a.shared[0]);
}

static void test_failure_is_sticky(void **state)
{
	struct arena a = {0};
	int *array = arena_grow(&a, NULL, 0, sizeof *array);

	(void)state;
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_true(a.failed);
	assert_null(arena_alloc(&a, 1));
	assert_null(arena_text(&a, "text"));
	assert_null(arena_grown(&a, array, 1, sizeof *array));
	assert_null(arena_grow(&a, array, 3, sizeof *array));
	arena_free(&a);
	assert_false(a.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks_are_zeroed_and_apart),
		cmocka_unit_test(test_block_larger_than_a_chunk),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_grown_array_leaves_the_shared_one),
		cmocka_unit_test(test_array_of_one_owner_grows),
		cmocka_unit_test(test_like_blocks_are_shared),
		cmocka_unit_test(test_failure_is_sticky),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
