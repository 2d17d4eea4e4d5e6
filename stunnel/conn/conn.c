/* SPDX-License-Identifier: ISC */
#include "conn/conn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "conn/id.h"

uint64_t conn_now(const struct conn *c)
{
	return uv_now(c->pool->loop);
}

uint64_t conn_after(uint64_t since, int seconds)
{
	return seconds < 0 ? UINT64_MAX : since + (uint64_t)seconds * 1000;
}

/* --- that it was accepted -------------------------------------------------------------------- */

#define HELD_MS 1000

void conn_announce(struct conn *c)
{
	int level = c->accepted->log_level;
	char text[NET_TEXT_MAX] = "";

	if (c->announced)
		return;
	c->announced = true;
	if (c->has_peer)
		net_text(&c->front.peer, text);
	if (level >= LOG_DEBUG)
		log_line(level, c->id, LOG_DEBUG, "Service [%s] started", c->accepted->name);
	if (level >= LOG_NOTICE)
		log_line(level, c->id, LOG_NOTICE, "Service [%s] accepted connection%s%s",
			 c->accepted->name, c->has_peer ? " from " : "", text);
}

bool conn_dismiss(struct conn *c)
{
	char text[NET_TEXT_MAX];

	if (c->announced)
		return false;
	c->announced = c->dismissed = true;
	net_text(&c->front.peer, text);
	conn_log(c, LOG_INFO, "Service [%s]: %s connected and left without a byte",
		 c->accepted->name, text);
	return true;
}

/*
 * Until when the line waits for the client's first byte. A client that says nothing for longer is
 * no check, and shows in the log while it is there.
 */
static uint64_t held_until(const struct conn *c)
{
	return c->announced ? UINT64_MAX : c->began + HELD_MS;
}

/* --- closing: only marks; the loop reaps ------------------------------------------------------ */

static void log_end(struct conn *c)
{
	enum h1_dir to_tls = c->service->client ? H1_REQUEST : H1_RESPONSE;

	conn_log(c, LOG_NOTICE,
		 "Connection %s: %llu byte(s) sent to TLS, %llu byte(s) sent to socket",
		 c->end == STEP_RESET && c->service->reset ? "reset" : "closed",
		 (unsigned long long)c->relay.flow[to_tls].sent,
		 (unsigned long long)c->relay.flow[!to_tls].sent);
}

static bool is_live(const struct conn *c)
{
	return c->end == STEP_WAIT;
}

static void mark_dead(struct conn *c, enum step_result end)
{
	questions_leave(c->questions);
	c->end = end;
	exchange_end(&c->exchanges);
	requests_end(&c->requests);
	conn_count_bytes(c);
	c->next_dead = c->pool->dead;
	c->pool->dead = c;
}

static void conn_close(struct conn *c, enum step_result end)
{
	if (!is_live(c))
		return;
	mark_dead(c, end);
	if (!c->dismissed)
		log_end(c);
}

static void conn_free(struct conn *c)
{
	struct conn_pool *pool = c->pool;
	struct conn_service *accepted = c->accepted;
	bool room = admit_leave(&pool->admit, &accepted->admit);

	admit_left(&pool->admit, c->client_key);
	if (pool->to_list == c)
		pool->to_list = c->next;
	if (c->next)
		c->next->previous = c->previous;
	if (c->previous)
		c->previous->next = c->next;
	else
		pool->first = c->next;
	negotiation_close(c->negotiation);
	relay_free(&c->relay);
	questions_free(c->questions);
	free(c);
	if (pool->on_end)
		pool->on_end(pool->owner, accepted, room);
}

static void release(struct conn *c)
{
	if (--c->references == 0)
		conn_free(c);
}

static void on_timer_closed(uv_handle_t *handle)
{
	release(handle->data);
}

static enum end_close how_to_close(const struct conn *c)
{
	if (c->end == STEP_CLOSE)
		return END_WHOLE;
	if (c->end == STEP_LEAVE || !c->service->reset)
		return END_FIN;
	return c->end == STEP_CUT ? END_CUT : END_RESET;
}

static void reap(struct conn *c)
{
	enum end_close how = how_to_close(c);

	uv_close((uv_handle_t *)&c->timer, on_timer_closed);
	front_close(&c->front, how);
	conn_back_end(c, how);
}

