/* SPDX-License-Identifier: ISC */
/* Kinds of children that the daemon does not have: what holds for them holds for each kind. */
#include "process/child.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "sys/log.h"

#define FETCHERS 2
#define KEEPERS 1

/* What a test sees of its children. */
static struct seen {
	atomic_int entered, looked, reopened;
	atomic_uint keeps; /* of all kinds that entered */
	atomic_bool fails, stubborn;
} * seen;

static struct children children;
static struct text said;

void log_main(int level, const char *format, ...)
{
	char line[256];
	va_list ap;

	(void)level;
	va_start(ap, format);
	vsnprintf(line, sizeof line, format, ap);
	va_end(ap);
	text_printf(&said, "%s\n", line);
}

/* How often the lines of a child that ended were written, and what had been said by then. */
static unsigned rests;
static size_t said_before_rest;

struct log_lines *log_lines_new(void)
{
	return malloc(1);
}

void log_lines_free(struct log_lines *lines)
{
	free(lines);
}

void log_lines_rest(struct log_lines *of)
{
	assert_non_null(of);
	said_before_rest = said.len;
	rests++;
}

static bool has_said(const char *what)
{
	return said.len != 0 && strstr(said.p, what) != NULL;
}

/* --- two kinds -------------------------------------------------------------------------------- */

/* Lives until it is told to end, unless this test has told it to do otherwise. */
static int serve(const struct child_place *place)
{
	static const int numbers[] = {CHILD_STOP, CHILD_DRAIN, CHILD_REOPEN, CHILD_LOOK};
	sigset_t set;
	int number = 0;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (seen->fails)
		return 7;
	child_ready(place, 1);
	while (seen->stubborn || (number != CHILD_STOP && number != CHILD_DRAIN)) {
		sigwait(&set, &number);
		seen->looked += number == CHILD_LOOK;
		seen->reopened += number == CHILD_REOPEN;
	}
	return 0;
}

/* What exit() does besides is the test program's business. */
static int run_fetcher(void *owner, const struct child_place *place)
{
	(void)owner;
	_exit(place->row == place->index ? serve(place) : 100);
}

static int run_keeper(void *owner, const struct child_place *place)
{
	(void)owner;
	_exit(place->row == FETCHERS + place->index ? serve(place) : 100);
}

static size_t count_fetchers(const void *owner)
{
	(void)owner;
	return FETCHERS;
}

static size_t count_keepers(const void *owner)
{
	(void)owner;
	return KEEPERS;
}

static const struct child_kind kinds[] = {
	{.noun = "A fetcher",
	 .process = "Fetcher process",
	 .told = CHILD_TOLD(CHILD_LOOK),
	 .count = count_fetchers,
	 .run = run_fetcher},
	{.noun = "A keeper",
	 .process = "Keeper process",
	 .told = CHILD_TOLD(CHILD_REOPEN) | CHILD_TOLD(CHILD_LOOK),
	 .keeps = CHILD_KEEPS_LOGS,
	 .count = count_keepers,
	 .run = run_keeper},
};

static void enter(void *owner, const struct child_kind *kind)
{
	(void)owner;
	seen->entered++;
	seen->keeps |= kind->keeps;
}

static void leave(void *owner)
{
	(void)owner;
}

static void reap(void *owner)
{
	int status;
	pid_t pid;

	(void)owner;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		assert_true(child_ended(&children, pid, status));
}

static void ended(void *owner, const struct child *child)
{
	(void)owner, (void)child;
}

static const struct child_calls calls = {
	.enter = enter, .leave = leave, .ended = ended, .reap = reap};

/* --- the tests -------------------------------------------------------------------------------- */

static int set_up(void **state)
{
	sigset_t set;

	(void)state;
	memset(seen, 0, sizeof *seen);
	rests = 0;
	text_take(&said, said.len);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (!child_open(&children, kinds, sizeof kinds / sizeof kinds[0], &calls, NULL))
		return -1;
	children.board = board_new(&(struct board_plan){.workers = children.count, .columns = 1});
	return children.board ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	child_stop(&children, 0);
	board_free(children.board);
	child_free(&children);
	return 0;
}

/* Waits for one to end, and has it noted. */
static void await_one_end(void)
{
	int status;
	pid_t pid = waitpid(-1, &status, 0);

	assert_true(pid > 0);
	assert_true(child_ended(&children, pid, status));
}

static size_t served(void)
{
	size_t n = 0;

	for (size_t i = 0; i < children.count; i++)
		n += board_served(children.board, i);
	return n;
}

static void await(const atomic_int *count, int wanted)
{
	while (*count < wanted)
		usleep(1000);
}

