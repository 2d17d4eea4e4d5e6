/* SPDX-License-Identifier: ISC */
#include "conn/conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn/steps.h"

struct conn_id conn_id(const struct conn *c)
{
	struct conn_id id;

	snprintf(id.text, sizeof id.text, "%llu", (unsigned long long)c->serial);
	return id;
}

uint64_t conn_now(const struct conn *c)
{
	return uv_now(c->pool->loop);
}

/* --- closing: only marks; the loop reaps ------------------------------------------------------ */

static void log_end(struct conn *c)
{
	conn_log(c, LOG_NOTICE,
		 "Connection %s: %llu byte(s) sent to TLS, %llu byte(s) sent to socket",
		 c->end == CONN_RESET ? "reset" : "closed",
		 (unsigned long long)c->relay.flow[H1_RESPONSE].sent,
		 (unsigned long long)c->relay.flow[H1_REQUEST].sent);
}

static void mark_dead(struct conn *c, enum conn_result end)
{
	c->dead = true;
	c->end = end;
	exchange_end(&c->exchanges);
	resolve_cancel(&c->wait);
	c->next_dead = c->pool->dead;
	c->pool->dead = c;
}

static void conn_close(struct conn *c, enum conn_result end)
{
	if (c->dead)
		return;
	mark_dead(c, end);
	log_end(c);
}

static void conn_free(struct conn *c)
{
	struct conn_pool *pool = c->pool;
	bool room = admit_leave(&pool->admit, &c->accepted->admit);

	if (c->next)
		c->next->previous = c->previous;
	if (c->previous)
		c->previous->next = c->next;
	else
		pool->first = c->next;
	relay_free(&c->relay);
	free(c->found.addr);
	free(c->early);
	free(c);
	if (pool->on_end)
		pool->on_end(pool->owner, room);
}

void conn_release(struct conn *c)
{
	if (--c->handles == 0)
		conn_free(c);
}

static void on_handle_closed(uv_handle_t *handle)
{
	conn_release(handle->data);
}

static void on_poll_closed(uv_handle_t *handle)
{
	on_handle_closed(handle);
	free(handle);
}

static void poll_close(struct conn *c, enum relay_side side)
{
	if (!c->poll[side].handle)
		return;
	uv_close((uv_handle_t *)c->poll[side].handle, on_poll_closed);
	c->poll[side] = (struct conn_poll){0};
}

/*
 * Only who got the whole of it is told so: by close_notify, and a plain backend by FIN, which it
 * would take for the end of an upload. A client that is cut gets FIN without close_notify, so that
 * what was sent still arrives.
 */
static void reap(struct conn *c)
{
	bool alert = c->tls.state == TLS_DEAD;

	poll_close(c, RELAY_CLIENT);
	poll_close(c, RELAY_BACKEND);
	uv_close((uv_handle_t *)&c->timer, on_handle_closed);
	if (c->end == CONN_CLOSE)
		tls_shutdown(&c->tls);
	tls_free(&c->tls);
	if (c->relay.end[RELAY_BACKEND].fd >= 0)
		net_close(c->relay.end[RELAY_BACKEND].fd, c->end != CONN_CLOSE);
	/* A reset would overtake the alert that tells the client what is wrong. */
	net_close(c->relay.end[RELAY_CLIENT].fd, c->end == CONN_RESET && !alert);
}

static void on_prepare(uv_prepare_t *handle)
{
	struct conn_pool *pool = handle->data;

	while (pool->dead) {
		struct conn *c = pool->dead;

		pool->dead = c->next_dead;
		reap(c);
	}
}

void conn_backend_close(struct conn *c, bool reset)
{
	int fd = c->relay.end[RELAY_BACKEND].fd;

	if (fd < 0)
		return;
	poll_close(c, RELAY_BACKEND);
	net_close(fd, reset);
	c->relay.end[RELAY_BACKEND].fd = -1;
}

/* --- events ----------------------------------------------------------------------------------- */

/*
 * A client from which nothing is wanted now is watched all the same: one that is gone must not keep
 * a backend busy. libuv reports a reset as an error and stops the handle; an end of its bytes would
 * be reported again and again, and may be no more than a half-close.
 */
