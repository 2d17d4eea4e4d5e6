/* SPDX-License-Identifier: ISC */
#include "process/metrics.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "metrics/server.h"
#include "process/daemon.h"
#include "process/pulse.h"
#include "sys/log.h"
#include "sys/notify.h"

#define DRAIN_MS 2000 /* for answers that are under way */

enum {
	SIGNALS,
	LIFELINE,
	REQUESTS,
	FDS,
};

bool metrics_needed(const struct config *config)
{
	return config->metrics->count != 0;
}

/* Whether the process is to end; *drain: not before its connections. */
static bool told_to_end(int signals, bool *drain)
{
	struct signalfd_siginfo told;
	bool end = false;

	while (read(signals, &told, sizeof told) == (ssize_t)sizeof told) {
		if (told.ssi_signo == CHILD_REOPEN)
			log_reopen(false);
		*drain |= told.ssi_signo == CHILD_DRAIN;
		end |= told.ssi_signo == CHILD_STOP;
	}
	return end;
}

/* Says that the loop turns; how long it may sleep then, at most `ms` unless that is negative. */
static int beat(const struct child_place *place, int ms)
{
	int every = (int)(notify_watchdog_ms() / PULSE_PARTS);

	if (every == 0)
		return ms;
	board_beat(place->board, place->row);
	return ms < 0 || every < ms ? every : ms;
}

static void finish(struct server *server, const struct child_place *place)
{
	struct pollfd fd = {.fd = server_fd(server), .events = POLLIN};
	uint64_t deadline = board_now() + DRAIN_MS;

	while (server_drain(server) && board_now() < deadline) {
		poll(&fd, 1, beat(place, 100));
		server_run(server);
	}
}

static void serve(struct server *server, int signals, const struct metrics_task *task)
{
	struct pollfd fds[FDS] = {
		[SIGNALS] = {.fd = signals, .events = POLLIN},
		[LIFELINE] = {.fd = task->lifeline, .events = POLLIN},
		[REQUESTS] = {.fd = server_fd(server), .events = POLLIN},
	};
	bool drain = false;

	while (!drain) {
		poll(fds, FDS, beat(task->place, server_timeout(server)));
		if (fds[LIFELINE].revents || told_to_end(signals, &drain))
			return;
		server_run(server);
	}
	finish(server, task->place);
}

int metrics_run(const struct metrics_task *task)
{
	const struct config_globals *g = &task->config->globals;
	struct server *server;
	int signals;

	log_forked();
	if (!daemon_confine(g->chroot, g->uid, g->gid))
		return 1;
	log_confined();
	signals = child_take_signals();
	if (signals < 0)
		return 1;
	server = server_open(task->listener, &task->figures, g->metrics_allow);
	if (server) {
		daemon_detach();
		if (child_ready(task->place, 0))
			serve(server, signals, task);
		server_close(server);
	}
	close(signals);
	return server ? 0 : 1;
}
