/* SPDX-License-Identifier: ISC */
#include "conn/admit.h"

#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "sys/log.h"
#include "sys/shared.h"
#include "sys/siphash.h"

#define SECOND_MS 1000
#define NS_PER_MS 1000000
#define CONNECTION_FDS 2 /* the client's and the backend's */
#define COUNTED_MAX 65536

static uint64_t seed[2];
static bool seeded;

bool admit_seed(void)
{
	uint64_t *kept;

	if (seeded)
		return true;
	kept = shared_map("seed of clients", sizeof seed, sizeof seed);
	if (!kept)
		return false;
	if (kept[0] == 0 && getrandom(kept, sizeof seed, 0) != (ssize_t)sizeof seed)
		return false;
	memcpy(seed, kept, sizeof seed);
	seeded = true;
	return true;
}

static void on_second(uv_timer_t *timer)
{
	struct admit_lull *lull = timer->data;

	if (lull->untold == 0)
		return;
	log_main(LOG_WARNING, "%s: %u more %s", lull->what, lull->untold, lull->unit);
	lull->untold = 0;
	uv_timer_start(timer, on_second, SECOND_MS, 0);
}

/* A flood of clients must not flood the log: true if there may be a line now. */
static bool may_tell(struct admit *a, enum admit_matter matter)
{
	struct admit_lull *lull = &a->lull[matter];

	if (uv_is_active((uv_handle_t *)&lull->second)) {
		lull->untold++;
		return false;
	}
	uv_timer_start(&lull->second, on_second, SECOND_MS, 0);
	return true;
}

void admit_open(struct admit *a, uv_loop_t *loop, struct board *board, size_t worker, uint32_t max)
{
	*a = (struct admit){
		.board = board,
		.worker = worker,
		.max = max,
		.lull = {[ADMIT_LIMIT] = {.what = "Connection rejected: too many clients",
					  .unit = "of them"},
			 [ADMIT_PER_IP] = {.what = "Connection rejected: too many from one address",
					   .unit = "of them"},
			 [ADMIT_PACE] = {.what = "Clients wait for maxHandshakesPerSecond",
					 .unit = "times"}},
	};
	for (size_t i = 0; i < ADMIT_MATTERS; i++) {
		uv_timer_t *second = &a->lull[i].second;

		uv_timer_init(loop, second);
		uv_unref((uv_handle_t *)second);
		second->data = &a->lull[i];
	}
}

void admit_close(struct admit *a)
{
	for (size_t i = 0; i < ADMIT_MATTERS; i++)
		uv_close((uv_handle_t *)&a->lull[i].second, NULL);
}

/*
 * How many descriptors are open. There is no /proc inside a chroot, so poll(2) is asked, which
 * tells the closed ones. Beyond the first 65536 there may be one that we inherited, but then the
 * limit is so high that it does not matter.
 */
static size_t count_open(size_t limit)
{
	struct pollfd fds[512];
	size_t end = limit < COUNTED_MAX ? limit : COUNTED_MAX, open = 0;

	for (size_t at = 0; at < end;) {
		nfds_t n = 0;

		for (; n < sizeof fds / sizeof fds[0] && at < end; n++, at++)
			fds[n] = (struct pollfd){.fd = (int)at};
		if (poll(fds, n, 0) < 0)
			return open + n;
		for (nfds_t i = 0; i < n; i++)
			open += !(fds[i].revents & POLLNVAL);
	}
	return open;
}

size_t admit_room(size_t spare)
{
	struct rlimit limit;
	size_t taken;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > UINT32_MAX)
		return UINT32_MAX;
	taken = count_open(limit.rlim_cur) + spare;
	return taken < limit.rlim_cur ? (limit.rlim_cur - taken) / CONNECTION_FDS : 0;
}

bool admit_has_room(const struct admit *a)
{
	return a->held < a->room;
}

