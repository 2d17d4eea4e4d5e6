/* SPDX-License-Identifier: ISC */
#include "process/metrics.h"

#include <unistd.h>

#include "metrics/server.h"
#include "process/daemon.h"
#include "process/helper.h"
#include "sys/log.h"

#define DRAIN_MS 2000 /* for answers that are under way */

struct metrics {
	struct helper helper;
	struct server *server;
	int listener;	      /* -1: it has let go of it */
	uint64_t drain_until; /* board_now(); 0: it does not drain */
	uv_poll_t requests;
	uv_timer_t timer; /* of the server */
};

bool metrics_needed(const struct config *config)
{
	return config->metrics->count != 0;
}

static void on_timer(uv_timer_t *timer);

static void run(struct metrics *m)
{
	int ms;

	server_run(m->server);
	ms = server_timeout(m->server);
	if (ms >= 0)
		uv_timer_start(&m->timer, on_timer, (uint64_t)ms, 0);
	else
		uv_timer_stop(&m->timer);
}

static void on_timer(uv_timer_t *timer)
{
	run(timer->data);
}

static void on_request(uv_poll_t *poll, int status, int events)
{
	(void)status, (void)events;
	run(poll->data);
}

/* As long as the socket is open here, clients come to it, also of an address that is given up. */
static bool drained(void *owner)
{
	struct metrics *m = owner;
	bool busy = server_drain(m->server);

	if (m->drain_until == 0) {
		m->drain_until = board_now() + DRAIN_MS;
		close(m->listener);
		m->listener = -1;
	}
	return !busy || board_now() >= m->drain_until;
}

static bool start(struct metrics *m, const struct helper_task *task, const struct figures *figures)
{
	static const struct helper_calls calls = {.drained = drained};

	m->helper = (struct helper){.task = task, .calls = &calls, .owner = m};
	m->server = server_open(m->listener, figures, task->config->globals.metrics_allow);
	if (!m->server)
		return false;
	if (!helper_open(&m->helper)) {
		server_close(m->server);
		return false;
	}
	uv_timer_init(&m->helper.loop, &m->timer);
	uv_poll_init(&m->helper.loop, &m->requests, server_fd(m->server));
	m->timer.data = m->requests.data = m;
	uv_poll_start(&m->requests, UV_READABLE, on_request);
	return true;
}

int metrics_run(const struct metrics_task *task)
{
	const struct helper_sockets none = {.workers = 0};
	const struct helper_task life = {
		.config = task->config,
		.place = task->place,
		.sockets = &none,
		.lifeline = task->lifeline,
		.renewal = -1,
	};
	const struct config_globals *g = &task->config->globals;
	struct metrics m = {.listener = task->listener};

	log_forked();
	if (!server_load() || !daemon_confine(g->chroot, g->uid, g->gid))
		return 1;
	log_confined();
	if (!start(&m, &life, &task->figures))
		return 1;
	helper_serve(&m.helper);
	helper_close(&m.helper);
	server_close(m.server);
	if (m.listener >= 0)
		close(m.listener);
	return 0;
}
