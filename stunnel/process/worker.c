/* SPDX-License-Identifier: ISC */
#include "process/worker.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <uv.h>

#include "conn/conn.h"
#include "conn/listing.h"
#include "conn/roster.h"
#include "process/daemon.h"
#include "process/drain.h"
#include "process/launch.h"
#include "process/listen.h"
#include "process/metrics.h"
#include "process/pulse.h"
#include "process/renewal.h"
#include "sys/log.h"
#include "tls/library.h"

#define FLUSH_MS 1000 /* between two writes of buffered access logs */
#define ROSTER_MS 1000
#define GATHER_MS 100 /* that lines may wait in a worker that has always something else to do */
#define RETRY_MS 50   /* until syslog is offered again the lines that it did not take */

struct worker {
	uv_loop_t loop;
	struct conn_pool pool;
	struct listing listing;
	_Atomic uint32_t *listed;
	struct listen *listens;
	struct launch *launches;
	struct config *config;
	uv_timer_t flush, retry, look;
	uint64_t all_written; /* when no line was gathered for the last time, by the loop's clock */
	struct pulse pulse;
	struct drain drain;
	struct renewal_intake renewal;
	uv_poll_t lifeline, signals;
	uv_signal_t programs; /* SIGCHLD */
	int signal_fd;
	bool draining, ended;
};

static void stop_listening(struct worker *w)
{
	while (w->listens) {
		struct listen *next = w->listens->next;

		listen_stop(w->listens);
		w->listens = next;
	}
	while (w->launches) {
		struct launch *next = w->launches->next;

		launch_stop(w->launches);
		w->launches = next;
	}
}

/* Closes everything, so that the loop runs out of handles and run_loop() returns. */
static void end(struct worker *w)
{
	if (w->ended)
		return;
	w->ended = true;
	stop_listening(w);
	drain_close(&w->drain);
	listing_close(&w->listing);
	conn_pool_close(&w->pool);
	inquiry_close(&w->pool.revocation);
	inquiry_close(&w->pool.libwrap);
	sessiond_close(&w->pool.sessiond);
	admit_close(&w->pool.admit);
	access_finish(w->config->access);
	uv_close((uv_handle_t *)&w->flush, NULL);
	uv_close((uv_handle_t *)&w->retry, NULL);
	uv_close((uv_handle_t *)&w->look, NULL);
	pulse_stop(&w->pulse);
	renewal_close(&w->renewal);
	uv_close((uv_handle_t *)&w->lifeline, NULL);
	uv_close((uv_handle_t *)&w->signals, NULL);
	uv_close((uv_handle_t *)&w->programs, NULL);
	close(w->signal_fd);
}

static void end_if_drained(struct worker *w)
{
	if (w->draining && w->pool.admit.held == 0)
		end(w);
}

static void look_at_listens(struct worker *w)
{
	for (struct listen *l = w->listens; l; l = l->next)
		listen_look(l);
}

static void on_connection_end(void *owner, const struct conn_service *accepted, bool room)
{
	struct worker *w = owner;

	if (room)
		look_at_listens(w);
	for (struct launch *l = w->launches; l; l = l->next)
		if (l->service == accepted)
			launch_ended(l);
	drain_look(&w->drain);
	end_if_drained(w);
}

static void start_draining(struct worker *w)
{
	w->draining = true;
	for (struct listen *l = w->listens; l; l = l->next)
		listen_empty(l);
	stop_listening(w);
	board_answer(w->pool.admit.board, w->pool.admit.worker, BOARD_ACCEPT_NO_MORE);
	if (!w->config->inetd)
		drain_begin(&w->drain, w->config->globals.drain_seconds);
	end_if_drained(w);
}

static void on_drain_over(void *owner)
{
	end(owner);
}

static void reopen_logs(struct worker *w)
{
	log_reopen(false);
	/* Buffered lines are older than the rotation and belong to the old file. */
	access_flush(w->config->access);
	access_open(w->config->access, NULL);
}

static void on_listed(struct listing *l)
{
	struct worker *w = l->pool->owner;
	struct admit *a = &w->pool.admit;

	atomic_fetch_add(w->listed, l->listed);
	board_answer(a->board, a->worker, BOARD_LIST);
}

/* Who asks another generation of this program may not know this one, and count less. */
static void list(struct worker *w)
{
	if (board_is_asked(w->pool.admit.board, w->pool.admit.worker, BOARD_LIST))
		listing_begin(&w->listing);
}

static void on_roster(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	roster_write(w->pool.admit.board, w->pool.admit.worker, &w->pool);
}

