/* SPDX-License-Identifier: ISC */
#include "conn/steps/tls_accept.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "conn/steps/answer.h"
#include "conn/steps/first_head.h"
#include "conn/steps/handshake.h"

/* The leading `*` stands for anything (so *.example.com is not example.com). */
static bool ends_as(const char *pattern, const char *name)
{
	size_t tail = strlen(pattern + 1), len = strlen(name);

	return len >= tail && !strcasecmp(pattern + 1, name + len - tail);
}

static const struct conn_sni *find_whole(const struct conn_service *s, const char *name)
{
	size_t low = 0, high = s->sni_whole;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcasecmp(s->sni_by_name[middle]->pattern, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->sni_whole && !strcasecmp(s->sni_by_name[low]->pattern, name)
		       ? s->sni_by_name[low]
		       : NULL;
}

/* The first in the file that matches, or NULL. */
static const struct conn_sni *find_name(const struct conn_service *s, const char *name)
{
	const struct conn_sni *whole = find_whole(s, name);

	for (size_t i = s->sni_whole; i < s->sni_count; i++) {
		const struct conn_sni *pattern = s->sni_by_name[i];

		if (whole && whole < pattern)
			break;
		if (ends_as(pattern->pattern, name))
			return pattern;
	}
	return whole;
}

/* Switches to the service that a server name leads to; NULL: no name leads anywhere. */
static struct tls_ctx *choose_service(void *owner, const char *name)
{
	struct conn *c = owner;
	const struct conn_sni *sni;

	if (c->accepted->sni_count == 0)
		return NULL;
	if (!name) {
		conn_log(c, LOG_NOTICE, "SNI: no servername received");
		return NULL;
	}
	sni = find_name(c->accepted, name);
	if (!sni) {
		conn_log(c, LOG_ERR, "SNI: no pattern matched servername: %s", name);
		return NULL;
	}
	conn_switch(c, sni->service);
	conn_log(c, LOG_NOTICE, "SNI: switched to service [%s]", c->service->name);
	return c->service->tls;
}

/* Takes the route of a protocol, if there is one. raw: of those where the client's TLS goes on. */
static bool choose_route(struct conn *c, struct span protocol, bool raw)
{
	for (size_t i = 0; i < c->service->alpn_count; i++) {
		struct conn_alpn *alpn = &c->service->alpn[i];

		if (alpn->raw != raw ||
		    !span_eq(protocol, span_of(alpn->protocol, strlen(alpn->protocol))))
			continue;
		c->route = &alpn->route;
		conn_log(c, LOG_INFO, "ALPN: %s leads to %s", alpn->protocol, alpn->target);
		return true;
	}
	return false;
}

static bool pass(void *owner, struct span protocol)
{
	return choose_route(owner, protocol, true);
}

static const struct tls_calls calls = {choose_service, handshake_say, handshake_ask,
				       handshake_remote, pass};

static bool accept_done(struct conn *c)
{
	const struct conn_service *s = c->service;
	struct tls *tls = c->front.end.tls;

	if (!tls_tell_facts(tls, s->needs.cert_texts, s->needs.tlvs, &c->front.facts,
			    c->pool->scratch.why))
		return false;
	if (s->redirects && !tls_authenticated(tls)) {
		conn_log(c, LOG_NOTICE, "Redirecting connection");
		c->route = &c->service->redirect;
	}
	handshake_done(c, &c->front.end, "TLS accepted");
	choose_route(c, c->front.facts.alpn, false);
	return true;
}

/* Somebody has forgotten the s of https, and can read why only without TLS. */
static enum step_result refuse_plain(struct conn *c)
{
	end_make_plain(&c->front.end);
	first_head_begin(c);
	return answer_refuse(c, ERR_PLAIN_HTTP);
}

/*
 * A client that leaves without a byte is none: a balancer's check. One that has said nothing yet
 * costs no memory for TLS.
 */
static enum step_result await_first_byte(struct conn *c)
{
	char byte;
	ssize_t n = net_peek(c->front.end.fd, &byte, 1);

	if ((n == 0 || n == -ECONNRESET) && conn_dismiss(c))
		return STEP_RESET;
	if (n != -EAGAIN) {
		conn_announce(c);
		return STEP_NEXT;
	}
	conn_wait(c, RELAY_FRONT, true, false);
	return STEP_WAIT;
}

static bool begin(struct conn *c)
{
	if (!handshake_begin(c, &c->front.end, &calls))
		return false;
	if (c->accepted->passes)
		tls_may_pass(c->front.end.tls);
	return true;
}

/* The target answers the hello. False without memory. */
static bool pass_on(struct conn *c)
{
	struct span heard = tls_heard(c->front.end.tls);

	if (!flow_append(&c->relay.flow[H1_REQUEST].unsent, heard))
		return false;
	end_make_plain(&c->front.end);
	return true;
}

static enum step_result go_on(struct conn *c)
{
	int rc;

	if (!c->front.end.tls && !begin(c))
		return STEP_RESET;
	rc = handshake_run(c, &c->front.end);
	if (rc == 1 && accept_done(c))
		return STEP_NEXT;
	if (rc == TLS_PASSED)
		return pass_on(c) ? STEP_NEXT : STEP_RESET;
	if (rc == TLS_AGAIN)
		return STEP_WAIT;
	conn_log(c, LOG_ERR, "%s", c->pool->scratch.why);
	handshake_failed(c, &c->front.end, rc);
	return rc == TLS_PLAIN && c->service->needs.http ? refuse_plain(c) : STEP_RESET;
}

static enum step_result run(struct conn *c, unsigned events)
{
	enum step_result heard = c->announced ? STEP_NEXT : await_first_byte(c);

	(void)events;
	return heard == STEP_NEXT ? go_on(c) : heard;
}

static uint64_t deadline(const struct conn *c)
{
	return handshake_deadline(c, c->front.at.since);
}

static enum step_result expired(struct conn *c)
{
	return handshake_expired(c, &c->front.end) ? run(c, 0) : STEP_RESET;
}

const struct step tls_accept_step = {"handshake", run, deadline, expired};
