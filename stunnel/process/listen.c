/* SPDX-License-Identifier: ISC */
#include "process/listen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sys/log.h"
#include "sys/net.h"

#define ACCEPTS_MAX 32	 /* connections accepted in one event, before others have their turn */
#define BACKLOG_MAX 4096 /* that a socket may have waiting */
#define PAUSE_MS 1000

static void on_readable(struct watch *w, bool failed, int events);

static bool begin_listening(struct listen *l)
{
	return watch_for(&l->watch, &l->pool->watches, l->fd, WATCH_READ, on_readable, l);
}

/* Whether this worker accepts: from its own socket, or from one whose worker does not serve. */
static bool is_ours(const struct listen *l)
{
	const struct conn_pool *pool = l->pool;

	return l->worker == LISTEN_SHARED || l->worker == pool->admit.worker ||
	       !board_served(pool->admit.board, l->worker);
}

static void on_pause_over(uv_timer_t *timer);

/* As stock does: with no descriptor left, accept() would fail again and again at full load. */
static void suspend(struct listen *l, int error)
{
	log_main(LOG_ERR, "local socket: %s (%d)", strerror(error), error);
	log_main(LOG_NOTICE, "Accepting new connections suspended for 1 second");
	watch_pause(&l->watch);
	uv_timer_start(&l->pause, on_pause_over, PAUSE_MS, 0);
}

void listen_look(struct listen *l)
{
	if (!is_ours(l))
		watch_pause(&l->watch);
	else if (!uv_is_active((uv_handle_t *)&l->pause) && !begin_listening(l))
		suspend(l, errno);
}

static void on_pause_over(uv_timer_t *timer)
{
	listen_look(timer->data);
}

/* Clients wait in the kernel's backlog until a connection ends and listen_look() is called. */
static void await_room(struct listen *l)
{
	admit_full(&l->pool->admit);
	watch_pause(&l->watch);
}

/* Clients wait in the kernel's backlog until the service may begin another handshake. */
static bool must_wait(struct listen *l)
{
	struct conn_service *s = l->service;
	struct admit *a = &l->pool->admit;
	uint64_t ms = admit_wait(a, &s->admit, s->name, tally_pace(s->tallies));

	if (ms == 0)
		return false;
	tally_one(&tally_slot(s->tallies, a->worker)->waits);
	watch_pause(&l->watch);
	uv_timer_start(&l->pause, on_pause_over, ms, 0);
	return true;
}

/* Accepts up to `most` connections of those that wait, as fast as they may come if paced. */
static void accept_some(struct listen *l, int most, bool paced)
{
	for (int i = 0; i < most; i++) {
		struct net_addr peer;
		int fd;

		if (!admit_has_room(&l->pool->admit)) {
			if (i == 0)
				await_room(l);
			return;
		}
		if (paced && must_wait(l))
			return;
		fd = net_accept(l->fd, &peer);
		if (fd >= 0) {
			struct end end = end_of(fd);

			admit_handshake(&l->service->admit, tally_pace(l->service->tallies));
			conn_open(l->pool, l->service, &end, &peer);
			continue;
		}
		if (fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM)
			suspend(l, -fd);
		return;
	}
}

static void on_readable(struct watch *w, bool failed, int events)
{
	struct listen *l = w->owner;

	(void)failed, (void)events;
	if (is_ours(l))
		accept_some(l, ACCEPTS_MAX, true);
	else /* the socket's own worker serves again, which no signal tells */
		watch_pause(w);
}

void listen_empty(struct listen *l)
{
	if (is_ours(l))
		accept_some(l, BACKLOG_MAX, false);
}

struct listen *listen_start(struct conn_pool *pool, struct conn_service *service, int fd,
			    size_t worker)
{
	struct listen *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->pool = pool;
	l->service = service;
	l->fd = fd;
	l->worker = worker;
	uv_timer_init(pool->loop, &l->pause);
	l->pause.data = l;
	listen_look(l);
	return l;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void listen_stop(struct listen *l)
{
	watch_close(&l->watch);
	uv_close((uv_handle_t *)&l->pause, on_closed);
	/* A socket that any process holds keeps the port open after the master gave it up. */
	net_close(l->fd, false);
}
