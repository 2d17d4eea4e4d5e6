/* SPDX-License-Identifier: ISC */
#include "conn/health.h"

#include <netinet/in.h>
#include <pthread.h>

#include "harness.h"

#define HOLD (HEALTH_HOLD_SECONDS * 1000)
#define START 1000000
#define TICK 63 /* ms; the table counts in sixteenths of a second */

static struct net_addr address(unsigned number)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)number),
		.sin_addr.s_addr = htonl(0x7f000001 + (number >> 16)),
	};
	struct net_addr addr = {.len = sizeof in};

	memcpy(&addr.u, &in, sizeof in);
	return addr;
}

static void test_unknown_address_is_tried(void **state)
{
	static struct health h;
	struct net_addr a = address(1);

	(void)state;
	assert_true(health_try(&h, &a, START));
	assert_false(health_works(&h, &a)); /* no news */
}

static void test_failure_is_news_once_and_so_is_success(void **state)
{
	static struct health h;
	struct net_addr a = address(1), b = address(2);

	(void)state;
	assert_true(health_failed(&h, &a, START));
	assert_false(health_failed(&h, &a, START + 1));
	assert_false(health_try(&h, &a, START + 1));
	assert_true(health_try(&h, &b, START + 1));
	assert_true(health_works(&h, &a));
	assert_false(health_works(&h, &a));
	assert_true(health_try(&h, &a, START + 1));
}

static void test_one_of_many_probes_when_the_time_is_over(void **state)
{
	static struct health h;
	struct net_addr a = address(1);
	uint64_t over = START + HOLD + TICK;

	(void)state;
	health_failed(&h, &a, START);
	assert_false(health_try(&h, &a, START + HOLD - TICK));
	assert_true(health_try(&h, &a, over));
	assert_false(health_try(&h, &a, over));
	assert_false(health_try(&h, &a, over + HOLD - TICK));
	assert_true(health_try(&h, &a, over + HOLD + TICK));
}

static void test_failed_probe_begins_the_time_anew(void **state)
{
	static struct health h;
	struct net_addr a = address(1);
	uint64_t over = START + HOLD + TICK;

	(void)state;
	health_failed(&h, &a, START);
	assert_true(health_try(&h, &a, over));
	assert_false(health_failed(&h, &a, over + 5000));
	assert_false(health_try(&h, &a, over + 5000 + HOLD - TICK));
	assert_true(health_try(&h, &a, over + 5000 + HOLD + TICK));
}

/* As many years as it takes for the times in the table to begin at 0 again. */
static void test_times_wrap(void **state)
{
	static struct health h;
	struct net_addr a = address(1);
	uint64_t wrap = ((uint64_t)1 << 32) * 1000 / 16;

	(void)state;
	health_failed(&h, &a, wrap - 1000);
	assert_false(health_try(&h, &a, wrap - 500));
	assert_false(health_try(&h, &a, wrap + 500));
	assert_true(health_try(&h, &a, wrap - 1000 + HOLD + TICK));
}

/* Addresses that are forgotten are good ones; the last failure is always known. */
static void test_full_table_forgets(void **state)
{
	static struct health h;
	size_t known = 0;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		struct net_addr a = address(i);

		health_failed(&h, &a, START + i);
		assert_false(health_try(&h, &a, START + i));
	}
	for (unsigned i = 0; i < 100000; i++) {
		struct net_addr a = address(i);

		known += health_works(&h, &a);
	}
	assert_true(known > HEALTH_BUCKETS);
	assert_true(known <= (size_t)HEALTH_BUCKETS * HEALTH_WAYS);
	for (size_t i = 0; i < HEALTH_BUCKETS; i++)
		for (size_t j = 0; j < HEALTH_WAYS; j++)
			assert_int_equal(atomic_load(&h.word[i][j]), 0);
}

#define ROUNDS 20000
#define THREADS 4

static struct health shared;
static atomic_int probes[ROUNDS];

static void *probe(void *unused)
{
	struct net_addr a = address(1);

	(void)unused;
	for (int i = 0; i < ROUNDS; i++)
		if (health_try(&shared, &a, START + (uint64_t)(i + 1) * (HOLD + TICK)))
			atomic_fetch_add(&probes[i], 1);
	return NULL;
}

/* Workers ask at the same time: never are two of them told yes. */
static void test_workers_never_probe_together(void **state)
{
	struct net_addr a = address(1);
	pthread_t thread[THREADS];

	(void)state;
	health_failed(&shared, &a, START);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, probe, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < ROUNDS; i++)
		assert_true(atomic_load(&probes[i]) <= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown_address_is_tried),
		cmocka_unit_test(test_failure_is_news_once_and_so_is_success),
		cmocka_unit_test(test_one_of_many_probes_when_the_time_is_over),
		cmocka_unit_test(test_failed_probe_begins_the_time_anew),
		cmocka_unit_test(test_times_wrap),
		cmocka_unit_test(test_full_table_forgets),
		cmocka_unit_test(test_workers_never_probe_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
