/* SPDX-License-Identifier: ISC */
#include "worker.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "conn.h"
#include "daemon.h"
#include "listen.h"
#include "log.h"

#define FLUSH_MS 1000 /* of access logs */

struct worker {
	uv_loop_t loop;
	struct conn_pool pool;
	struct listen *listens;
	struct config *config;
	uv_signal_t stop, drain, reopen;
	uv_timer_t flush;
	uv_poll_t lifeline;
	bool draining, ended;
};

static void stop_listening(struct worker *w)
{
	while (w->listens) {
		struct listen *next = w->listens->next;

		listen_stop(w->listens);
		w->listens = next;
	}
}

/* Closes everything, so that the loop runs out of handles and uv_run() returns. */
static void end(struct worker *w)
{
	if (w->ended)
		return;
	w->ended = true;
	stop_listening(w);
	conn_pool_close(&w->pool);
	access_flush(w->config->access);
	uv_close((uv_handle_t *)&w->flush, NULL);
	uv_close((uv_handle_t *)&w->stop, NULL);
	uv_close((uv_handle_t *)&w->drain, NULL);
	uv_close((uv_handle_t *)&w->reopen, NULL);
	uv_close((uv_handle_t *)&w->lifeline, NULL);
}

static void end_if_drained(void *owner)
{
	struct worker *w = owner;

	if (w->draining && w->pool.count == 0)
		end(w);
}

static void start_draining(struct worker *w)
{
	w->draining = true;
	stop_listening(w);
	end_if_drained(w);
}

static void on_stop(uv_signal_t *handle, int number)
{
	(void)number;
	end(handle->data);
}

static void on_drain(uv_signal_t *handle, int number)
{
	(void)number;
	start_draining(handle->data);
}

static void on_reopen(uv_signal_t *handle, int number)
{
	struct worker *w = handle->data;
	int rc = log_reopen(false);

	(void)number;
	if (rc != 0)
		log_main(LOG_ERR, "Cannot open log file: %s (%d)", strerror(-rc), -rc);
	/* What was gathered until now belongs to the old file. */
	access_flush(w->config->access);
	for (struct access_file *file = w->config->access; file; file = file->next) {
		rc = access_open(file, file->path);
		if (rc != 0)
			log_main(LOG_ERR, "Cannot open access log: %s: %s (%d)", file->path,
				 strerror(-rc), -rc);
	}
}

static void on_flush(uv_timer_t *timer)
{
	struct worker *w = timer->data;

	access_flush(w->config->access);
}

/* The master is gone, however that came about: nobody will tell us to stop. */
static void on_lifeline(uv_poll_t *handle, int status, int events)
{
	(void)status, (void)events;
	uv_poll_stop(handle);
	start_draining(handle->data);
}

static void watch_signal(struct worker *w, uv_signal_t *handle, int number, uv_signal_cb callback)
{
	uv_signal_init(&w->loop, handle);
	handle->data = w;
	uv_signal_start(handle, callback, number);
}

static bool start_listening(struct worker *w, const struct worker_task *task)
{
	for (size_t i = 0; i < task->socket_count; i++) {
		struct listen *l = listen_start(&w->pool, &task->socket[i].section->service,
						task->socket[i].fd);

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
	w->config = task->config;
	uv_timer_init(&w->loop, &w->flush);
	w->flush.data = w;
	if (w->config->access)
		uv_timer_start(&w->flush, on_flush, FLUSH_MS, FLUSH_MS);
	w->pool.on_change = end_if_drained;
	w->pool.owner = w;
	watch_signal(w, &w->stop, WORKER_STOP, on_stop);
	watch_signal(w, &w->drain, WORKER_DRAIN, on_drain);
	watch_signal(w, &w->reopen, WORKER_REOPEN, on_reopen);
	uv_poll_init(&w->loop, &w->lifeline, task->lifeline);
	w->lifeline.data = w;
	uv_poll_start(&w->lifeline, UV_READABLE, on_lifeline);
	return start_listening(w, task);
}

static bool confine(const struct worker_task *task)
{
	const struct conf_globals *g = &task->config->globals;

	/* A user without privileges must be able to open the log again inside the chroot. */
	if (g->uid != 0 || g->gid != 0) {
		unsigned uid = g->uid != 0 ? g->uid : geteuid();
		unsigned gid = g->gid != 0 ? g->gid : getegid();

		log_own(uid, gid);
		for (struct access_file *file = task->config->access; file; file = file->next)
			access_own(file, uid, gid);
	}
	if (!daemon_confine(g->chroot, g->uid, g->gid))
		return false;
	log_path(task->log_path);
	return true;
}

int worker_run(const struct worker_task *task)
{
	struct worker *w = calloc(1, sizeof *w);
	sigset_t none;

	signal(SIGINT, SIG_IGN); /* the terminal's is for the master */
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	if (!w || !confine(task) || !start(w, task))
		return 1;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	daemon_detach();
	if (write(task->ready, "", 1) != 1)
		return 1;
	close(task->ready);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	uv_loop_close(&w->loop);
	conn_pool_free(&w->pool);
	free(w);
	return 0;
}
