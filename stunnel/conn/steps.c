/* SPDX-License-Identifier: ISC */
#include "conn/steps.h"

#include "core/proxy_decode.h"

#include "core/proxy_encode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conn/target.h"

/* An answer without a clear end counts as over, for whoever asks for more, when it has paused so
 * long. */
#define QUIET_MS 300

#define FIRST_HEAD 2 /* in an HTTP service's plan */

static const char *why(const struct conn *c)
{
	return c->pool->scratch.why;
}

static uint64_t after(uint64_t since, int seconds)
{
	return seconds < 0 ? UINT64_MAX : since + (uint64_t)seconds * 1000;
}

static uint64_t busy_deadline(const struct conn *c)
{
	return after(c->since, c->service->timeout.busy);
}

static enum conn_result busy_expired(struct conn *c)
{
	conn_log(c, LOG_INFO, "TIMEOUTbusy exceeded: sending reset");
	return CONN_RESET;
}

/* --- refusing a request ----------------------------------------------------------------------- */

/* Whom a PROXY header named, or who connected. */
static void client_text(const struct conn *c, char text[static NET_TEXT_MAX])
{
	const struct facts_addr *client = &c->facts.client;

	if (client->family == FACTS_NONE)
		net_text(&c->peer, text);
	else
		snprintf(text, NET_TEXT_MAX, "%s:%u", client->text, client->port);
}

/* One line, once: what happened, who the client is, and by which rule. */
static void log_error(struct conn *c, enum conn_told told, const char *what, enum error error)
{
	const struct errors_info *e = &errors_info[error];
	char text[NET_TEXT_MAX];

	if (error == ERR_NONE || c->told & told)
		return;
	c->told |= told;
	client_text(c, text);
	conn_log(c, LOG_WARNING, "Service [%s] %s %s: %s (%s): %s", c->service->name, what, text,
		 e->name, e->source, e->text);
}

static void log_refusal(struct conn *c)
{
	log_error(c, CONN_TOLD_REFUSAL, "refused a request from", c->h1.error);
}

static void log_answer(struct conn *c)
{
	log_error(c, CONN_TOLD_ANSWER, "got an answer without a clear end for",
		  c->h1.response_error);
}

/* The backend is gone: the answer goes out in the last step, where the relay runs. */
static enum conn_result answer(struct conn *c, enum error error)
{
	relay_answer(&c->relay, error);
	exchange_answer(&c->exchanges, error);
	c->answered = true;
	c->since = conn_now(c);
	while (c->service->plan[c->step + 1])
		c->step++;
	return CONN_AGAIN;
}

/* Answers with an error of ours and closes, where no response is in the way. */
static enum conn_result refuse(struct conn *c, enum error error)
{
	h1_fail(&c->h1, error);
	log_refusal(c);
	switch (relay_reply(&c->relay)) {
	case H1_REPLY_LATER:
		return CONN_WAIT;
	case H1_REPLY_NEVER:
		return CONN_RESET;
	case H1_REPLY_NOW:
		break;
	}
	/* In the middle of a request the backend must not take what it has for a whole one. */
	conn_backend_close(c, h1_phase(&c->h1, H1_REQUEST) == H1_BODY);
	return answer(c, c->h1.error);
}

/* --- step: the PROXY header of a listed peer -------------------------------------------------- */

static bool is_among(const struct ip_block *blocks, size_t count, const struct facts_addr *addr)
{
	for (size_t i = 0; i < count; i++)
		if (ip_block_holds(&blocks[i], addr))
			return true;
	return false;
}

static bool keep_early(struct conn *c, const char *p, size_t len)
{
	char *grown = realloc(c->early, c->early_len + len);

	if (!grown)
		return false;
	memcpy(grown + c->early_len, p, len);
	c->early = grown;
	c->early_len += len;
	return true;
}

/* The header is whole: from here on its client is the client. */
static void adopt_client(struct conn *c)
{
	struct proxy_header h;
	char text[NET_TEXT_MAX];

	proxy_decode(span_of(c->early, c->early_len), &h);
	if (!h.local) {
		c->facts.client = h.client;
		c->facts.server = h.server;
		ip_facts(&c->facts.client);
		ip_facts(&c->facts.server);
		c->facts.tlvs = h.tlvs;
	}
	client_text(c, text);
	conn_log(c, LOG_NOTICE, "PROXY header version %d: %s %s", h.version,
		 h.local ? "no client but" : "client", text);
}

