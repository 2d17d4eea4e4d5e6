/* SPDX-License-Identifier: ISC */
#include "conn/spare.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "sys/board.h"
#include "sys/log.h"

#define BACKS_MAX 8
#define COLUMN 3

/* --- what spare.c stands on --------------------------------------------------------------------
 */

static int on_board;
static unsigned unasked; /* lines of the log */

void board_add(struct board *b, size_t worker, size_t column, int connections)
{
	(void)b;
	assert_int_equal(worker, 1);
	assert_int_equal(column, COLUMN);
	on_board += connections;
}

void log_main(int level, const char *format, ...)
{
	(void)level, (void)format;
	unasked++;
}

void back_close(struct back *b, enum end_close how)
{
	assert_int_equal(how, END_WHOLE);
	watch_close(&b->watch);
	close(b->end.fd);
	free(b->spare);
}

bool net_equal(const struct net_addr *a, const struct net_addr *b)
{
	return a->len == b->len;
}

ssize_t net_peek(int fd, char *p, size_t len)
{
	ssize_t n = recv(fd, p, len, MSG_PEEK | MSG_DONTWAIT);

	return n < 0 ? -errno : n;
}

/* --- a worker ----------------------------------------------------------------------------------
 */

static struct worker {
	uv_loop_t loop;
	struct watch_set watches;
	struct admit admit;
	struct spare_set set;
	struct spares list;
	struct spare_limits limits;
	int peer[BACKS_MAX]; /* the backends' ends */
	unsigned count;
} w;

static const struct net_addr near = {.len = 1}, far = {.len = 2};

static int begin(void **state)
{
	(void)state;
	memset(&w, 0, sizeof w);
	on_board = 0;
	unasked = 0;
	w.admit.worker = 1;
	w.limits = (struct spare_limits){.max = 3, .idle = 4};
	uv_loop_init(&w.loop);
	assert_true(watch_set_open(&w.watches, &w.loop));
	spare_open(&w.set, &w.loop, &w.watches, &w.admit);
	return 0;
}

static int end(void **state)
{
	(void)state;
	spare_close(&w.set);
	assert_int_equal(on_board, 0);
	while (uv_run(&w.loop, UV_RUN_NOWAIT) != 0)
		;
	watch_set_close(&w.watches);
	assert_int_equal(uv_loop_close(&w.loop), 0);
	for (unsigned i = 0; i < w.count; i++)
		close(w.peer[i]);
	return 0;
}

static const struct step *const through[] = {NULL};

static struct back *connect_back(void)
{
	struct back *b = calloc(1, sizeof *b);
	int fds[2];

	assert_non_null(b);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	w.peer[w.count++] = fds[1];
	b->end = end_of(fds[0]);
	b->at.current = through;
	return b;
}

static bool give(struct back *b, const struct net_addr *target)
{
	return spare_give(&w.set, &w.list, &w.limits, COLUMN, b, target);
}

static struct back *take(const struct net_addr *target)
{
	return spare_take(&w.set, &w.list, target);
}

static void drop(struct back *b)
{
	back_close(b, END_WHOLE);
	free(b);
}

/* Whether the backend sees that its n-th connection has ended. */
static bool has_ended(unsigned n)
{
	char byte;

	return recv(w.peer[n], &byte, 1, MSG_DONTWAIT) == 0;
}

static void say(unsigned n)
{
	assert_int_equal(send(w.peer[n], "x", 1, 0), 1);
}

/* --- tests -------------------------------------------------------------------------------------
 */

static void the_newest_to_the_target_is_taken(void **state)
{
	struct back *a = connect_back(), *b = connect_back(), *c = connect_back();

	(void)state;
	assert_null(take(&near));
	assert_true(give(a, &near) && give(b, &near) && give(c, &far));
	assert_int_equal(on_board, 3);
	assert_ptr_equal(take(&near), b);
	assert_true(give(b, NULL)); /* its target is known */
	assert_ptr_equal(take(&near), b);
	assert_ptr_equal(take(&near), a);
	assert_null(take(&near));
	assert_ptr_equal(take(&far), c);
	assert_int_equal(on_board, 0);
	drop(a);
	drop(b);
	drop(c);
}

static void one_too_many_closes_the_oldest(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++)
		assert_true(give(connect_back(), &near));
	assert_int_equal(on_board, 3);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(has_ended(i), i < 2);
}

static void what_comes_closes_it(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_true(give(connect_back(), &near));
	say(0);
	shutdown(w.peer[2], SHUT_WR);
	watch_set_wait(&w.watches, true);
	assert_int_equal(on_board, 1);
	assert_int_equal(unasked, 1);
	assert_false(has_ended(1));
}

/* Though no event has told of it yet. */
static void what_came_is_not_taken(void **state)
{
	struct back *b[3] = {connect_back(), connect_back(), connect_back()};

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_true(give(b[i], &near));
	say(2);
	shutdown(w.peer[1], SHUT_WR);
	assert_ptr_equal(take(&near), b[0]);
	assert_int_equal(on_board, 0);
	drop(b[0]);
}

static void nobody_hears_of_one_that_was_taken(void **state)
{
	struct back *b = connect_back();

	(void)state;
	assert_true(give(b, &near));
	assert_ptr_equal(take(&near), b);
	say(0);
	watch_set_wait(&w.watches, true);
	assert_int_equal(b->watch.interest, 0);
	assert_null(b->watch.owner);
	drop(b);
}

static void it_is_not_taken_after_its_time(void **state)
{
	struct back *b = connect_back();

	(void)state;
	assert_true(give(b, &near));
	w.loop.time += 3999;
	assert_ptr_equal(take(&near), b);
	assert_true(give(b, NULL)); /* its time begins anew */
	w.loop.time += 3999;
	assert_ptr_equal(take(&near), b);
	assert_true(give(b, NULL));
	w.loop.time += 4000;
	assert_null(take(&near));
	assert_true(has_ended(0));
	w.limits.idle = 0;
	b = connect_back();
	assert_false(give(b, &near));
	drop(b);
}

static void it_grows_old(void **state)
{
	struct back *b = connect_back();

	(void)state;
	w.limits.idle = -1;
	assert_true(give(b, &near));
	w.loop.time += SPARE_AGE_MS - 1;
	assert_ptr_equal(take(&near), b);
	assert_true(give(b, NULL));
	w.loop.time += 1;
	assert_null(take(&near));
	b = connect_back();
	assert_true(give(b, &near));
	assert_ptr_equal(take(&near), b);
	w.loop.time += SPARE_AGE_MS;
	assert_false(give(b, NULL));
	drop(b);
}

static void none_is_kept_behind_a_stop(void **state)
{
	struct back *b = connect_back(), *other = connect_back();

	(void)state;
	assert_true(give(b, &near));
	spare_stop(&w.set);
	assert_true(has_ended(0));
	assert_null(take(&near));
	assert_false(give(other, &near));
	drop(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_newest_to_the_target_is_taken, begin, end),
		cmocka_unit_test_setup_teardown(one_too_many_closes_the_oldest, begin, end),
		cmocka_unit_test_setup_teardown(what_comes_closes_it, begin, end),
		cmocka_unit_test_setup_teardown(what_came_is_not_taken, begin, end),
		cmocka_unit_test_setup_teardown(nobody_hears_of_one_that_was_taken, begin, end),
		cmocka_unit_test_setup_teardown(it_is_not_taken_after_its_time, begin, end),
		cmocka_unit_test_setup_teardown(it_grows_old, begin, end),
		cmocka_unit_test_setup_teardown(none_is_kept_behind_a_stop, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
