/* SPDX-License-Identifier: ISC */
#include "conn/steps/first_head.h"

#include "conn/steps/answer.h"

void first_head_watch(struct conn *c)
{
	if (c->relay.h1)
		h1_clock_look(&c->head, &c->h1, conn_now(c));
}

uint64_t first_head_deadline(const struct conn *c)
{
	const struct conn_timeouts *t = &c->service->timeout;
	uint64_t idle = conn_after(c->active, t->idle),
		 head = conn_after(c->head.since, c->service->policy->timeout_request);

	return c->head.since != 0 && head < idle ? head : idle;
}

/* TIMEOUTrequest begins with the step for the first request, for others with their first byte. */
static uint64_t deadline(const struct conn *c)
{
	return c->h1.requests == 0
		       ? conn_after(c->front.at.since, c->service->policy->timeout_request)
		       : first_head_deadline(c);
}

/* A client that has sent nothing gets no answer: it only opened a connection in advance. */
static enum step_result expired(struct conn *c)
{
	if (h1_phase(&c->h1, H1_REQUEST) == H1_HEAD)
		return answer_refuse(c, ERR_REQUEST_TIMEOUT);
	conn_log(c, LOG_INFO, "%s exceeded: closing",
		 c->h1.requests == 0 ? "TIMEOUTrequest" : "TIMEOUTidle");
	return STEP_CLOSE;
}

void first_head_begin(struct conn *c)
{
	struct conn_service *s = c->service;
	struct h1_limits limits = s->policy->limits;

	/* One request at a time is what another backend connection can take over. */
	limits.keep_client = limits.in_flight == 1;
	limits.pool &= !c->pool->spares.stopped;
	limits.pool_first = s->spare.first;
	c->front.facts.client_trusted = ip_blocks_hold(&s->policy->trusted, &c->front.facts.client);
	c->front.facts.trace_begins = rewrite_begins_trace(&s->policy->rewrite, &c->front.facts);
	h1_init(&c->h1, &s->policy->rewrite, &c->front.facts, limits);
	if (c->pool->draining)
		h1_finish(&c->h1);
	c->relay.h1 = &c->h1;
	if (s->access)
		access_begin(&c->exchanges, s->access, &c->h1, s->name);
	requests_begin(&c->requests, c->tally, c->pool->loop, &c->h1);
	flight_begin(&c->flight, &c->h1);
}

static enum step_result run(struct conn *c, unsigned events)
{
	(void)events;
	if (c->route->blind)
		return STEP_NEXT;
	if (!c->relay.h1)
		first_head_begin(c);
	switch (relay_first(&c->relay)) {
	case RELAY_WAIT:
		first_head_watch(c);
		conn_wait_relay(c);
		return STEP_WAIT;
	case RELAY_DONE:
		return c->relay.flow[H1_REQUEST].unsent.len != 0 ? STEP_NEXT : STEP_CLOSE;
	case RELAY_REFUSED:
		return answer_refuse(c, c->h1.error);
	case RELAY_SPARE:
	case RELAY_RENEW: /* there is no backend that could end */
	case RELAY_OVER:
	case RELAY_ABORT:
		break;
	}
	conn_log(c, LOG_ERR, "transfer: %s", c->pool->scratch.why);
	return STEP_RESET;
}

const struct step first_head_step = {"request", run, deadline, expired};