static enum conn_result bad_proxy_header(struct conn *c, enum proxy_error error)
{
	const struct proxy_error_info *e = &proxy_error_info[error];
	char text[NET_TEXT_MAX];

	net_text(&c->peer, text);
	conn_log(c, LOG_ERR, "Bad PROXY header from %s: section %s: %s", text, e->section, e->text);
	return CONN_RESET;
}

/*
 * What is there is looked at, and only what belongs to the header is taken: behind it TLS begins,
 * which OpenSSL reads for itself.
 */
static enum conn_result read_proxy_header(struct conn *c)
{
	char *buffer = c->pool->scratch.in;
	int fd = c->relay.end[RELAY_CLIENT].fd;

	for (;;) {
		size_t had = c->early_len;
		struct proxy_header h;
		ssize_t n = net_peek(fd, buffer + had, PROXY_HEADER_MAX - had);
		int len;

		if (n == -EAGAIN) {
			conn_wait(c, RELAY_CLIENT, true, false);
			return CONN_WAIT;
		}
		if (n <= 0) {
			conn_log(c, LOG_ERR, "The peer ended before its PROXY header was complete");
			return CONN_RESET;
		}
		if (had != 0)
			memcpy(buffer, c->early, had);
		len = proxy_decode(span_of(buffer, had + (size_t)n), &h);
		if (len < 0)
			return bad_proxy_header(c, (enum proxy_error) - len);
		if (len > 0)
			n = (ssize_t)((size_t)len - had);
		if (net_read(fd, buffer + had, (size_t)n) != n ||
		    !keep_early(c, buffer + had, (size_t)n))
			return CONN_RESET;
		if (len > 0) {
			adopt_client(c);
			return CONN_NEXT;
		}
	}
}

static enum conn_result step_proxy_in(struct conn *c, unsigned events)
{
	const struct conn_service *s = c->accepted;

	(void)events;
	if (s->accept_proxy == CONN_PROXY_NO)
		return CONN_NEXT;
	if (is_among(s->proxy_peers, s->proxy_peer_count, &c->facts.peer))
		return read_proxy_header(c);
	if (s->accept_proxy == CONN_PROXY_YES)
		return CONN_NEXT;
	conn_log(c, LOG_ERR, "The peer is not in acceptProxyFrom, and a PROXY header is required");
	return CONN_RESET;
}

static uint64_t proxy_in_deadline(const struct conn *c)
{
	return after(c->since, c->accepted->timeout.proxy);
}

static enum conn_result proxy_in_expired(struct conn *c)
{
	conn_log(c, LOG_ERR, "TIMEOUTproxy exceeded: the PROXY header is not complete");
	return CONN_RESET;
}

/* --- step: the TLS handshake ------------------------------------------------------------------ */

/* Exact, or a leading `*` that stands for anything (so *.example.com is not example.com). */
static bool name_matches(const char *pattern, const char *name)
{
	size_t tail, len = strlen(name);

	if (pattern[0] != '*')
		return !strcasecmp(pattern, name);
	tail = strlen(pattern + 1);
	return len >= tail && !strcasecmp(pattern + 1, name + len - tail);
}

/* The service that a server name leads to. */
static struct tls_ctx *choose_service(void *owner, const char *name)
{
	struct conn *c = owner;

	if (c->accepted->sni_count == 0)
		return NULL;
	if (!name) {
		conn_log(c, LOG_NOTICE, "SNI: no servername received");
		return NULL;
	}
	for (size_t i = 0; i < c->accepted->sni_count; i++) {
		const struct conn_sni *sni = &c->accepted->sni[i];

		if (!name_matches(sni->pattern, name))
			continue;
		c->service = sni->service;
		conn_log(c, LOG_NOTICE, "SNI: switched to service [%s]", c->service->name);
		return c->service->tls;
	}
	conn_log(c, LOG_ERR, "SNI: no pattern matched servername: %s", name);
	return NULL;
}

static void say(void *owner, int level, const char *text)
{
	struct conn *c = owner;

	conn_log(c, level, "%s", text);
}

const struct tls_calls steps_tls_calls = {choose_service, say};

/* START-CONNECTION, both in hexadecimal. */
static void make_id(struct conn *c)
{
	int len =
		snprintf(c->id, sizeof c->id, "%016llx-%llx",
			 (unsigned long long)c->pool->shared->start, (unsigned long long)c->serial);

	c->facts.conn_id = span_of(c->id, (size_t)len);
}

