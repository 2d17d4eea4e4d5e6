/* SPDX-License-Identifier: ISC */
#include "conn/steps/handshake.h"

#include <stdlib.h>

void handshake_say(void *owner, int level, const char *text)
{
	struct conn *c = owner;

	conn_log(c, level, "%s", text);
}

bool handshake_ask(void *owner, const struct stack_st_X509 *chain)
{
	struct conn *c = owner;

	c->revocation.since = conn_now(c);
	return revocation_ask(&c->pool->revocation, &c->revocation, c->service->index, chain);
}

bool handshake_begin(struct conn *c, struct end *end, const struct tls_calls *calls)
{
	struct tls *tls = calloc(1, sizeof *tls);

	if (!tls || !tls_open(tls, c->service->tls, end->fd, end->out, calls, c)) {
		free(tls);
		return false;
	}
	if (c->service->asks)
		tls_may_ask(tls);
	end->tls = tls;
	return true;
}

/* The client's leaving is awaited all the time. */
static void wait_for(struct conn *c, const struct end *end)
{
	bool front = end == &c->front.end, asks = tls_asks(end->tls);
	bool write = !asks && tls_wants_write(end->tls), read = !asks && !write;

	conn_wait(c, RELAY_FRONT, front && read, front && write);
	if (!front)
		conn_wait(c, RELAY_BACK, read, write);
}

int handshake_run(struct conn *c, struct end *end)
{
	int rc = TLS_AGAIN;

	if (tls_asks(end->tls) && c->revocation.answered)
		tls_answer(end->tls, &c->revocation.answer);
	if (!tls_asks(end->tls))
		rc = tls_handshake(end->tls, c->pool->scratch.why);
	if (rc == TLS_AGAIN)
		wait_for(c, end);
	return rc;
}

void handshake_log(struct conn *c, const struct end *end, const char *done)
{
	char text[128];

	if (c->service->log_level < LOG_INFO)
		return;
	conn_log(c, LOG_INFO, "%s: %s", done, tls_origin(end->tls));
	tls_describe(end->tls, text);
	conn_log(c, LOG_INFO, "%s", text);
}

uint64_t handshake_deadline(const struct conn *c, uint64_t since)
{
	return c->revocation.at ? conn_after(c->revocation.since, c->service->ocsp_seconds)
				: conn_after(since, c->service->timeout.busy);
}

bool handshake_expired(struct conn *c, struct end *end)
{
	static const struct tls_ocsp_answer late = {.why = "TIMEOUTocsp exceeded"};

	if (!c->revocation.at) {
		conn_log(c, LOG_INFO, "TIMEOUTbusy exceeded: sending reset");
		return false;
	}
	revocation_cancel(&c->revocation);
	tls_answer(end->tls, &late);
	return true;
}
