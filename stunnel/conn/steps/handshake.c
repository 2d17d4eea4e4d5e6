/* SPDX-License-Identifier: ISC */
#include "conn/steps/handshake.h"

#include <stdio.h>
#include <stdlib.h>

void handshake_say(void *owner, int level, const char *text)
{
	struct conn *c = owner;

	conn_log(c, level, "%s", text);
}

bool handshake_ask(void *owner, const struct stack_st_X509 *chain)
{
	struct conn *c = owner;
	struct questions *q = conn_questions(c);

	if (!q)
		return false;
	q->inquiry.since = conn_now(c);
	return revocation_ask(&c->pool->revocation, &q->inquiry, &q->revocation, c->service->index,
			      chain);
}

static void say_request(struct conn *c, const struct tls_remote *request)
{
	static const char *const verbs[] = {"new", "get", "remove"};
	char id[2 * SESSIOND_ID_MAX + 1] = "";

	for (size_t i = 0; i < request->id_len && i < SESSIOND_ID_MAX; i++)
		snprintf(id + 2 * i, 3, "%02X", request->id[i]);
	conn_log(c, LOG_INFO, "cache_transfer: request=%s, timeout=%ld, id=%s, length=%zu",
		 verbs[request->verb], request->seconds, id, request->len);
}

bool handshake_remote(void *owner, const struct tls_remote *request)
{
	struct conn *c = owner;
	struct questions *q = conn_questions(c);

	say_request(c, request);
	if (request->len > SESSIOND_SESSION_MAX) {
		conn_log(c, LOG_ERR, "cache_transfer: encoded session too big (%zu bytes)",
			 request->len);
		return false;
	}
	if (!q)
		return false;
	q->sessiond.since = conn_now(c);
	return sessiond_send(&c->pool->sessiond, &c->service->sessiond, request, &q->sessiond);
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
	bool write = !asks && (end_keeps(end) || tls_wants_write(end->tls));
	bool read = !asks && !write;

	conn_wait(c, RELAY_FRONT, front && read, front && write);
	if (!front)
		conn_wait(c, RELAY_BACK, read, write);
}

static void take_session(struct conn *c, struct end *end, struct sessiond_wait *wait)
{
	wait->answered = false; /* the next question may be another one's */
	conn_log(c, LOG_INFO, "cache_transfer: session %s", wait->len != 0 ? "found" : "not found");
	tls_found(end->tls, wait->session, wait->len);
}

static void take_answers(struct conn *c, struct end *end, struct questions *q)
{
	if (tls_asks(end->tls) && q->inquiry.answered) {
		q->inquiry.answered = false;
		tls_answer(end->tls, &q->revocation.answer);
	}
	if (tls_asks(end->tls) && q->sessiond.answered)
		take_session(c, end, &q->sessiond);
}

int handshake_run(struct conn *c, struct end *end)
{
	int rc = TLS_AGAIN;

	if (c->questions)
		take_answers(c, end, c->questions);
	if (!tls_asks(end->tls))
		rc = tls_handshake(end->tls, c->pool->scratch.why);
	if (rc == TLS_AGAIN)
		wait_for(c, end);
	return rc;
}

/* For an end without an alert OpenSSL has one of ours, which nobody gets. */
void handshake_failed(struct conn *c, const struct end *end, int result)
{
	tally_counter *failures = c->tally->handshake_failures;
	const struct tls *tls = end->tls;

	if (result == TLS_PLAIN)
		tally_one(&failures[TALLY_PLAIN]);
	else if (tls->alert.any && (!tls->alert.sent || !tls->bio.ended))
		tally_alert(c->tally, tls->alert);
	else
		tally_one(&failures[result == 1 || tls->state == TLS_REFUSED ? TALLY_OTHER
									     : TALLY_CLOSED]);
}

void handshake_done(struct conn *c, const struct end *end, const char *done)
{
	const struct tls_outcome outcome = tls_outcome(end->tls);
	char text[128];

	tally_handshake(c->tally, &outcome);
	tally_time(&c->tally->handshake_times, conn_now(c) - conn_since(c));
	if (c->service->log_level < LOG_INFO)
		return;
	conn_log(c, LOG_INFO, "%s: %s", done, tls_origin(end->tls));
	tls_describe(end->tls, text);
	conn_log(c, LOG_INFO, "%s", text);
}

uint64_t handshake_deadline(const struct conn *c, uint64_t since)
{
	const struct questions *q = c->questions;

	if (q && waiting_is(&q->sessiond.waiting))
		return q->sessiond.since + SESSIOND_WAIT_MS;
	return q && waiting_is(&q->inquiry.waiting)
		       ? conn_after(q->inquiry.since, c->service->ocsp_seconds)
		       : conn_after(since, c->service->timeout.busy);
}

bool handshake_expired(struct conn *c, struct end *end)
{
	static const struct tls_ocsp_answer late = {.why = "TIMEOUTocsp exceeded"};
	struct questions *q = c->questions;

	if (q && waiting_is(&q->sessiond.waiting)) {
		waiting_leave(&q->sessiond.waiting);
		conn_log(c, LOG_INFO, "cache_transfer: recv timeout");
		tls_found(end->tls, NULL, 0);
		return true;
	}
	if (!q || !waiting_is(&q->inquiry.waiting)) {
		conn_log(c, LOG_INFO, "TIMEOUTbusy exceeded: sending reset");
		tally_one(&c->tally->handshake_failures[TALLY_TIMEOUT]);
		return false;
	}
	inquiry_leave(&q->inquiry);
	tls_answer(end->tls, &late);
	return true;
}