static void on_flush(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	access_flush(w->config->access);
}

/* Only wakes the loop, which flushes the log before it sleeps. */
static void on_retry(uv_timer_t *timer)
{
	(void)timer;
}

static void flush_log(struct worker *w)
{
	if (log_flush() && !w->ended)
		uv_timer_start(&w->retry, on_retry, RETRY_MS, 0);
}

/* Whether there are lines which may wait until the worker has nothing else to do. */
static bool lines_may_wait(struct worker *w)
{
	uint64_t now = uv_now(&w->loop);

	if (!log_gathered())
		w->all_written = now;
	return log_gathered() && now - w->all_written < GATHER_MS;
}

/*
 * Until end() has closed all that libuv knows of. It tells the kernel of its descriptors when it
 * runs, and all of them have been opened. With lines that may wait it looks for events first, and
 * sleeps when they are written.
 */
static void run_loop(struct worker *w)
{
	uv_run(&w->loop, UV_RUN_NOWAIT);
	while (uv_loop_alive(&w->loop)) {
		bool busy = conn_pool_settle(&w->pool), later = lines_may_wait(w);

		if (!later)
			flush_log(w);
		if (!watch_set_wait(&w->pool.watches, busy || later) && later)
			flush_log(w);
	}
}

static void on_program_end(uv_signal_t *handle, int signal_number)
{
	(void)handle, (void)signal_number;
	program_reap();
}

/* The master has ended, even if killed: no signal will ever stop this worker. */
static void on_lifeline(uv_poll_t *handle, int status, int events)
{
	(void)status, (void)events;
	uv_poll_stop(handle);
	start_draining(handle->data);
}

static void on_signal(uv_poll_t *handle, int status, int events)
{
	struct worker *w = handle->data;
	struct signalfd_siginfo told;

	(void)status, (void)events;
	while (!w->ended && read(w->signal_fd, &told, sizeof told) == (ssize_t)sizeof told) {
		if (told.ssi_signo == CHILD_REOPEN)
			reopen_logs(w);
		else if (told.ssi_signo == CHILD_LOOK)
			look_at_listens(w);
		else if (told.ssi_signo == CHILD_LIST)
			list(w);
		else if (told.ssi_signo == CHILD_DRAIN)
			start_draining(w);
		else
			end(w);
	}
}

static bool watch_signals(struct worker *w)
{
	w->signal_fd = child_take_signals();
	if (w->signal_fd < 0)
		return false;
	uv_poll_init(&w->loop, &w->signals, w->signal_fd);
	w->signals.data = w;
	uv_poll_start(&w->signals, UV_READABLE, on_signal);
	/* Behind child_take_signals(), which undoes what the master does at SIGCHLD. */
	uv_signal_start(&w->programs, on_program_end, SIGCHLD);
	return true;
}

static bool start_listening(struct worker *w, const struct worker_task *task)
{
	for (size_t i = 0; i < task->socket_count; i++) {
		const struct worker_socket *socket = &task->socket[i];
		struct listen *l = listen_start(&w->pool, &socket->section->service, socket->fd,
						socket->worker);

		if (!l)
			return false;
		l->next = w->listens;
		w->listens = l;
	}
	return true;
}

static bool start(struct worker *w, const struct worker_task *task)
{
	if (uv_loop_init(&w->loop) != 0 ||
	    !conn_pool_open(&w->pool, &w->loop, task->config->out_cap, task->shared))
		return false;
	admit_open(&w->pool.admit, &w->loop, task->place->board, task->place->row,
		   (uint32_t)task->config->globals.max_connections);
	w->config = task->config;
	w->listed = task->listed;
	pulse_start(&w->pulse, &w->loop, task->place);
	uv_timer_init(&w->loop, &w->flush);
	w->flush.data = w;
	uv_timer_init(&w->loop, &w->retry);
	if (w->config->access)
		uv_timer_start(&w->flush, on_flush, FLUSH_MS, FLUSH_MS);
	uv_timer_init(&w->loop, &w->look);
	w->look.data = w;
	if (metrics_needed(w->config))
		uv_timer_start(&w->look, on_roster, ROSTER_MS, ROSTER_MS);
	w->pool.on_end = on_connection_end;
	w->pool.owner = w;
	listing_open(&w->listing, &w->pool, on_listed);
	drain_open(&w->drain, &w->pool, task->place->index + 1, on_drain_over, w);
	uv_poll_init(&w->loop, &w->lifeline, task->lifeline);
	w->lifeline.data = w;
	uv_poll_start(&w->lifeline, UV_READABLE, on_lifeline);
	uv_signal_init(&w->loop, &w->programs);
	inquiry_open(&w->pool.revocation, &w->loop, task->ask_revocation);
	inquiry_open(&w->pool.libwrap, &w->loop, task->ask_libwrap);
	sessiond_open(&w->pool.sessiond, &w->pool.watches);
	w->renewal = (struct renewal_intake){.config = task->config, .fd = task->renewal};
	renewal_open(&w->renewal, &w->loop);
	return watch_signals(w) && start_listening(w, task);
}

