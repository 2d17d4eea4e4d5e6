/* SPDX-License-Identifier: ISC */
#include "conn/steps/tls_connect.h"

#include <stdlib.h>

#include "conn/steps/answer.h"
#include "conn/target.h"
#include "tls/tls.h"

static void say(void *owner, int level, const char *text)
{
	struct conn *c = owner;

	conn_log(c, level, "%s", text);
}

static const struct tls_calls calls = {.say = say};

static bool begin(struct conn *c)
{
	struct tls *tls = calloc(1, sizeof *tls);
	char peer[NET_TEXT_MAX];

	if (!tls || !tls_open(tls, c->service->tls, c->back->end.fd, &calls, c)) {
		free(tls);
		return false;
	}
	c->back->end.tls = tls;
	net_text(target_current(c), peer);
	tls_resume(tls, peer);
	return true;
}

static void log_done(struct conn *c)
{
	struct tls *tls = c->back->end.tls;
	char text[128];

	if (c->service->log_level < LOG_INFO)
		return;
	conn_log(c, LOG_INFO, "TLS connected: %s", tls_origin(tls));
	tls_describe(tls, text);
	conn_log(c, LOG_INFO, "%s", text);
}

static enum step_result run(struct conn *c, unsigned events)
{
	int rc;

	(void)events;
	if (!c->back->end.tls && !begin(c))
		return STEP_RESET;
	rc = tls_handshake(c->back->end.tls, c->pool->scratch.why);
	if (rc == 1) {
		log_done(c);
		return STEP_NEXT;
	}
	if (rc == TLS_AGAIN) {
		bool write = tls_wants_write(c->back->end.tls);

		conn_wait(c, RELAY_FRONT, false, false);
		conn_wait(c, RELAY_BACK, !write, write);
		return STEP_WAIT;
	}
	conn_log(c, LOG_ERR, "%s", c->pool->scratch.why);
	return answer_unavailable(c);
}

static uint64_t deadline(const struct conn *c)
{
	return conn_after(c->back->at.since, c->service->timeout.busy);
}

static enum step_result expired(struct conn *c)
{
	conn_log(c, LOG_INFO, "TIMEOUTbusy exceeded: sending reset");
	return answer_unavailable(c);
}

const struct step tls_connect_step = {run, deadline, expired};
