/* SPDX-License-Identifier: ISC */
#include "conn/steps/proxy_in.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/ip.h"
#include "core/proxy_decode.h"

static bool keep(struct conn *c, const char *p, size_t len)
{
	char *grown = realloc(c->front.header.p, c->front.header.len + len);

	if (!grown)
		return false;
	memcpy(grown + c->front.header.len, p, len);
	c->front.header.p = grown;
	c->front.header.len += len;
	return true;
}

/* The header is whole: from here on the client is the one that it names. */
static void adopt_client(struct conn *c)
{
	struct proxy_header h;
	char text[NET_TEXT_MAX];

	proxy_decode(span_of(c->front.header.p, c->front.header.len), &h);
	if (!h.local) {
		c->front.facts.client = h.client;
		c->front.facts.server = h.server;
		ip_facts(&c->front.facts.client);
		ip_facts(&c->front.facts.server);
		c->front.facts.tlvs = h.tlvs;
	}
	front_client(&c->front, text);
	conn_log(c, LOG_NOTICE, "PROXY header version %d: %s %s", h.version,
		 h.local ? "no client but" : "client", text);
}

/* Counts a client that is not let in. */
static enum step_result refuse(struct conn *c)
{
	tally_one(&c->tally->rejected[TALLY_PROXY_HEADER]);
	return STEP_RESET;
}

static enum step_result bad_proxy_header(struct conn *c, enum proxy_error error)
{
	const struct proxy_error_info *e = &proxy_error_info[error];
	char text[NET_TEXT_MAX];

	net_text(&c->front.peer, text);
	conn_log(c, LOG_ERR, "Bad PROXY header from %s: section %s: %s", text, e->section, e->text);
	return refuse(c);
}

/*
 * Bytes are peeked at, and only those of the header are read: behind it stands a ClientHello, which
 * OpenSSL reads from the socket.
 */
static enum step_result read_proxy_header(struct conn *c)
{
	char *buffer = c->pool->scratch.in;
	int fd = c->front.end.fd;

	for (;;) {
		size_t had = c->front.header.len;
		struct proxy_header h;
		ssize_t n = net_peek(fd, buffer + had, PROXY_HEADER_MAX - had);
		int len;

		if (n == -EAGAIN) {
			conn_wait(c, RELAY_FRONT, true, false);
			return STEP_WAIT;
		}
		if (had == 0 && (n == 0 || n == -ECONNRESET) && conn_dismiss(c))
			return STEP_RESET;
		if (n <= 0) {
			conn_log(c, LOG_ERR, "The peer ended before its PROXY header was complete");
			return refuse(c);
		}
		if (had != 0)
			memcpy(buffer, c->front.header.p, had);
		len = proxy_decode(span_of(buffer, had + (size_t)n), &h);
		if (len < 0)
			return bad_proxy_header(c, (enum proxy_error) - len);
		if (len > 0)
			n = (ssize_t)((size_t)len - had);
		if (net_read(fd, buffer + had, (size_t)n) != n || !keep(c, buffer + had, (size_t)n))
			return refuse(c);
		if (len > 0) {
			adopt_client(c);
			return STEP_NEXT;
		}
	}
}

static enum step_result hear(struct conn *c)
{
	const struct conn_service *s = c->accepted;

	if (ip_blocks_hold(&s->policy->proxy_peers, &c->front.facts.peer))
		return read_proxy_header(c);
	if (s->policy->accept_proxy == SERVICE_PROXY_YES)
		return STEP_NEXT;
	conn_log(c, LOG_ERR, "The peer is not in acceptProxyFrom, and a PROXY header is required");
	return refuse(c);
}

static enum step_result run(struct conn *c, unsigned events)
{
	enum step_result heard;

	(void)events;
	if (c->accepted->policy->accept_proxy == SERVICE_PROXY_NO)
		return STEP_NEXT;
	heard = hear(c);
	return heard == STEP_NEXT && !conn_admit(c) ? STEP_RESET : heard;
}

static uint64_t deadline(const struct conn *c)
{
	return conn_after(c->front.at.since, c->accepted->policy->timeout_proxy);
}

static enum step_result expired(struct conn *c)
{
	conn_log(c, LOG_ERR, "TIMEOUTproxy exceeded: the PROXY header is not complete");
	return refuse(c);
}

const struct step proxy_in_step = {"PROXY header", run, deadline, expired};