static void client_left(struct conn *c, int status)
{
	struct conn_poll *p = &c->poll[RELAY_CLIENT];

	p->interest = 0;
	uv_poll_stop(p->handle);
	c->relay.hung_up = true;
	if (status < 0 && !c->dead) {
		conn_log(c, LOG_ERR, "transfer: the client reset its connection");
		conn_close(c, CONN_RESET);
	}
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
	struct conn *c = handle->data;
	bool client = handle == c->poll[RELAY_CLIENT].handle;
	unsigned read = client ? CONN_CLIENT_READ : CONN_BACKEND_READ;
	unsigned write = client ? CONN_CLIENT_WRITE : CONN_BACKEND_WRITE;

	if (c->poll[client ? RELAY_CLIENT : RELAY_BACKEND].interest == UV_DISCONNECT) {
		client_left(c, status);
		events = UV_READABLE;
	} else if (status < 0) { /* libuv has stopped the handle: the next call tells why */
		c->poll[client ? RELAY_CLIENT : RELAY_BACKEND].interest = 0;
		events = UV_READABLE | UV_WRITABLE;
	}
	conn_run(c, (events & UV_READABLE ? read : 0) | (events & UV_WRITABLE ? write : 0));
}

static bool poll_open(struct conn *c, struct conn_poll *p, int fd)
{
	p->handle = malloc(sizeof *p->handle);
	if (!p->handle)
		return false;
	if (uv_poll_init(c->pool->loop, p->handle, fd) != 0) {
		free(p->handle);
		p->handle = NULL;
		return false;
	}
	p->handle->data = c;
	c->handles++;
	return true;
}

void conn_wait(struct conn *c, enum relay_side side, bool read, bool write)
{
	struct conn_poll *p = &c->poll[side];
	int fd = c->relay.end[side].fd;
	int interest = (read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0);

	if (interest == 0 && side == RELAY_CLIENT && !c->relay.hung_up)
		interest = UV_DISCONNECT;
	if (fd < 0 || interest == p->interest)
		return;
	if (!p->handle && !poll_open(c, p, fd)) {
		conn_close(c, CONN_RESET);
		return;
	}
	if (interest != 0)
		uv_poll_start(p->handle, interest, on_poll);
	else
		uv_poll_stop(p->handle);
	p->interest = interest;
}

static void on_idle(uv_idle_t *handle)
{
	struct conn_pool *pool = handle->data;
	struct conn *list = pool->again;

	pool->again = NULL;
	uv_idle_stop(handle);
	while (list) {
		struct conn *c = list;

		list = c->next_again;
		c->in_again = false;
		if (!c->dead)
			conn_run(c, CONN_ALL_EVENTS);
		conn_release(c);
	}
}

static void run_again_soon(struct conn *c)
{
	struct conn_pool *pool = c->pool;

	if (c->in_again)
		return;
	c->in_again = true;
	c->handles++; /* keeps the memory while it is in the list */
	c->next_again = pool->again;
	pool->again = c;
	uv_idle_start(&pool->busy, on_idle);
}

void conn_wait_relay(struct conn *c)
{
	for (int side = 0; side < 2; side++) {
		bool read, write;

		relay_wants(&c->relay, (enum relay_side)side, &read, &write);
		conn_wait(c, (enum relay_side)side, read, write);
	}
	if (c->relay.again)
		run_again_soon(c);
}

/* --- time ------------------------------------------------------------------------------------- */

static const struct conn_step *current_step(const struct conn *c)
{
	return c->service->plan[c->step];
}

static void settle(struct conn *c, enum conn_result result);

static void on_timer(uv_timer_t *timer)
{
	struct conn *c = timer->data;

	c->armed = UINT64_MAX;
	if (!c->dead)
		settle(c, current_step(c)->deadline(c) <= conn_now(c) ? current_step(c)->expired(c)
								      : CONN_WAIT);
}

/*
 * The timer is never moved back: when it fires too early it is set again. So moving bytes costs no
 * timer operation.
 */
static void arm(struct conn *c)
{
	uint64_t at = current_step(c)->deadline(c), now = conn_now(c);

	if (at >= c->armed)
		return;
	c->armed = at;
	uv_timer_start(&c->timer, on_timer, at > now ? at - now : 0, 0);
}

/* --- the plan's run --------------------------------------------------------------------------- */