void admit_full(struct admit *a)
{
	uint64_t now = uv_now(a->lull[ADMIT_LIMIT].second.loop);

	if (a->full_told != 0 && now - a->full_told < SECOND_MS)
		return;
	log_main(LOG_WARNING,
		 "Accepting new connections suspended: a worker has %zu, the most that its "
		 "descriptors allow",
		 a->held);
	a->full_told = now;
}

static void tell_rejected(struct admit *a, const char *service, uint32_t max)
{
	if (!may_tell(a, ADMIT_LIMIT))
		return;
	if (service)
		log_main(LOG_WARNING, "Service [%s]: Connection rejected: too many clients (>=%u)",
			 service, max);
	else
		log_main(LOG_WARNING, "Connection rejected: too many clients (>=%u)", max);
}

/* Counts before it judges, so that two workers never both take the last place. */
bool admit_enter(struct admit *a, const struct admit_service *service, const char *name)
{
	bool all, own;

	a->held++;
	board_add(a->board, a->worker, BOARD_ALL, 1);
	board_add(a->board, a->worker, service->column, 1);
	all = a->max == 0 || board_sum(a->board, BOARD_ALL) <= a->max;
	own = service->max == 0 || board_sum(a->board, service->column) <= service->max;
	if (all && own)
		return true;
	admit_leave(a, service);
	tell_rejected(a, all ? name : NULL, all ? service->max : a->max);
	return false;
}

bool admit_leave(struct admit *a, const struct admit_service *service)
{
	board_add(a->board, a->worker, service->column, -1);
	board_add(a->board, a->worker, BOARD_ALL, -1);
	return a->held-- >= a->room;
}

static unsigned bits_of(const struct admit_per_ip *limit, const struct facts_addr *client)
{
	return client->family == FACTS_IPV4 ? limit->v4_bits : limit->v6_bits;
}

/* The service, and the first bits of the address. */
static uint64_t key_of(const struct admit_service *service, const struct facts_addr *client)
{
	unsigned bits = bits_of(&service->per_ip, client), whole = bits / 8;
	uint64_t words[3] = {(uint64_t)service->column << 16 | client->family << 8 | bits};
	unsigned char *ip = (unsigned char *)&words[1];

	memcpy(ip, client->ip, whole);
	if (bits % 8 != 0)
		ip[whole] = client->ip[whole] & (unsigned char)(0xff << (8 - bits % 8));
	return siphash(seed, words, 3);
}

bool admit_client(struct admit *a, const struct admit_service *service, const char *name,
		  const struct facts_addr *client, tally_counter *rejected, uint64_t *key)
{
	uint64_t count;

	*key = 0;
	if (service->per_ip.max == 0 || client->family == FACTS_NONE)
		return true;
	*key = key_of(service, client);
	count = board_enter(a->board, a->worker, *key);
	if (count != 0 && count <= service->per_ip.max)
		return true;
	if (count != 0)
		admit_left(a, *key);
	*key = 0;
	tally_one(rejected);
	if (may_tell(a, ADMIT_PER_IP))
		log_main(LOG_WARNING,
			 "Service [%s]: Connection rejected: too many from one address: %s/%u "
			 "(>=%u)",
			 name, client->text, bits_of(&service->per_ip, client),
			 service->per_ip.max);
	return false;
}

void admit_left(struct admit *a, uint64_t key)
{
	if (key != 0)
		board_leave(a->board, a->worker, key);
}

uint64_t admit_wait(struct admit *a, const struct admit_service *service, const char *name,
		    const pace *handshakes)
{
	uint64_t ns = service->per_second != 0 ? pace_wait(handshakes, uv_hrtime()) : 0;

	if (ns != 0 && may_tell(a, ADMIT_PACE))
		log_main(LOG_WARNING, "Service [%s]: Clients wait for maxHandshakesPerSecond (%u)",
			 name, service->per_second);
	return (ns + NS_PER_MS - 1) / NS_PER_MS;
}

void admit_handshake(const struct admit_service *service, pace *handshakes)
{
	if (service->per_second != 0)
		pace_take(handshakes, service->per_second, uv_hrtime());
}
