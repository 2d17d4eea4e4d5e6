/* SPDX-License-Identifier: ISC */
#include "conn/steps/negotiate.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conn/steps/answer.h"
#include "negotiate/negotiators.h"

#define FOUND_MAX 32  /* addresses of a name that a client may be connected to */
#define LISTEN_MS 200 /* how long a state that listens waits for somebody who begins TLS */

static_assert(NEGOTIATION_FRONT == (int)RELAY_FRONT && NEGOTIATION_BACK == (int)RELAY_BACK,
	      "sides of a negotiation are those of the relay");

static void say(void *owner, int level, const char *text)
{
	struct conn *c = owner;

	conn_log(c, level, "%s", text);
}

static bool begin(struct conn *c, enum negotiation_phase phase)
{
	const struct conn_service *s = c->service;
	const struct facts_addr *server = &c->front.facts.server;
	bool bare = server->family == FACTS_IPV4;
	char target[64];

	snprintf(target, sizeof target, "%s%s%s:%d", bare ? "" : "[", server->text, bare ? "" : "]",
		 server->port);
	c->negotiation = negotiation_open(negotiators_in(s->protocol, phase, &s->negotiation),
					  &s->negotiation, target, say, c);
	return c->negotiation;
}

/* A connection that is still waiting for one side's bytes hears nothing from the other. */
static enum step_result wait_for(struct conn *c, enum relay_side side, bool read, bool write)
{
	conn_wait(c, side, read, write);
	conn_wait(c, !side, false, false);
	return STEP_WAIT;
}

static enum step_result give_up(struct conn *c, enum negotiation_phase phase, const char *why)
{
	conn_log(c, LOG_ERR, "%s", why);
	negotiation_close(c->negotiation);
	c->negotiation = NULL;
	return phase >= NEGOTIATION_PLAIN ? answer_unavailable(c) : STEP_RESET;
}

/* Writes what is to be said. 1: all of it; else TLS_AGAIN or TLS_FAILED with the reason. */
static int put_out(struct conn *c, enum relay_side side)
{
	struct out *out = &c->negotiation->out[side];
	struct end *end = c->relay.end[side];
	int rc;

	while (out->len != 0) {
		ssize_t n = end_write(end, out->p, out->len, c->pool->scratch.why);

		if (n <= 0)
			return (int)n;
		memmove(out->p, out->p + n, out->len - (size_t)n);
		out->len -= (size_t)n;
	}
	rc = end_is_open(end) ? end_flush(end, c->pool->scratch.why) : 1;
	return rc;
}

/* Whether bytes wait behind the unit with which TLS begins. */
static bool something_waits(const struct conn *c, enum relay_side side)
{
	char byte;

	return net_peek(c->relay.end[side]->fd, &byte, 1) > 0;
}

/* Takes bytes up to the end of a unit. 1: it is whole; else TLS_..., as end_read(). */
static int take_unit(struct conn *c)
{
	struct negotiation *n = c->negotiation;
	const struct negotiation_state *now = negotiation_now(n);
	enum relay_side side = (enum relay_side)now->from;
	bool whole = false;
	char byte;

	while (!whole && negotiation_result(n) == NEGOTIATION_GOES_ON) {
		ssize_t got = end_read(c->relay.end[side], &byte, 1, c->pool->scratch.why);

		if (got == 0 || got == TLS_CUT)
			snprintf(c->pool->scratch.why, TLS_WHY_MAX,
				 "The %s ended before protocol = %s was through",
				 side == RELAY_FRONT ? "client" : "server", n->who->protocol);
		if (got <= 0)
			return (int)got;
		negotiation_take(n, byte, &whole);
	}
	return 1;
}

/* 1: somebody has begun TLS; else TLS_AGAIN, or what became of the socket. */
static int hear(struct conn *c)
{
	char byte;
	ssize_t n = net_peek(c->relay.end[negotiation_now(c->negotiation)->from]->fd, &byte, 1);

	if (n > 0)
		negotiation_heard(c->negotiation, true);
	if (n <= 0 && n != -EAGAIN)
		snprintf(c->pool->scratch.why, TLS_WHY_MAX, "The client has gone");
	return n == -EAGAIN ? TLS_AGAIN : n > 0 ? 1 : TLS_FAILED;
}

static void tell_found(struct conn *c, const char *why)
{
	struct net_addrs *found = &c->front.goal.found;
	struct facts_addr list[FOUND_MAX];

	if (found->count > FOUND_MAX)
		found->count = FOUND_MAX;
	for (size_t i = 0; i < found->count; i++)
		net_facts(&found->addr[i], &list[i]);
	front_end_look_up(&c->front);
	negotiation_found(c->negotiation, list, found->count, why);
}

