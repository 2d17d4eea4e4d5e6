/* SPDX-License-Identifier: ISC */
#include "conn/steps/transfer.h"

#include "conn/reuse.h"
#include "conn/steps/answer.h"
#include "conn/steps/first_head.h"

/* Answers come one after the other, and each interim one tells that the backend is still at work.
 */
static void watch_answer(struct conn *c)
{
	uint64_t sent = c->relay.flow[H1_RESPONSE].sent;

	if (!relay_awaits_answer(&c->relay))
		c->answer.since = 0;
	else if (c->answer.since == 0 || c->answer.number != sent)
		c->answer.since = conn_now(c);
	c->answer.number = sent;
}

static uint64_t answer_deadline(const struct conn *c)
{
	return c->answer.since != 0 ? conn_after(c->answer.since, c->service->timeout.answer)
				    : UINT64_MAX;
}

static uint64_t deadline(const struct conn *c)
{
	uint64_t answer = answer_deadline(c), other;

	other = relay_closing(&c->relay) ? conn_after(c->active, c->service->timeout.close)
					 : first_head_deadline(c);
	return answer < other ? answer : other;
}

/* The answer that is late comes before one to a request behind it that was refused. */
static enum step_result answer_late(struct conn *c)
{
	c->answer.since = 0;
	c->h1.error = ERR_BACKEND_TIMEOUT;
	return answer_refuse(c, ERR_BACKEND_TIMEOUT);
}

/*
 * TIMEOUTclose = 0 asks not to wait for the other direction. That it had not ended within no time
 * tells nothing of the peer, and clients of stock that end their own half first expect a FIN. HTTP
 * tells what is whole, and an answer of HTTP that ends with the connection must not look so.
 */
static enum step_result closing_expired(struct conn *c)
{
	conn_log(c, LOG_INFO, "transfer: s_poll_wait: TIMEOUTclose exceeded: closing");
	if (relay_whole(&c->relay))
		return STEP_CLOSE;
	return c->service->timeout.close == 0 && !c->relay.h1 ? STEP_LEAVE : STEP_CUT;
}

static enum step_result expired(struct conn *c)
{
	if (answer_deadline(c) <= conn_now(c))
		return answer_late(c);
	if (relay_closing(&c->relay))
		return closing_expired(c);
	if (c->head.since != 0) {
		c->head.since = 0;
		return answer_refuse(c, ERR_REQUEST_TIMEOUT);
	}
	conn_log(c, LOG_INFO, "transfer: s_poll_wait: TIMEOUTidle exceeded: sending reset");
	return STEP_RESET;
}

/* httpKeepAlive = client: back to where requests are awaited without a back. */
static enum step_result renew(struct conn *c)
{
	conn_log(c, LOG_INFO, "Backend connection closed: the next request opens another one");
	conn_back_end(c, END_WHOLE);
	c->answer.since = 0;
	relay_renew(&c->relay);
	return conn_go_to(c, &first_head_step);
}

/* httpKeepAlive = pool: likewise, and the next request takes the back that is there. */
static enum step_result give_up(struct conn *c)
{
	reuse_give(c);
	c->answer.since = 0;
	relay_renew(&c->relay);
	return conn_go_to(c, &first_head_step);
}

static enum step_result run(struct conn *c, unsigned events)
{
	/* Writing to a side flushes what comes from the other. */
	bool requests = events & (CONN_FRONT_READ | CONN_BACK_WRITE);
	bool responses = events & (CONN_BACK_READ | CONN_FRONT_WRITE);
	enum relay_status status;

	status = relay_run(&c->relay, requests, responses);
	conn_count_bytes(c);
	if (c->h1.mended != 0)
		answer_tell_mended(c);
	switch (status) {
	case RELAY_WAIT:
		if (c->relay.h1 && c->h1.error != ERR_NONE)
			answer_tell_refusal(c);
		first_head_watch(c);
		watch_answer(c);
		conn_wait_relay(c);
		return STEP_WAIT;
	case RELAY_RENEW:
		return renew(c);
	case RELAY_SPARE:
		return give_up(c);
	case RELAY_OVER:
		return answer_over(c);
	case RELAY_DONE:
		return STEP_CLOSE;
	case RELAY_REFUSED:
		return answer_refuse(c, c->h1.error);
	case RELAY_ABORT:
		break;
	}
	conn_log(c, LOG_ERR, "transfer: %s", c->pool->scratch.why);
	return STEP_RESET;
}

const struct step transfer_step = {"transfer", run, deadline, expired};