static bool handshake_done(struct conn *c)
{
	char text[128];

	bool own = c->service->send_proxy && c->service->proxy.tlvs != 0;

	if (!tls_tell_facts(&c->tls, c->service->cert_texts, own, &c->facts, c->pool->scratch.why))
		return false;
	make_id(c);
	if (steps_http(c->service)) {
		c->facts.client_trusted =
			is_among(c->service->trusted, c->service->trusted_count, &c->facts.client);
		h1_init(&c->h1, &c->service->rewrite, &c->facts, c->service->limits);
		c->relay.h1 = &c->h1;
		if (c->service->access)
			access_begin(&c->exchanges, c->service->access, &c->h1);
	}
	if (c->service->log_level < LOG_INFO)
		return true;
	conn_log(c, LOG_INFO, "TLS accepted: %s",
		 c->facts.session_reused ? "previous session reused" : "new session negotiated");
	tls_describe(&c->tls, text);
	conn_log(c, LOG_INFO, "%s", text);
	return true;
}

static enum conn_result step_tls_accept(struct conn *c, unsigned events)
{
	int rc = tls_accept(&c->tls, c->pool->scratch.why);

	(void)events;
	if (rc == 1 && handshake_done(c))
		return CONN_NEXT;
	if (rc == TLS_AGAIN) {
		bool write = tls_wants_write(&c->tls);

		conn_wait(c, RELAY_CLIENT, !write, write);
		return CONN_WAIT;
	}
	conn_log(c, LOG_ERR, "%s", why(c));
	return CONN_RESET;
}

/* --- step: the first request head, before which no backend is bothered ------------------------ */

/* An absolute time for each head. */
static void watch_head(struct conn *c)
{
	if (c->relay.h1)
		h1_clock_look(&c->head, &c->h1, conn_now(c));
}

/* Between requests, or in the next one's head. */
static uint64_t next_head_deadline(const struct conn *c)
{
	const struct conn_timeouts *t = &c->service->timeout;
	uint64_t idle = after(c->active, t->idle), head = after(c->head.since, t->request);

	return c->head.since != 0 && head < idle ? head : idle;
}

/* The first one's time begins with the connection, a later one's with its first byte. */
static uint64_t head_deadline(const struct conn *c)
{
	return c->h1.requests == 0 ? after(c->since, c->service->timeout.request)
				   : next_head_deadline(c);
}

/* A client that has sent nothing gets no answer: it only opened a connection in advance. */
static enum conn_result head_expired(struct conn *c)
{
	if (h1_phase(&c->h1, H1_REQUEST) == H1_HEAD)
		return refuse(c, ERR_REQUEST_TIMEOUT);
	conn_log(c, LOG_INFO, "%s exceeded: closing",
		 c->h1.requests == 0 ? "TIMEOUTrequest" : "TIMEOUTidle");
	return CONN_CLOSE;
}

static enum conn_result step_first_head(struct conn *c, unsigned events)
{
	(void)events;
	switch (relay_first(&c->relay)) {
	case RELAY_WAIT:
		watch_head(c);
		conn_wait_relay(c);
		return CONN_WAIT;
	case RELAY_DONE:
		return c->relay.flow[H1_REQUEST].unsent.len != 0 ? CONN_NEXT : CONN_CLOSE;
	case RELAY_REFUSED:
		return refuse(c, c->h1.error);
	case RELAY_RENEW: /* there is no backend that could end */
	case RELAY_ABORT:
		break;
	}
	conn_log(c, LOG_ERR, "transfer: %s", why(c));
	return CONN_RESET;
}

/* --- a request that no backend can be found for ----------------------------------------------- */

static enum conn_result no_backend(struct conn *c)
{
	if (!c->relay.h1)
		return CONN_RESET;
	/* Requests were taken, but none reached a backend: nothing can be in the answer's way. */
	h1_fail(&c->h1, ERR_BACKEND_UNAVAILABLE);
	log_refusal(c);
	return answer(c, ERR_BACKEND_UNAVAILABLE);
}

/* --- step: names that could not be resolved at the load --------------------------------------- */

/* Goes on with what is known; old addresses are better than none. */
static enum conn_result use_names(struct conn *c)
{
	const char *reason;