static void reap_all(struct conn_pool *pool)
{
	while (pool->dead) {
		struct conn *c = pool->dead;

		pool->dead = c->next_dead;
		reap(c);
	}
	while (pool->ended) {
		struct back *b = pool->ended;

		pool->ended = b->next_ended;
		free(b);
	}
}

/* --- events ----------------------------------------------------------------------------------- */

static void conn_run(struct conn *c, unsigned events);

/*
 * A client from which nothing is wanted now is watched all the same: one that is gone must not keep
 * a backend busy. An end of its bytes would be reported again and again, and may be no more than a
 * half-close.
 */
static void client_left(struct conn *c, bool failed)
{
	watch_pause(&c->front.watch);
	c->front.end.state = END_LEFT;
	if (failed && is_live(c)) {
		conn_log(c, LOG_ERR, "transfer: the client reset its connection");
		conn_close(c, STEP_RESET);
	}
}

static void on_event(struct watch *w, bool failed, int events)
{
	struct conn *c = w->owner;
	bool back = c->back && w == &c->back->watch;
	unsigned read = back ? CONN_BACK_READ : CONN_FRONT_READ;
	unsigned write = back ? CONN_BACK_WRITE : CONN_FRONT_WRITE;

	if (events == WATCH_LEFT) {
		client_left(c, failed);
		events = WATCH_READ;
	} else if (failed) { /* a read or write tells why */
		events = WATCH_READ | WATCH_WRITE;
	}
	conn_run(c, (events & WATCH_READ ? read : 0) | (events & WATCH_WRITE ? write : 0));
}

static void run_again(struct conn_pool *pool)
{
	struct conn *list = pool->again;

	pool->again = NULL;
	while (list) {
		struct conn *c = list;

		list = c->next_again;
		c->in_again = false;
		if (is_live(c))
			conn_run(c, CONN_ALL_EVENTS);
		release(c);
	}
}

bool conn_pool_settle(struct conn_pool *pool)
{
	run_again(pool);
	reap_all(pool);
	return pool->again != NULL;
}

static void run_again_soon(struct conn *c)
{
	struct conn_pool *pool = c->pool;

	if (c->in_again)
		return;
	c->in_again = true;
	c->references++; /* so that the list never holds freed memory */
	c->next_again = pool->again;
	pool->again = c;
}

static void watch(struct conn *c, struct watch *w, int fd, int interest)
{
	if (!watch_for(w, &c->pool->watches, fd, interest, on_event, c))
		conn_close(c, STEP_RESET);
	else if (w->always && (interest & (WATCH_READ | WATCH_WRITE)))
		run_again_soon(c);
}

