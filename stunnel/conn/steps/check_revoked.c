/* SPDX-License-Identifier: ISC */
#include "conn/steps/check_revoked.h"

#include "conn/steps/answer.h"
#include "tls/ocsp.h"

/*
 * Turns the peer away, or leads a client elsewhere; TLS cannot send an alert of its own choice any
 * more.
 */
static enum step_result reject(struct conn *c, const struct end *end)
{
	char subject[TLS_WHY_MAX], issuer[TLS_WHY_MAX];

	tls_peer_names(end->tls, subject, issuer);
	conn_log(c, LOG_WARNING, "Rejected by OCSP at depth=0: %s", subject);
	if (end != &c->front.end)
		return answer_unavailable(c);
	if (!c->service->redirects)
		return STEP_RESET;
	conn_log(c, LOG_NOTICE, "Redirecting connection");
	c->route = &c->service->redirect;
	return STEP_NEXT;
}

static enum step_result decide(struct conn *c, const struct end *end,
			       const struct tls_ocsp_answer *answer)
{
	switch (answer->verdict) {
	case TLS_OCSP_GOOD:
		conn_log(c, LOG_NOTICE, "OCSP: Accepted (good)");
		return STEP_NEXT;
	case TLS_OCSP_REVOKED:
		conn_log(c, LOG_ERR, "OCSP: Rejected (revoked)");
		return reject(c, end);
	case TLS_OCSP_INCONCLUSIVE:
		break;
	}
	conn_log(c, LOG_WARNING, "OCSP: No conclusive answer: %s", answer->why);
	if (!c->service->ocsp_require) {
		conn_log(c, LOG_NOTICE, "OCSP: Accepted (OCSPrequire = no)");
		return STEP_NEXT;
	}
	conn_log(c, LOG_ERR, "OCSP: Rejected (OCSPrequire = yes)");
	return reject(c, end);
}

static enum step_result check(struct conn *c, const struct end *end)
{
	static const struct tls_ocsp_answer unasked = {.why = "the question could not be sent"};

	if (!tls_has_peer(end->tls) || c->route == &c->service->redirect)
		return STEP_NEXT; /* that was decided in the handshake */
	if (c->revocation.answered) {
		c->revocation.answered = false; /* there may be another back, with another peer */
		return decide(c, end, &c->revocation.answer);
	}
	if (!c->revocation.at &&
	    !revocation_ask(&c->pool->revocation, &c->revocation, c->service->index, end->tls))
		return decide(c, end, &unasked);
	conn_wait(c, RELAY_FRONT, false, false);
	return STEP_WAIT;
}

static enum step_result give_up(struct conn *c, const struct end *end)
{
	static const struct tls_ocsp_answer late = {.why = "TIMEOUTocsp exceeded"};

	revocation_cancel(&c->revocation);
	return decide(c, end, &late);
}

static enum step_result run_front(struct conn *c, unsigned events)
{
	(void)events;
	return check(c, &c->front.end);
}

static uint64_t deadline_front(const struct conn *c)
{
	return conn_after(c->front.at.since, c->service->ocsp_seconds);
}

static enum step_result expired_front(struct conn *c)
{
	return give_up(c, &c->front.end);
}

const struct step check_revoked_front_step = {run_front, deadline_front, expired_front};

static enum step_result run_back(struct conn *c, unsigned events)
{
	(void)events;
	return check(c, &c->back->end);
}

static uint64_t deadline_back(const struct conn *c)
{
	return conn_after(c->back->at.since, c->service->ocsp_seconds);
}

static enum step_result expired_back(struct conn *c)
{
	return give_up(c, &c->back->end);
}

const struct step check_revoked_back_step = {run_back, deadline_back, expired_back};