	resolve_cancel(&c->wait);
	free(c->found.addr);
	c->found = (struct net_addrs){0};
	if (resolve_take(c->service->resolve_set, &c->found, &reason))
		return CONN_NEXT;
	conn_log(c, LOG_ERR, "No remote host resolved: %s", reason);
	return no_backend(c);
}

static enum conn_result step_resolve(struct conn *c, unsigned events)
{
	struct conn_service *s = c->service;
	struct resolve *r = &c->pool->resolve;

	(void)events;
	if (!s->resolve_set)
		s->resolve_set = resolve_set(r, s->target_names, s->target_name_count);
	if (!s->resolve_set)
		return CONN_RESET;
	if (resolve_ready(r, s->resolve_set, &c->wait))
		return use_names(c);
	conn_wait(c, RELAY_CLIENT, false, false);
	return CONN_WAIT;
}

static uint64_t resolve_deadline(const struct conn *c)
{
	uint64_t end = after(c->since, c->service->timeout.resolve);
	uint64_t patience = resolve_patience(c->service->resolve_set);

	return patience < end ? patience : end;
}

static enum conn_result resolve_expired(struct conn *c)
{
	if (after(c->since, c->service->timeout.resolve) <= conn_now(c))
		conn_log(c, LOG_INFO, "TIMEOUTresolve exceeded");
	return use_names(c);
}

/* --- step: connecting the backend ------------------------------------------------------------- */

/* Begins with the next target; false if all were tried. */
static bool connect_next(struct conn *c, bool *now_connected)
{
	const struct net_addr *addr;

	while ((addr = target_next(c))) {
		char text[NET_TEXT_MAX];
		int fd;

		net_text(addr, text);
		conn_log(c, LOG_INFO, "s_connect: connecting %s", text);
		fd = net_connect(addr, &c->service->options, now_connected);
		if (fd >= 0) {
			c->relay.end[RELAY_BACKEND].fd = fd;
			c->since = conn_now(c);
			return true;
		}
		target_failed(c, strerror(-fd), -fd);
	}
	conn_log(c, LOG_ERR, "No more addresses to connect");
	return false;
}

static enum conn_result step_connect(struct conn *c, unsigned events)
{
	bool connected_now = false;
	int rc;

	if (c->relay.end[RELAY_BACKEND].fd >= 0) {
		if (!(events & (CONN_BACKEND_READ | CONN_BACKEND_WRITE)))
			return CONN_WAIT;
		rc = net_connected(c->relay.end[RELAY_BACKEND].fd);
		if (rc == -EINPROGRESS)
			return CONN_WAIT;
		if (rc == 0) {
			target_works(c, LOG_NOTICE);
			return CONN_NEXT;
		}
		target_failed(c, strerror(-rc), -rc);
		conn_backend_close(c, false);
	}
	if (!connect_next(c, &connected_now))
		return no_backend(c);
	if (connected_now) {
		target_works(c, LOG_INFO);
		return CONN_NEXT;
	}
	conn_wait(c, RELAY_CLIENT, false, false);
	conn_wait(c, RELAY_BACKEND, false, true);
	return CONN_WAIT;
}

static uint64_t connect_deadline(const struct conn *c)
{
	return after(c->since, c->service->timeout.connect);
}

/* The next target has its turn. */
static enum conn_result connect_expired(struct conn *c)
{
	target_failed(c, "TIMEOUTconnect exceeded", 0);
	conn_backend_close(c, true);
	return CONN_AGAIN;
}

/* --- step: the PROXY header to the backend ---------------------------------------------------- */

static enum conn_result step_proxy_out(struct conn *c, unsigned events)
{
	char header[PROXY_HEADER_MAX];
	struct out out = out_of(header, sizeof header);
	uint32_t dropped;

	(void)events;
	/* The load refuses version 1 for clients without an address, but one may be told to us. */
	if (!proxy_encode(&c->service->proxy, &c->facts, &out, &dropped)) {
		conn_log(c, LOG_ERR, "The client has no IP address for the PROXY header");
		return CONN_RESET;
	}
	if (dropped != 0 && !c->service->proxy_warned) {
		c->service->proxy_warned = true;
		conn_log(c, LOG_WARNING,
			 "Service [%s]: TLVs were left out of a PROXY header of %d bytes at most",
			 c->service->name, c->service->proxy.max_length);
	}
	if (!relay_prepend(&c->relay, out_span(&out)))
		return CONN_RESET;
	if (c->service->proxy.version == 1)
		conn_log(c, LOG_DEBUG, " -> %.*s", (int)out.len - 2, header);
	else
		conn_log(c, LOG_DEBUG, " -> PROXY v2 header, %zu bytes", out.len);
	return CONN_NEXT;
}

