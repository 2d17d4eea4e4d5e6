/* SPDX-License-Identifier: ISC */
#include "conn/admit.h"

#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>

#include "sys/log.h"

#define SECOND_MS 1000
#define CONNECTION_FDS 2 /* the client's and the backend's */
#define COUNTED_MAX 65536

static void on_second(uv_timer_t *timer)
{
	struct admit *a = timer->data;

	if (a->untold == 0)
		return;
	log_main(LOG_WARNING, "Connection rejected: too many clients: %u more of them", a->untold);
	a->untold = 0;
	uv_timer_start(timer, on_second, SECOND_MS, 0);
}

void admit_open(struct admit *a, uv_loop_t *loop, struct board *board, size_t worker, uint32_t max)
{
	*a = (struct admit){.board = board, .worker = worker, .max = max};
	uv_timer_init(loop, &a->second);
	uv_unref((uv_handle_t *)&a->second);
	a->second.data = a;
}

void admit_close(struct admit *a)
{
	uv_close((uv_handle_t *)&a->second, NULL);
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
	uint64_t now = uv_now(a->second.loop);

	if (a->full_told != 0 && now - a->full_told < SECOND_MS)
		return;
	log_main(LOG_WARNING,
		 "Accepting new connections suspended: a worker has %zu, the most that its "
		 "descriptors allow",
		 a->held);
	a->full_told = now;
}

/* A flood of clients must not flood the log: one line a second. */
static void tell_rejected(struct admit *a, const char *service, uint32_t max)
{
	if (uv_is_active((uv_handle_t *)&a->second)) {
		a->untold++;
		return;
	}
	if (service)
		log_main(LOG_WARNING, "Service [%s]: Connection rejected: too many clients (>=%u)",
			 service, max);
	else
		log_main(LOG_WARNING, "Connection rejected: too many clients (>=%u)", max);
	uv_timer_start(&a->second, on_second, SECOND_MS, 0);
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