static void test_all_kinds_start_and_are_ready(void **state)
{
	(void)state;
	assert_int_equal(children.count, FETCHERS + KEEPERS);
	assert_true(child_none(&children));
	assert_true(child_start(&children));
	assert_int_equal(children.state, CHILD_SERVING);
	assert_int_equal(served(), FETCHERS + KEEPERS);
	assert_int_equal(seen->entered, FETCHERS + KEEPERS);
	assert_int_equal(seen->keeps, CHILD_KEEPS_LOGS);
	assert_int_equal(child_replace(&children), -1);
	assert_int_equal(said.len, 0);
}

static void test_kind_is_told_what_its_row_says(void **state)
{
	(void)state;
	assert_true(child_start(&children));
	child_signal(&children, CHILD_REOPEN); /* would end a process that does not know it */
	child_signal(&children, CHILD_LOOK);
	await(&seen->looked, FETCHERS + KEEPERS);
	await(&seen->reopened, KEEPERS);
	assert_int_equal(seen->reopened, KEEPERS);
	assert_int_equal(served(), FETCHERS + KEEPERS);
}

static void test_one_that_dies_is_told_of_and_replaced(void **state)
{
	(void)state;
	assert_true(child_start(&children));
	kill(children.child[FETCHERS].pid, SIGKILL);
	await_one_end();
	assert_true(has_said("Keeper process "));
	assert_true(has_said(" terminated on signal 9 (Killed)\n"));
	assert_int_equal(rests, 1);
	assert_int_equal(said_before_rest, 0); /* its own lines come first */
	assert_int_equal(served(), FETCHERS);
	await(&seen->looked, FETCHERS); /* the others look at the board */
	assert_int_equal(child_replace(&children), -1);
	await(&seen->entered, FETCHERS + KEEPERS + 1);
	while (served() != FETCHERS + KEEPERS)
		usleep(1000);
}

static void test_one_that_keeps_ending_waits_longer_each_time(void **state)
{
	uint64_t began = board_now();
	int wait;

	(void)state;
	assert_true(child_start(&children));
	seen->fails = true;
	kill(children.child[0].pid, SIGKILL);
	await_one_end();
	for (int i = 0; i < 4; i++) {
		while ((wait = child_replace(&children)) > 0)
			usleep((useconds_t)wait * 1000);
		await_one_end();
	}
	assert_true(has_said(" finished with code 7\n"));
	assert_true(has_said("Fetcher processes keep ending: next try in 100 ms\n"));
	assert_true(board_now() - began >= 100);
}

static void test_drained_children_end_in_silence_and_stay_away(void **state)
{
	(void)state;
	assert_true(child_start(&children));
	child_drain(&children);
	for (size_t i = 0; i < FETCHERS + KEEPERS; i++)
		await_one_end();
	assert_true(child_none(&children));
	assert_int_equal(served(), 0);
	assert_int_equal(said.len, 0);
}

static void test_one_that_dies_while_draining_is_told_of(void **state)
{
	(void)state;
	seen->stubborn = true;
	assert_true(child_start(&children));
	child_drain(&children);
	kill(children.child[0].pid, SIGKILL);
	await_one_end();
	assert_true(has_said("Fetcher process "));
	assert_false(child_none(&children));
}

static void test_one_that_hears_nothing_is_stopped_by_force(void **state)
{
	pid_t pid;

	(void)state;
	seen->stubborn = true;
	assert_true(child_start(&children));
	pid = children.child[FETCHERS].pid;
	child_signal(&children, CHILD_STOP);
	child_stop(&children, board_now() + 50);
	assert_true(child_none(&children));
	assert_int_equal(rests, children.count);
	assert_int_equal(kill(pid, 0), -1);
}

static void test_one_that_cannot_start_fails_the_start(void **state)
{
	(void)state;
	seen->fails = true;
	assert_false(child_start(&children));
	assert_int_equal(children.state, CHILD_STARTING);
	assert_true(has_said(" finished with code 7\n"));
	assert_true(has_said(" could not be started\n"));
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_all_kinds_start_and_are_ready),
		test(test_kind_is_told_what_its_row_says),
		test(test_one_that_dies_is_told_of_and_replaced),
		test(test_one_that_keeps_ending_waits_longer_each_time),
		test(test_drained_children_end_in_silence_and_stay_away),
		test(test_one_that_dies_while_draining_is_told_of),
		test(test_one_that_hears_nothing_is_stopped_by_force),
		test(test_one_that_cannot_start_fails_the_start),
	};
	int failed;

	seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	text_free(&said);
	return failed;
}