/* --- step: the relay -------------------------------------------------------------------------- */

static uint64_t relay_deadline(const struct conn *c)
{
	const struct conn_timeouts *t = &c->service->timeout;

	/*
	 * What the client still sends is thrown away, for an absolute time, and for some even with
	 * TIMEOUTclose = 0: bytes that nobody has read make the kernel's close a reset, which
	 * overtakes the answer.
	 */
	if (c->answered)
		return after(c->since, t->close > 0 ? t->close : 1);
	if (relay_last_answer(&c->relay))
		return c->active + QUIET_MS;
	if (relay_closing(&c->relay))
		return after(c->active, t->close);
	return next_head_deadline(c);
}

static enum conn_result relay_expired(struct conn *c)
{
	if (c->answered || relay_closing(&c->relay)) {
		conn_log(c, LOG_INFO, "transfer: TIMEOUTclose exceeded: closing");
		return relay_whole(&c->relay) ? CONN_CLOSE : CONN_CUT;
	}
	if (relay_last_answer(&c->relay))
		return CONN_CUT;
	if (c->head.since != 0) {
		c->head.since = 0;
		return refuse(c, ERR_REQUEST_TIMEOUT);
	}
	conn_log(c, LOG_INFO, "transfer: TIMEOUTidle exceeded: sending reset");
	return CONN_RESET;
}

/* httpKeepAlive = client: back to where requests are awaited without a backend. */
static enum conn_result renew(struct conn *c)
{
	conn_log(c, LOG_INFO, "Backend connection closed: the next request opens another one");
	conn_backend_close(c, false);
	relay_renew(&c->relay);
	c->walk = (struct conn_walk){0};
	c->step = FIRST_HEAD;
	c->since = conn_now(c);
	return CONN_AGAIN;
}

static enum conn_result step_relay(struct conn *c, unsigned events)
{
	/* Writing to a side flushes what comes from the other. */
	bool requests = events & (CONN_CLIENT_READ | CONN_BACKEND_WRITE);
	bool responses = events & (CONN_BACKEND_READ | CONN_CLIENT_WRITE);
	enum relay_status status;

	status = relay_run(&c->relay, requests, responses);
	log_answer(c);
	switch (status) {
	case RELAY_WAIT:
		if (c->relay.h1 && c->h1.error != ERR_NONE && !c->answered)
			log_refusal(c);
		watch_head(c);
		conn_wait_relay(c);
		return CONN_WAIT;
	case RELAY_RENEW:
		return renew(c);
	case RELAY_DONE:
		return CONN_CLOSE;
	case RELAY_REFUSED:
		return refuse(c, c->h1.error);
	case RELAY_ABORT:
		break;
	}
	conn_log(c, LOG_ERR, "transfer: %s", why(c));
	return CONN_RESET;
}

/* --- the plan --------------------------------------------------------------------------------- */

static const struct conn_step tls_accept_step = {step_tls_accept, busy_deadline, busy_expired};
static const struct conn_step first_head_step = {step_first_head, head_deadline, head_expired};
static const struct conn_step resolve_step = {step_resolve, resolve_deadline, resolve_expired};
static const struct conn_step connect_step = {step_connect, connect_deadline, connect_expired};
static const struct conn_step proxy_out_step = {step_proxy_out, busy_deadline, busy_expired};
static const struct conn_step proxy_in_step = {step_proxy_in, proxy_in_deadline, proxy_in_expired};
static const struct conn_step relay_step = {step_relay, relay_deadline, relay_expired};

bool steps_http(const struct conn_service *service)
{
	return service->access || rewrite_active(&service->rewrite);
}

/* Up to the handshake all plans are alike: a server name can lead from one to another there. */
void steps_plan(struct conn_service *service)
{
	size_t n = 0;

	service->plan[n++] = &proxy_in_step;
	service->plan[n++] = &tls_accept_step;
	if (steps_http(service))
		service->plan[n++] = &first_head_step; /* [FIRST_HEAD] */
	if (service->target_names)
		service->plan[n++] = &resolve_step;
	service->plan[n++] = &connect_step;
	if (service->send_proxy)
		service->plan[n++] = &proxy_out_step;
	service->plan[n++] = &relay_step;
	service->plan[n] = NULL;
}
