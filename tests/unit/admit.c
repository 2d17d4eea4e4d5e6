/* SPDX-License-Identifier: ISC */
/* What limits are counted with: the board's rows by key, the hash of the keys, and the pace. */
#include "conn/pace.h"
#include "sys/board.h"
#include "sys/siphash.h"

#include "harness.h"

#define MS UINT64_C(1000000)
#define START (1000000 * MS)

/* The authors' vectors for inputs 00 01 02 ... under the key 00 01 ... 0f. */
static void test_hash_is_siphash(void **state)
{
	static const uint64_t key[] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

	(void)state;
	assert_true(siphash(key, key, 0) == 0x726fdb47dd0e0e31);
	assert_true(siphash(key, key, 1) == 0x93f5f5799a932462);
	assert_true(siphash(key, key, 2) == 0x3f2acc7f57c29bdb);
}

static uint64_t key_of(uint64_t number)
{
	static const uint64_t secret[] = {1, 2};

	return siphash(secret, &number, 1);
}

static void test_a_key_is_counted_over_workers_and_generations(void **state)
{
	struct board *old = board_new(
			     &(struct board_plan){.workers = 1, .columns = 1, .keys = 100}),
		     *b = board_new(&(struct board_plan){.workers = 3, .columns = 1, .keys = 1000});

	(void)state;
	assert_true(board_enter(old, 0, key_of(1)) == 1);
	board_link(b, old);
	assert_true(board_enter(b, 0, key_of(1)) == 2);
	assert_true(board_enter(b, 2, key_of(1)) == 3);
	assert_true(board_enter(b, 2, key_of(2)) == 1);
	assert_true(board_enter(b, 2, key_of(1)) == 4);
	board_leave(b, 0, key_of(1));
	board_leave(b, 2, key_of(1));
	assert_true(board_enter(b, 1, key_of(1)) == 3);
	board_leave(old, 0, key_of(1));
	assert_true(board_enter(b, 1, key_of(1)) == 3);
	board_free(b);
	board_free(old);
}

static void test_a_worker_that_has_crashed_gives_all_back(void **state)
{
	struct board *b = board_new(&(struct board_plan){.workers = 2, .columns = 1, .keys = 1000});

	(void)state;
	for (uint64_t i = 0; i < 500; i++)
		board_enter(b, 0, key_of(i));
	assert_true(board_enter(b, 1, key_of(7)) == 2);
	board_vacate(b, 0);
	assert_true(board_enter(b, 1, key_of(7)) == 2);
	assert_true(board_enter(b, 0, key_of(8)) == 1);
	board_free(b);
}

/* As many keys as there may be fit, and leave no trace; of far more some do not. */
static void test_a_row_has_room_for_all_and_is_never_overrun(void **state)
{
	const uint64_t room = 50000;
	struct board *b = board_new(&(struct board_plan){.workers = 1, .columns = 1, .keys = room});
	uint64_t full = 0, number = 0;

	(void)state;
	for (int turn = 0; turn < 2; turn++) {
		for (uint64_t i = 0; i < room; i++)
			assert_true(board_enter(b, 0, key_of(i)) == 1);
		for (uint64_t i = 0; i < room; i++)
			board_leave(b, 0, key_of(i));
	}
	while (full < 100)
		full += board_enter(b, 0, key_of(number++)) == 0;
	assert_true(number > 2 * room);
	board_free(b);
}

static void test_a_sheet_of_another_layout_is_left_out(void **state)
{
	const struct board_plan plain = {.workers = 1, .columns = 1};
	const struct board_plan oldest = {.workers = 1, .columns = 3, .keys = 9, .sheet = {100, 7}};
	const struct board_plan old = {.workers = 2, .columns = 2, .sheet = {100, 8}};
	const struct board_plan new = {.workers = 2, .columns = 1, .sheet = {200, 7}};
	struct board *boards[] = {board_new(&new), board_new(&old), board_new(&plain),
				  board_new(&oldest)};
	const size_t count = sizeof boards / sizeof boards[0];

	(void)state;
	assert_null(board_sheet(boards[0], 0, 7));
	for (size_t i = 0; i < count; i++)
		for (size_t worker = 0; worker < board_workers(boards[i]); worker++)
			board_serve(boards[i], worker, 1);
	for (size_t i = 0; i + 1 < count; i++)
		board_link(boards[i], boards[i + 1]);
	assert_int_equal(board_workers(boards[0]), 6);
	for (size_t i = 0; i < 7; i++)
		assert_true((board_sheet(boards[0], i, 7) != NULL) == (i < 2 || i == 5));
	memset(board_sheet(boards[0], 1, 7), 0xff, 200);
	memset(board_sheet(boards[3], 0, 7), 0xff, 100);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(board_sum(boards[0], i), 0);
	assert_int_equal(board_enter(boards[3], 0, key_of(1)), 1);
	board_vacate(boards[3], 0);
	assert_null(board_sheet(boards[0], 5, 7));
	for (size_t i = 0; i < count; i++)
		board_free(boards[i]);
}

static void test_a_board_without_keys_counts_none(void **state)
{
	struct board *b = board_new(&(struct board_plan){.workers = 1, .columns = 1});

	(void)state;
	assert_true(board_enter(b, 0, key_of(1)) == 0);
	board_leave(b, 0, key_of(1));
	board_free(b);
}

/* How many may be done within a time by one who asks each millisecond. */
static unsigned done_within(pace *p, uint32_t per_second, uint64_t from, unsigned ms)
{
	unsigned done = 0;

	for (unsigned i = 0; i < ms; i++)
		while (pace_wait(p, from + i * MS) == 0) {
			pace_take(p, per_second, from + i * MS);
			done++;
		}
	return done;
}

static void test_a_pace_is_kept_and_a_pause_is_not_made_up_for(void **state)
{
	pace p = 0;

	(void)state;
	assert_in_range(done_within(&p, 100, START, 1000), 105, 115);
	assert_in_range(done_within(&p, 100, START + 1000 * MS, 1000), 95, 101);
	assert_in_range(done_within(&p, 100, START + 90000 * MS, 1000), 105, 115);
}

static void test_a_slow_pace_tells_how_long_to_wait(void **state)
{
	pace p = 0;

	(void)state;
	assert_true(pace_wait(&p, START) == 0);
	pace_take(&p, 1, START);
	assert_true(pace_wait(&p, START) == 900 * MS);
	assert_true(pace_wait(&p, START + 900 * MS) == 0);
	assert_in_range(done_within(&p, 1, START, 10000), 9, 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hash_is_siphash),
		cmocka_unit_test(test_a_key_is_counted_over_workers_and_generations),
		cmocka_unit_test(test_a_worker_that_has_crashed_gives_all_back),
		cmocka_unit_test(test_a_row_has_room_for_all_and_is_never_overrun),
		cmocka_unit_test(test_a_sheet_of_another_layout_is_left_out),
		cmocka_unit_test(test_a_board_without_keys_counts_none),
		cmocka_unit_test(test_a_pace_is_kept_and_a_pause_is_not_made_up_for),
		cmocka_unit_test(test_a_slow_pace_tells_how_long_to_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