/* Finds the addresses of what the client asks for. 1: it is told of them; or TLS_AGAIN. */
static int seek(struct conn *c)
{
	struct front_goal *goal = &c->front.goal;
	struct resolve *r = &c->pool->resolve;
	const char *text = c->negotiation->goal, *why = "Not the name of a host";

	if (!goal->set && text[0] && !resolve_busy(r))
		goal->set = resolve_set(r, &text, 1);
	if (goal->set && !resolve_ready(r, goal->set, &goal->wait))
		return TLS_AGAIN;
	if (goal->set)
		resolve_take(goal->set, &goal->found, &why);
	else if (text[0])
		why = "Too many names are being looked up";
	tell_found(c, why);
	return 1;
}

/* Takes what the state waits for; 1, or as end_read(). */
static int take(struct conn *c)
{
	const struct negotiation_state *now = negotiation_now(c->negotiation);
	int rc = now->seeks ? seek(c) : now->listens ? hear(c) : take_unit(c);

	if (rc != 1)
		return rc;
	if (now->last && negotiation_result(c->negotiation) == NEGOTIATION_DONE &&
	    something_waits(c, (enum relay_side)now->from))
		negotiation_refuse(c->negotiation, "Plain text was sent ahead of TLS");
	conn_begin_anew(c); /* its time is that of one wait */
	return 1;
}

static enum step_result end(struct conn *c, enum negotiation_phase phase)
{
	enum negotiation_result result = negotiation_result(c->negotiation);

	if (result == NEGOTIATION_FAILED)
		return give_up(c, phase, c->negotiation->why);
	negotiation_close(c->negotiation);
	c->negotiation = NULL;
	for (int side = 0; side < 2; side++)
		conn_wait(c, (enum relay_side)side, false, false);
	return result == NEGOTIATION_DONE ? STEP_NEXT : STEP_CLOSE;
}

static enum step_result go_on(struct conn *c, enum negotiation_phase phase)
{
	struct negotiation *n = c->negotiation;
	int rc;

	for (;;) {
		for (int side = 0; side < 2; side++) {
			rc = put_out(c, (enum relay_side)side);
			if (rc == TLS_AGAIN)
				return wait_for(c, (enum relay_side)side, false, true);
			if (rc != 1)
				return give_up(c, phase, c->pool->scratch.why);
		}
		if (negotiation_result(n) != NEGOTIATION_GOES_ON)
			return end(c, phase);
		rc = take(c);
		if (rc == TLS_AGAIN)
			return wait_for(c, (enum relay_side)negotiation_now(n)->from,
					!negotiation_now(n)->seeks, false);
		if (rc != 1)
			return give_up(c, phase, c->pool->scratch.why);
	}
}

static enum step_result run(struct conn *c, enum negotiation_phase phase)
{
	if (phase == NEGOTIATION_ASKED && c->route != &c->service->route)
		return STEP_NEXT; /* who authenticated nobody goes elsewhere, and chooses nothing */
	if (!c->negotiation && !begin(c, phase))
		return STEP_RESET;
	return go_on(c, phase);
}

/* The state that waits for input; NULL: none. */
static const struct negotiation_state *waiting(const struct conn *c)
{
	const struct negotiation *n = c->negotiation;

	return n && negotiation_result(n) == NEGOTIATION_GOES_ON ? negotiation_now(n) : NULL;
}

static uint64_t deadline(const struct conn *c)
{
	const struct negotiation_state *now = waiting(c);
	uint64_t since = conn_since(c);

	if (now && now->listens)
		return since + LISTEN_MS;
	return conn_after(since, now && now->seeks ? c->service->timeout.resolve
						   : c->service->timeout.busy);
}

static enum step_result expired(struct conn *c)
{
	const struct negotiation_state *now = waiting(c);

	if (now && now->seeks)
		tell_found(c, "TIMEOUTresolve exceeded");
	else if (now && now->listens)
		negotiation_heard(c->negotiation, false);
	else
		return give_up(c, c->negotiation->who->phase,
			       "TIMEOUTbusy exceeded: sending reset");
	conn_begin_anew(c);
	return STEP_AGAIN;
}

#define STEP(name, phase)                                                   \
	static enum step_result run_##name(struct conn *c, unsigned events) \
	{                                                                   \
		(void)events;                                               \
		return run(c, phase);                                       \
	}                                                                   \
	const struct step negotiate_##name##_step = {"negotiation", run_##name, deadline, expired}

STEP(early, NEGOTIATION_EARLY);
STEP(greeted, NEGOTIATION_GREETED);
STEP(asked, NEGOTIATION_ASKED);
STEP(plain, NEGOTIATION_PLAIN);
STEP(inside, NEGOTIATION_INSIDE);