/* Follows a step's result until there is something to wait for. */
static void settle(struct conn *c, enum conn_result result)
{
	while (result == CONN_NEXT || result == CONN_AGAIN) {
		if (result == CONN_NEXT) {
			c->step++;
			c->since = conn_now(c);
		}
		/* The step finds out itself what there is to do. */
		result = current_step(c)->run(c, CONN_ALL_EVENTS);
	}
	if (result >= CONN_CLOSE)
		conn_close(c, result);
	if (!c->dead)
		arm(c);
}

void conn_run(struct conn *c, unsigned events)
{
	if (c->dead) /* the batch of events that ended it had more of them */
		return;
	c->active = conn_now(c);
	settle(c, current_step(c)->run(c, events));
}

/* --- beginning and end ------------------------------------------------------------------------ */

static void on_names(void *owner)
{
	conn_run(owner, CONN_ALL_EVENTS);
}

static bool describe_ends(struct conn *c, int fd)
{
	struct net_addr local;

	if (net_local(fd, &local) != 0)
		return false;
	net_facts(&c->peer, &c->facts.peer);
	c->facts.client = c->facts.peer;
	net_facts(&local, &c->facts.server);
	return true;
}

void conn_open(struct conn_pool *pool, struct conn_service *service, int fd,
	       const struct net_addr *peer)
{
	struct conn *c;
	char text[NET_TEXT_MAX];

	if (!admit_enter(&pool->admit, &service->admit, service->name)) {
		net_close(fd, false);
		return;
	}
	c = calloc(1, sizeof *c);
	if (!c) {
		admit_leave(&pool->admit, &service->admit);
		net_close(fd, true);
		return;
	}
	c->pool = pool;
	c->service = c->accepted = service;
	c->serial = atomic_fetch_add(&pool->shared->serial, 1);
	c->peer = *peer;
	c->wait = (struct resolve_wait){.wake = on_names, .owner = c};
	c->relay.scratch = &pool->scratch;
	c->relay.end[RELAY_CLIENT] = (struct relay_end){fd, &c->tls};
	c->relay.end[RELAY_BACKEND] = (struct relay_end){-1, NULL};
	net_options_set(&service->options, NET_LOCAL, fd);
	if (!describe_ends(c, fd) || !tls_open(&c->tls, service->tls, fd, &steps_tls_calls, c)) {
		admit_leave(&pool->admit, &service->admit);
		net_close(fd, true);
		free(c);
		return;
	}
	uv_timer_init(pool->loop, &c->timer);
	c->timer.data = c;
	c->handles = 1;
	c->armed = UINT64_MAX;
	c->since = conn_now(c);
	c->next = pool->first;
	if (c->next)
		c->next->previous = c;
	pool->first = c;
	net_text(peer, text);
	conn_log(c, LOG_NOTICE, "Service [%s] accepted connection from %s", service->name, text);
	conn_run(c, CONN_ALL_EVENTS);
}

bool conn_pool_open(struct conn_pool *pool, uv_loop_t *loop, size_t out_cap,
		    struct conn_shared *shared)
{
	memset(pool, 0, sizeof *pool);
	pool->loop = loop;
	pool->shared = shared;
	pool->scratch.out_cap = out_cap;
	pool->scratch.out = malloc(out_cap);
	if (!pool->scratch.out || !resolve_open(&pool->resolve, loop))
		return false;
	uv_prepare_init(loop, &pool->reaper);
	pool->reaper.data = pool;
	uv_prepare_start(&pool->reaper, on_prepare);
	uv_unref((uv_handle_t *)&pool->reaper);
	uv_idle_init(loop, &pool->busy);
	pool->busy.data = pool;
	return true;
}

void conn_pool_close(struct conn_pool *pool)
{
	for (struct conn *c = pool->first; c; c = c->next)
		if (!c->dead)
			mark_dead(c, relay_whole(&c->relay) ? CONN_CLOSE : CONN_CUT);
	on_prepare(&pool->reaper);
	on_idle(&pool->busy); /* what waits to be run again is dead now: only lets go of it */
	uv_close((uv_handle_t *)&pool->reaper, NULL);
	uv_close((uv_handle_t *)&pool->busy, NULL);
	resolve_close(&pool->resolve);
}

void conn_pool_free(struct conn_pool *pool)
{
	resolve_free(&pool->resolve);
	free(pool->scratch.out);
}
