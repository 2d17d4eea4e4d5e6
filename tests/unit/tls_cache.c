/* SPDX-License-Identifier: ISC */
#include "tls/cache.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define NOW 1000

static unsigned char found[TLS_CACHE_BYTES_MAX];

struct id {
	unsigned char bytes[TLS_CACHE_ID_MAX];
};

static struct id id_of(unsigned number)
{
	struct id id = {{0}};

	memcpy(id.bytes, &number, sizeof number);
	return id;
}

/* A session of that many bytes, all of which tell the number; whether it is kept. */
static bool put(struct tls_cache *c, unsigned number, int64_t until, size_t len)
{
	unsigned char session[2 * TLS_CACHE_BYTES_MAX];
	struct id id = id_of(number);

	memset(session, (int)(number % 251), sizeof session);
	return tls_cache_put(c, id.bytes, sizeof id.bytes, until, session, len);
}

static size_t get(struct tls_cache *c, unsigned number, int64_t now)
{
	struct id id = id_of(number);
	size_t len = tls_cache_get(c, id.bytes, sizeof id.bytes, now, found);

	for (size_t i = 0; i < len; i++)
		assert_int_equal(found[i], number % 251);
	return len;
}

static void test_session_is_found_until_its_time(void **state)
{
	struct tls_cache *c = tls_cache_hold("a", 10, 100);

	(void)state;
	put(c, 1, NOW + 5, 100);
	assert_int_equal(get(c, 1, NOW), 100);
	assert_int_equal(get(c, 1, NOW + 4), 100);
	assert_int_equal(get(c, 1, NOW + 5), 0);
	assert_int_equal(get(c, 2, NOW), 0);
	tls_cache_drop(c);
}

static void test_removed_session_is_gone(void **state)
{
	struct tls_cache *c = tls_cache_hold("a", 10, 100);
	struct id id = id_of(1);

	(void)state;
	put(c, 1, NOW + 5, 50);
	put(c, 2, NOW + 5, 50);
	assert_true(tls_cache_remove(c, id.bytes, sizeof id.bytes));
	assert_int_equal(get(c, 1, NOW), 0);
	assert_int_equal(get(c, 2, NOW), 50);
	tls_cache_drop(c);
}

static void test_what_does_not_fit_is_not_kept(void **state)
{
	struct tls_cache *c = tls_cache_hold("a", 10, 100);
	unsigned char id[TLS_CACHE_ID_MAX + 1] = {1};

	(void)state;
	assert_false(put(c, 1, NOW + 5, 101));
	assert_int_equal(get(c, 1, NOW), 0);
	tls_cache_put(c, id, sizeof id, NOW + 5, id, sizeof id);
	assert_int_equal(tls_cache_get(c, id, sizeof id, NOW, found), 0);
	tls_cache_put(c, id, 0, NOW + 5, id, sizeof id);
	assert_int_equal(tls_cache_get(c, id, 0, NOW, found), 0);
	tls_cache_drop(c);
}

static void test_full_cache_forgets_what_would_end_first(void **state)
{
	struct tls_cache *c = tls_cache_hold("a", 3, 100);

	(void)state;
	for (unsigned i = 1; i <= 3; i++)
		put(c, i, NOW + 10 - i, 10);
	put(c, 4, NOW + 20, 10);
	assert_int_equal(get(c, 3, NOW), 0);
	put(c, 4, NOW + 30, 20); /* the same one, anew */
	assert_int_equal(get(c, 1, NOW), 10);
	assert_int_equal(get(c, 2, NOW), 10);
	assert_int_equal(get(c, 4, NOW), 20);
	tls_cache_drop(c);
}

static void test_size_is_a_limit_whatever_it_is(void **state)
{
	static const unsigned sizes[] = {1, 2, 127, 128, 129, 1000, 4099};

	(void)state;
	for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
		struct tls_cache *c = tls_cache_hold("a", sizes[s], 16);
		unsigned kept = 0;

		for (unsigned i = 0; i < 4 * sizes[s]; i++)
			put(c, i, NOW + i + 1, 16);
		for (unsigned i = 0; i < 4 * sizes[s]; i++)
			kept += get(c, i, NOW) != 0;
		assert_true(kept <= sizes[s]);
		assert_true(kept * 10 >= sizes[s] * 9);
		assert_int_equal(get(c, 4 * sizes[s] - 1, NOW), 16);
		tls_cache_drop(c);
	}
}

static void test_holders_share_what_they_ask_for_alike(void **state)
{
	struct tls_cache *a = tls_cache_hold("a", 10, 100), *again = tls_cache_hold("a", 10, 100);
	struct tls_cache *others[] = {tls_cache_hold("b", 10, 100), tls_cache_hold("a", 11, 100),
				      tls_cache_hold("a", 10, 101)};

	(void)state;
	put(a, 1, NOW + 5, 10);
	tls_cache_drop(a);
	assert_int_equal(get(again, 1, NOW), 10);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(get(others[i], 1, NOW), 0);
		tls_cache_drop(others[i]);
	}
	tls_cache_drop(again);
	a = tls_cache_hold("a", 10, 100);
	assert_int_equal(get(a, 1, NOW), 0);
	tls_cache_drop(a);
}

/* A worker that only puts sessions, of any length, until it is killed. */
static pid_t start_worker(struct tls_cache *c)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	for (unsigned i = 0;; i++)
		put(c, i % 300, NOW + i % 7, 1 + i % TLS_CACHE_BYTES_MAX);
}

static void end_worker(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* One bucket, in which the worker is most of its time. */
static void test_killed_worker_leaves_neither_a_lock_nor_half_a_session(void **state)
{
	struct tls_cache *c = tls_cache_hold("a", 100, TLS_CACHE_BYTES_MAX);

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		pid_t pid = start_worker(c);

		assert_true(pid > 0);
		usleep(round % 3 * 300);
		end_worker(pid);
		for (unsigned i = 0; i < 300; i++)
			get(c, i, 0);
		put(c, 1000, NOW + 100, 77);
		assert_int_equal(get(c, 1000, NOW), 77);
	}
	tls_cache_drop(c);
}

/* Nobody waits for it: what it holds is missed, or not kept. */
static void test_stopped_worker_stops_nobody(void **state)
{
	struct tls_cache *c = tls_cache_hold("a", 100, TLS_CACHE_BYTES_MAX);
	unsigned missed = 0;
	bool kept;

	(void)state;
	for (unsigned round = 0; round < 100; round++) {
		pid_t pid = start_worker(c);

		assert_true(pid > 0);
		usleep(500);
		kill(pid, SIGSTOP);
		waitpid(pid, NULL, WUNTRACED);
		kept = put(c, 1000, NOW + 100, 77);
		assert_int_equal(get(c, 1000, NOW), kept ? 77 : 0);
		missed += !kept;
		end_worker(pid);
	}
	assert_true(missed < 100);
	tls_cache_drop(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_session_is_found_until_its_time),
		cmocka_unit_test(test_removed_session_is_gone),
		cmocka_unit_test(test_what_does_not_fit_is_not_kept),
		cmocka_unit_test(test_full_cache_forgets_what_would_end_first),
		cmocka_unit_test(test_size_is_a_limit_whatever_it_is),
		cmocka_unit_test(test_holders_share_what_they_ask_for_alike),
		cmocka_unit_test(test_killed_worker_leaves_neither_a_lock_nor_half_a_session),
		cmocka_unit_test(test_stopped_worker_stops_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