void worker_own_logs(const struct config *config)
{
	const struct config_globals *g = &config->globals;
	unsigned uid = g->uid != 0 ? g->uid : geteuid();
	unsigned gid = g->gid != 0 ? g->gid : getegid();

	if (g->uid == 0 && g->gid == 0)
		return;
	log_own(uid, gid);
	access_own(config->access, uid, gid);
}

static bool confine(const struct worker_task *task)
{
	const struct config_globals *g = &task->config->globals;

	log_forked();
	log_gather(task->place->lines);
	access_gather(task->config->access, task->place->index);
	worker_own_logs(task->config);
	if (!tls_library_ask_nobody() || !daemon_confine(g->chroot, g->uid, g->gid))
		return false;
	log_confined();
	if (task->place->index == 0) { /* one worker warns for all */
		log_try();
		access_try(task->config->access);
	}
	return true;
}

static size_t name_count(const struct conn_service *service)
{
	size_t count = service->route.name_count + service->redirect.name_count;

	for (size_t i = 0; i < service->alpn_count; i++)
		count += service->alpn[i].route.name_count;
	return count;
}

/*
 * Descriptors to keep free of connections: two for resolving a log's path, two for opening a FIFO
 * there, two for each name that is being looked up, one to each daemon that keeps sessions, and the
 * idle ones to backends.
 */
static size_t spare_descriptors(const struct config *config)
{
	size_t spare = 4;

	for (size_t i = 0; i < config->count; i++) {
		const struct conn_service *s = &config->section[i]->service;

		spare += 2 * name_count(s) + (config->section[i]->sessiond ? 1 : 0) +
			 (s->policy->limits.pool && s->needs.http ? s->spare.max : 0);
	}
	return spare;
}

/* Sets how many connections the limit of descriptors allows; false, logged, if none. */
static bool find_room(struct worker *w)
{
	w->pool.admit.room = admit_room(spare_descriptors(w->config));
	if (w->pool.admit.room == 0)
		log_main(LOG_ERR, "The limit of descriptors leaves no room for a connection");
	return w->pool.admit.room != 0;
}

/* Programs in place of clients: one worker starts them for all. */
static void start_programs(struct worker *w)
{
	for (size_t i = 0; i < w->config->count; i++) {
		struct conn_service *service = &w->config->section[i]->service;
		struct launch *l;

		if (!service->program_calls)
			continue;
		l = launch_start(&w->pool, service);
		if (!l)
			continue;
		l->next = w->launches;
		w->launches = l;
	}
}

/* Inetd mode: what we were started with is the only connection, and its end that of the worker. */
static void serve_streams(struct worker *w, const struct worker_task *task)
{
	struct end end = {.fd = task->stream[0], .out = task->stream[1]};
	struct net_addr peer;
	bool known = net_peer(end.fd, &peer) == 0;

	for (int i = 0; i < 2; i++)
		fcntl(task->stream[i], F_SETFL, fcntl(task->stream[i], F_GETFL) | O_NONBLOCK);
	conn_open(&w->pool, &w->config->section[0]->service, &end, known ? &peer : NULL);
	start_draining(w);
}

/* Tells the master that this worker serves; false if the master has given up the start. */
static bool tell_ready(struct worker *w, const struct worker_task *task)
{
	daemon_detach();
	return child_ready(task->place, w->pool.admit.room);
}

int worker_run(const struct worker_task *task)
{
	struct worker *w = confine(task) ? calloc(1, sizeof *w) : NULL;
	bool ok;

	if (!w || !start(w, task)) {
		free(w);
		return 1;
	}
	ok = find_room(w) && tell_ready(w, task);
	if (!ok)
		end(w);
	else if (task->config->inetd)
		serve_streams(w, task);
	else if (task->place->index == 0)
		start_programs(w);
	run_loop(w);
	log_flush();
	uv_loop_close(&w->loop);
	conn_pool_free(&w->pool);
	free(w);
	return ok ? 0 : 1;
}
