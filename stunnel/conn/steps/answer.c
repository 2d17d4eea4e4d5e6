/* SPDX-License-Identifier: ISC */
#include "conn/steps/answer.h"

#include <errno.h>

#include "core/errors.h"
#include "core/h1_answer.h"
#include "sys/net.h"

/* Counts and logs, at its first call for an error, what happened, to whom, and by which rule. */
static void tell(struct conn *c, const char *what, enum error error)
{
	char text[NET_TEXT_MAX];

	if (error == ERR_NONE || c->told == error)
		return;
	c->told = error;
	tally_one(&c->tally->errors[error]);
	front_client(&c->front, text);
	conn_log(c, LOG_WARNING, "Service [%s] %s %s: %s", c->service->name, what, text,
		 errors_info[error].log);
}

void answer_tell_refusal(struct conn *c)
{
	enum error e = c->h1.error;

	tell(c, errors_of_answer(e) ? "refused an answer to" : "refused a request from", e);
}

void answer_tell_mended(struct conn *c)
{
	enum error e;

	while ((e = h1_take_mended(&c->h1)) != ERR_NONE) {
		uint32_t bit = h1_answer_mended(e);

		tally_one(&c->tally->errors[e]);
		if (!(c->mended & bit))
			conn_log(c, LOG_INFO, "Service [%s] mended an answer: %s", c->service->name,
				 errors_info[e].log);
		c->mended |= bit;
	}
}

static enum step_result run(struct conn *c, unsigned events)
{
	switch (relay_run(&c->relay, events & CONN_FRONT_READ, events & CONN_FRONT_WRITE)) {
	case RELAY_WAIT:
		conn_wait_relay(c);
		return STEP_WAIT;
	case RELAY_DONE:
		return STEP_CLOSE;
	case RELAY_RENEW: /* there is no back that could end, */
	case RELAY_SPARE:
	case RELAY_OVER:
	case RELAY_REFUSED: /* and no request is taken any more */
	case RELAY_ABORT:
		break;
	}
	conn_log(c, LOG_ERR, "transfer: %s", c->pool->scratch.why);
	return STEP_RESET;
}

/*
 * What the client still sends is thrown away until an absolute time, for a second even with
 * TIMEOUTclose = 0: close(2) with bytes unread sends a reset, which overtakes the answer.
 */
static uint64_t deadline(const struct conn *c)
{
	int close = c->service->timeout.close;

	return conn_after(c->front.at.since, close > 0 ? close : 1);
}

static enum step_result expired(struct conn *c)
{
	conn_log(c, LOG_INFO, "transfer: s_poll_wait: TIMEOUTclose exceeded: closing");
	return relay_whole(&c->relay) ? STEP_CLOSE : STEP_CUT;
}

static const struct step answer_step = {"answer", run, deadline, expired};

static const struct step *const plan[] = {&answer_step, NULL};

static enum step_result answer(struct conn *c, enum error error)
{
	relay_answer(&c->relay, error);
	exchange_answer(&c->exchanges, error);
	requests_answer(&c->requests, error);
	return conn_follow(c, plan);
}

enum step_result answer_over(struct conn *c)
{
	if (h1_in_flight(&c->h1) != 0)
		tell(c, "leaves it to repeat a request to", ERR_BACKEND_CLOSED);
	conn_back_end(c, END_WHOLE);
	relay_end(&c->relay);
	return conn_follow(c, plan);
}

enum step_result answer_refuse(struct conn *c, enum error error)
{
	h1_fail(&c->h1, error);
	answer_tell_refusal(c);
	switch (relay_reply(&c->relay)) {
	case H1_REPLY_LATER:
		return STEP_WAIT;
	case H1_REPLY_NEVER:
		return STEP_RESET;
	case H1_REPLY_NOW:
		break;
	}
	/* In the middle of a request the backend must not take what it has for a whole one. */
	conn_back_end(c, h1_phase(&c->h1, H1_REQUEST) == H1_BODY ? END_RESET : END_WHOLE);
	return answer(c, c->h1.error);
}

/*
 * A client that a reset reaches before its connect(2) has returned takes the port for closed: so do
 * scripts and checks that wait for the daemon. It gets the time that this takes on a busy machine.
 */
#define CONNECT_MS 100

static uint64_t reset_deadline(const struct conn *c)
{
	return c->began + CONNECT_MS;
}

static enum step_result reset_expired(struct conn *c)
{
	(void)c;
	return STEP_RESET;
}

/* A byte or an end, as well as an alert of ours, shows that the client is through. */
static enum step_result reset_run(struct conn *c, unsigned events)
{
	char byte;

	(void)events;
	if (c->front.end.tls || !c->has_peer || !c->service->reset ||
	    conn_now(c) >= reset_deadline(c) || net_peek(c->front.end.fd, &byte, 1) != -EAGAIN)
		return STEP_RESET;
	conn_wait(c, RELAY_FRONT, true, false);
	return STEP_WAIT;
}

static const struct step reset_step = {"reset", reset_run, reset_deadline, reset_expired};

static const struct step *const reset_plan[] = {&reset_step, NULL};

static enum step_result reset(struct conn *c)
{
	conn_back_end(c, c->service->reset ? END_RESET : END_FIN);
	return conn_follow(c, reset_plan);
}

/* Requests were taken, but none reached a backend: nothing can be in the answer's way. */
enum step_result answer_unavailable(struct conn *c)
{
	if (!c->relay.h1)
		return reset(c);
	h1_fail(&c->h1, ERR_BACKEND_UNAVAILABLE);
	tell(c, "refused a request from", ERR_BACKEND_UNAVAILABLE);
	conn_back_end(c, END_WHOLE);
	return answer(c, ERR_BACKEND_UNAVAILABLE);
}