void conn_wait(struct conn *c, enum relay_side side, bool read, bool write)
{
	struct end *end = c->relay.end[side];
	int interest = (read ? WATCH_READ : 0) | (write ? WATCH_WRITE : 0);

	if (!end_is_open(end))
		return;
	if (interest == 0 && side == RELAY_FRONT && end->state == END_LIVE)
		interest = WATCH_LEFT;
	if (end->out != end->fd) {
		watch(c, &c->front.watch_out, end->out, interest & WATCH_WRITE);
		interest &= ~WATCH_WRITE;
	}
	watch(c, side == RELAY_FRONT ? &c->front.watch : &c->back->watch, end->fd, interest);
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

static struct step_at *running(struct conn *c)
{
	return conn_back_runs(c) ? &c->back->at : &c->front.at;
}

static const struct step *current_step(struct conn *c)
{
	return *running(c)->current;
}

uint64_t conn_since(const struct conn *c)
{
	return conn_back_runs(c) ? c->back->at.since : c->front.at.since;
}

void conn_begin_anew(struct conn *c)
{
	running(c)->since = conn_now(c);
}

static void settle(struct conn *c, struct step_at *half, enum step_result result);

static void on_timer(uv_timer_t *timer)
{
	struct conn *c = timer->data;
	const struct step *step = current_step(c);

	c->armed = UINT64_MAX;
	if (held_until(c) <= conn_now(c))
		conn_announce(c);
	if (is_live(c))
		settle(c, running(c),
		       step->deadline(c) <= conn_now(c) ? step->expired(c) : STEP_WAIT);
}

/*
 * The timer is never moved back: when it fires too early it is set again. So moving bytes costs no
 * timer operation.
 */
static void arm(struct conn *c)
{
	uint64_t at = current_step(c)->deadline(c), held = held_until(c), now = conn_now(c);

	if (held < at)
		at = held;
	if (at >= c->armed)
		return;
	c->armed = at;
	uv_timer_start(&c->timer, on_timer, at > now ? at - now : 0, 0);
}

/* --- the plan's run --------------------------------------------------------------------------- */

/* Follows the result of a half's step until there is something to wait for. */
static void settle(struct conn *c, struct step_at *half, enum step_result result)
{
	while (result == STEP_NEXT || result == STEP_AGAIN) {
		if (result == STEP_NEXT) {
			half->current++;
			running(c)->since = conn_now(c);
		}
		half = running(c);
		/* No event came for this step: it has to look for itself. */
		result = (*half->current)->run(c, CONN_ALL_EVENTS);
	}
	if (result >= STEP_CLOSE)
		conn_close(c, result);
	if (is_live(c))
		arm(c);
}

static void conn_run(struct conn *c, unsigned events)
{
	struct step_at *half;

	if (!is_live(c)) /* ended by an earlier event of the same batch */
		return;
	half = running(c);
	c->active = conn_now(c);
	settle(c, half, (*half->current)->run(c, events));
}

enum step_result conn_follow(struct conn *c, const struct step *const *plan)
{
	c->front.at = (struct step_at){plan, conn_now(c)};
	return STEP_AGAIN;
}

static const struct step *const *find(const struct step *const *plan, const struct step *step)
{
	while (*plan != step) {
		assert(*plan);
		plan++;
	}
	return plan;
}

enum step_result conn_go_to(struct conn *c, const struct step *step)
{
	return conn_follow(c, find(c->service->plan.step, step));
}

static struct tally *tally_of(const struct conn_pool *pool, const struct conn_service *service)
{
	return tally_slot(service->tallies, pool->admit.worker);
}

void conn_count_bytes(struct conn *c)
{
	for (size_t way = 0; way < TALLY_WAYS; way++) {
		uint64_t sent = c->relay.flow[way].sent;

		if (sent == c->counted[way])
			continue;
		tally_add(&c->tally->bytes[way], sent - c->counted[way]);
		c->counted[way] = sent;
	}
}

void conn_switch(struct conn *c, struct conn_service *service)
{
	c->service = service;
	c->tally = tally_of(c->pool, service);
	c->route = &service->route;
	c->front.at.current = find(service->plan.step, *c->front.at.current);
}

/* --- backs ------------------------------------------------------------------------------------ */

static void on_answer(void *owner) /* to a question, or with the addresses of a name */
{
	conn_run(owner, CONN_ALL_EVENTS);
}

struct questions *conn_questions(struct conn *c)
{
	if (!c->questions)
		c->questions = questions_new(on_answer, c, c->serial);
	return c->questions;
}

bool conn_back_begin(struct conn *c)
{
	return conn_back_follow(c, c->route->plan.step);
}

bool conn_back_follow(struct conn *c, const struct step *const *plan)
{
	struct back *b = back_open(plan, conn_now(c));

	if (!b)
		return false;
	b->names.wait = (struct waiting){.wake = on_answer, .owner = c};
	exchange_connecting(&c->exchanges);
	c->back = b;
	c->relay.end[RELAY_BACK] = &b->end;
	return true;
}

void conn_back_end(struct conn *c, enum end_close how)
{
	struct back *b = c->back;

	if (!b)
		return;
	back_close(b, how);
	b->next_ended = c->pool->ended;
	c->pool->ended = b;
	c->back = NULL;
	c->relay.end[RELAY_BACK] = NULL;
}

/* --- beginning and end ------------------------------------------------------------------------ */

/* A connection whose front is open; NULL without memory, or if the client has gone already. */
static struct conn *new_conn(struct conn_pool *pool, struct conn_service *service,
			     const struct end *end, const struct net_addr *peer)
{
	struct conn *c = calloc(1, sizeof *c);

	if (!c || !front_open(&c->front, end, peer, service->plan.step)) {
		free(c);
		return NULL;
	}
	c->pool = pool;
	c->service = c->accepted = service;
	c->tally = tally_of(pool, service);
	c->route = &service->route;
	c->serial = atomic_fetch_add(&pool->shared->serial, 1);
	id_make(c->id, sizeof c->id, (enum conn_log_id)service->log_id, c->serial);
	c->relay.scratch = &pool->scratch;
	c->relay.end[RELAY_FRONT] = &c->front.end;
	c->front.goal.wait = (struct waiting){.wake = on_answer, .owner = c};
	c->front.facts.plain = service->client;
	facts_identify(&c->front.facts, c->front.id, pool->shared->start, c->serial);
	c->front.at.since = c->began = conn_now(c);
	return c;
}

bool conn_admit(struct conn *c)
{
	const struct conn_service *s = c->accepted;

	return admit_client(&c->pool->admit, &s->admit, s->name, &c->front.facts.client,
			    &c->tally->rejected[TALLY_PER_IP], &c->client_key);
}

static bool turn_away(struct conn_pool *pool, struct conn_service *service, struct end *end,
		      enum end_close how)
{
	admit_leave(&pool->admit, &service->admit);
	end_close(end, how);
	return false;
}

bool conn_open(struct conn_pool *pool, struct conn_service *service, struct end *end,
	       const struct net_addr *peer)
{
	struct tally *tally = tally_of(pool, service);
	struct conn *c;

	tally_one(&tally->accepted);
	if (!admit_enter(&pool->admit, &service->admit, service->name)) {
		tally_one(&tally->rejected[TALLY_LIMIT]);
		end_close(end, END_FIN);
		return false;
	}
	if (peer) /* else a pipe, or a terminal */
		net_options_set(service->options, NET_LOCAL, peer->u.sa.sa_family, end->fd);
	c = new_conn(pool, service, end, peer);
	if (!c) {
		tally_one(&tally->rejected[TALLY_RESOURCES]);
		return turn_away(pool, service, end, END_RESET);
	}
	if (service->policy->accept_proxy == SERVICE_PROXY_NO && !conn_admit(c)) {
		free(c);
		return turn_away(pool, service, end, END_FIN);
	}
	uv_timer_init(pool->loop, &c->timer);
	c->timer.data = c;
	c->references = 1;
	c->armed = UINT64_MAX;
	c->next = pool->first;
	if (c->next)
		c->next->previous = c;
	pool->first = c;
	c->has_peer = peer != NULL;
	if (!service->hears_first || !peer)
		conn_announce(c);
	conn_run(c, CONN_ALL_EVENTS);
	return true;
}

bool conn_pool_open(struct conn_pool *pool, uv_loop_t *loop, size_t out_cap,
		    struct conn_shared *shared)
{
	memset(pool, 0, sizeof *pool);
	pool->loop = loop;
	pool->shared = shared;
	pool->scratch.out_cap = out_cap;
	pool->scratch.out = malloc(out_cap);
	spare_open(&pool->spares, loop, &pool->watches, &pool->admit);
	return pool->scratch.out && resolve_open(&pool->resolve, loop) &&
	       watch_set_open(&pool->watches, loop);
}

void conn_pool_close(struct conn_pool *pool)
{
	for (struct conn *c = pool->first; c; c = c->next)
		if (is_live(c))
			mark_dead(c, relay_whole(&c->relay) ? STEP_CLOSE : STEP_CUT);
	spare_close(&pool->spares);
	conn_pool_settle(pool); /* runs nobody, since all are dead: only drops references */
	resolve_close(&pool->resolve);
}

#define REST_MS 2000

void conn_pool_unshare(struct conn_pool *pool)
{
	spare_stop(&pool->spares);
	for (struct conn *c = pool->first; c; c = c->next)
		c->h1.limits.pool = false;
}

void conn_pool_drain(struct conn_pool *pool)
{
	pool->draining = true;
	for (struct conn *c = pool->first; c; c = c->next)
		if (is_live(c) && c->relay.h1)
			h1_finish(&c->h1);
}

/*
 * Whether the client is owed nothing: it is between requests and has got all answers, or has not
 * said a byte. What has come since the last event is looked for, since timers run ahead of events.
 */
static bool is_idle(const struct conn *c)
{
	bool owed_nothing =
		c->relay.h1
			? h1_phase(&c->h1, H1_REQUEST) == H1_IDLE && relay_whole(&c->relay)
			: c->service->hears_first && !c->front.end.tls && !c->back && c->has_peer;
	char byte;

	return owed_nothing && net_peek(c->front.end.fd, &byte, 1) <= 0;
}

void conn_pool_rest(struct conn_pool *pool)
{
	for (struct conn *c = pool->first; c; c = c->next)
		if (is_live(c) && conn_now(c) - c->active >= REST_MS && is_idle(c))
			conn_close(c, STEP_CLOSE);
}

void conn_pool_free(struct conn_pool *pool)
{
	watch_set_close(&pool->watches);
	resolve_free(&pool->resolve);
	free(pool->scratch.out);
}
