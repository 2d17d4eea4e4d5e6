/* SPDX-License-Identifier: ISC */
#include "conn/steps/transfer.h"

#include "conn/steps/answer.h"
#include "conn/steps/first_head.h"

static uint64_t deadline(const struct conn *c)
{
	const struct conn_timeouts *t = &c->service->timeout;

	if (relay_closing(&c->relay))
		return conn_after(c->active, t->close);
	return first_head_deadline(c);
}

static enum step_result expired(struct conn *c)
{
	if (relay_closing(&c->relay)) {
		conn_log(c, LOG_INFO, "transfer: s_poll_wait: TIMEOUTclose exceeded: closing");
		return relay_whole(&c->relay) ? STEP_CLOSE : STEP_CUT;
	}
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
	if (c->h1.mended != 0)
		answer_tell_mended(c);
	switch (status) {
	case RELAY_WAIT:
		if (c->relay.h1 && c->h1.error != ERR_NONE)
			answer_tell_refusal(c);
		first_head_watch(c);
		conn_wait_relay(c);
		return STEP_WAIT;
	case RELAY_RENEW:
		return renew(c);
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
