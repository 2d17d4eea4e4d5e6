/* SPDX-License-Identifier: ISC */
#include "conn/steps/tls_connect.h"

#include "conn/steps/answer.h"
#include "conn/steps/handshake.h"
#include "conn/target.h"

static const struct tls_calls calls = {.say = handshake_say, .ask = handshake_ask};

static bool begin(struct conn *c)
{
	struct end *end = &c->back->end;
	char peer[NET_TEXT_MAX];

	if (!handshake_begin(c, end, &calls))
		return false;
	net_text(target_current(c), peer);
	tls_resume(end->tls, peer);
	return true;
}

static enum step_result run(struct conn *c, unsigned events)
{
	int rc;

	(void)events;
	if (!c->back->end.tls && !begin(c))
		return STEP_RESET;
	rc = handshake_run(c, &c->back->end);
	if (rc == 1) {
		handshake_done(c, &c->back->end, "TLS connected");
		return STEP_NEXT;
	}
	if (rc == TLS_AGAIN)
		return STEP_WAIT;
	conn_log(c, LOG_ERR, "%s", c->pool->scratch.why);
	handshake_failed(c, &c->back->end, rc);
	return answer_unavailable(c);
}

static uint64_t deadline(const struct conn *c)
{
	return handshake_deadline(c, c->back->at.since);
}

static enum step_result expired(struct conn *c)
{
	return handshake_expired(c, &c->back->end) ? run(c, 0) : answer_unavailable(c);
}

const struct step tls_connect_step = {"handshake", run, deadline, expired};
