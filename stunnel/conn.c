/* SPDX-License-Identifier: ISC */
#include "conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "log.h"
#include "proxy.h"
#include "tls_peer.h"

enum step_result {
	STEP_NEXT,
	STEP_WAIT,
	STEP_JUMP, /* c->step was set: run that one */
	STEP_CLOSE, /* as it should be */
	STEP_RESET, /* the peers are to see an abort */
};

/* Sides that an event came for; bits. */
enum {
	EVENT_CLIENT_READ = 1,
	EVENT_CLIENT_WRITE = 2,
	EVENT_BACKEND_READ = 4,
	EVENT_BACKEND_WRITE = 8,
	EVENT_ALL = 15,
};

enum step_timeout {
	TIMEOUT_BUSY,
	TIMEOUT_CONNECT,
	TIMEOUT_HEAD,
	TIMEOUT_RELAY,
};

struct conn_step {
	enum step_result (*run)(struct conn *c, unsigned events);
	enum step_timeout timeout;
};

/* libuv closes a handle later: a further backend needs another one before that. */
struct conn_poll {
	uv_poll_t *handle; /* NULL: none; owned until its close callback */
	int interest;	   /* that libuv knows of */
};

struct conn {
	struct conn_pool *pool;
	struct conn *next, *previous; /* of the pool */
	struct conn *next_dead, *next_again;
	struct conn_service *service;
	struct conn_service *accepted; /* the one that accepted it, before SNI */
	uint64_t serial;
	size_t step;
	struct tls tls;
	struct h1 h1;
	struct facts facts;
	struct relay relay;
	struct conn_poll poll[2];
	uv_timer_t timer;
	uint64_t armed;	 /* when the timer fires; UINT64_MAX: never */
	uint64_t since;	 /* of the step, or of the attempt to connect */
	uint64_t active; /* last time that bytes moved or an event came */
	uint64_t head_since;
	uint64_t head_number; /* which head that was */
	struct net_addrs found; /* looked up for this connection */
	uv_work_t *lookup;
	size_t target, targets_tried;
	int handles;   /* of libuv's that are not closed yet */
	bool in_again, dead, reset, looked_up, refused, answered;
	struct net_addr peer;
};

static void conn_run(struct conn *c, unsigned events);

/* --- log ------------------------------------------------------------------------------------ */

#define conn_log(c, level, ...)                                                                    \
	do {                                                                                       \
		if ((level) <= (c)->service->log_level) {                                          \
			char id_[24];                                                              \
			snprintf(id_, sizeof id_, "%llu", (unsigned long long)(c)->serial);        \
			log_line((c)->service->log_level, id_, (level), __VA_ARGS__);              \
		}                                                                                  \
	} while (0)

static const char *peer_text(const struct conn *c, char text[static NET_TEXT_MAX])
{
	net_text(&c->peer, text);
	return text;
}

static const char *why(const struct conn *c)
{
	return c->pool->scratch.why;
}

/* --- closing: only marks; the loop reaps ---------------------------------------------------- */

static void log_end(struct conn *c)
{
	conn_log(c, LOG_NOTICE,
		 "Connection %s: %llu byte(s) sent to TLS, %llu byte(s) sent to socket",
		 c->reset ? "reset" : "closed",
		 (unsigned long long)c->relay.flow[H1_RESPONSE].sent,
		 (unsigned long long)c->relay.flow[H1_REQUEST].sent);
}

static void mark_dead(struct conn *c, bool reset)
{
	c->dead = true;
	c->reset = reset;
	c->next_dead = c->pool->dead;
	c->pool->dead = c;
}

static void conn_close(struct conn *c, bool reset)
{
	if (c->dead)
		return;
	mark_dead(c, reset);
	log_end(c);
}

static void conn_free(struct conn *c)
{
	struct conn_pool *pool = c->pool;

	if (c->next)
		c->next->previous = c->previous;
	if (c->previous)
		c->previous->next = c->next;
	else
		pool->first = c->next;
	relay_free(&c->relay);
	free(c->found.addr);
	free(c);
	pool->count--;
	if (pool->on_change)
		pool->on_change(pool->owner);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct conn *c = handle->data;

	if (--c->handles == 0)
		conn_free(c);
}

static void on_poll_closed(uv_handle_t *handle)
{
	on_handle_closed(handle);
	free(handle);
}

static void poll_close(struct conn *c, enum relay_side side)
{
	if (!c->poll[side].handle)
		return;
	uv_close((uv_handle_t *)c->poll[side].handle, on_poll_closed);
	c->poll[side] = (struct conn_poll){0};
}

static void reap(struct conn *c)
{
	bool alert = c->tls.failed;

	poll_close(c, RELAY_CLIENT);
	poll_close(c, RELAY_BACKEND);
	uv_close((uv_handle_t *)&c->timer, on_handle_closed);
	tls_free(&c->tls);
	if (c->relay.end[RELAY_BACKEND].fd >= 0)
		net_close(c->relay.end[RELAY_BACKEND].fd, c->reset);
	/* A reset would overtake the alert that tells the client what is wrong. */
	net_close(c->relay.end[RELAY_CLIENT].fd, c->reset && !alert);
	if (c->lookup)
		uv_cancel((uv_req_t *)c->lookup);
}

static void on_prepare(uv_prepare_t *handle)
{
	struct conn_pool *pool = handle->data;

	while (pool->dead) {
		struct conn *c = pool->dead;

		pool->dead = c->next_dead;
		reap(c);
	}
}

/* --- events --------------------------------------------------------------------------------- */

static void on_poll(uv_poll_t *handle, int status, int events)
{
	struct conn *c = handle->data;
	bool client = handle == c->poll[RELAY_CLIENT].handle;
	unsigned read = client ? EVENT_CLIENT_READ : EVENT_BACKEND_READ;
	unsigned write = client ? EVENT_CLIENT_WRITE : EVENT_BACKEND_WRITE;

	if (status < 0) { /* libuv has stopped the handle: the next call on the socket tells why */
		c->poll[client ? RELAY_CLIENT : RELAY_BACKEND].interest = 0;
		events = UV_READABLE | UV_WRITABLE;
	}
	conn_run(c, (events & UV_READABLE ? read : 0) | (events & UV_WRITABLE ? write : 0));
}

static bool poll_open(struct conn *c, struct conn_poll *p, int fd)
{
	p->handle = malloc(sizeof *p->handle);
	if (!p->handle)
		return false;
	if (uv_poll_init(c->pool->loop, p->handle, fd) != 0) {
		free(p->handle);
		p->handle = NULL;
		return false;
	}
	p->handle->data = c;
	c->handles++;
	return true;
}

static void poll_set(struct conn *c, enum relay_side side, bool read, bool write)
{
	struct conn_poll *p = &c->poll[side];
	int fd = c->relay.end[side].fd;
	int interest = (read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0);

	if (fd < 0 || interest == p->interest)
		return;
	if (!p->handle && !poll_open(c, p, fd)) {
		conn_close(c, true);
		return;
	}
	if (interest != 0)
		uv_poll_start(p->handle, interest, on_poll);
	else
		uv_poll_stop(p->handle);
	p->interest = interest;
}

static uint64_t now(const struct conn *c)
{
	return uv_now(c->pool->loop);
}

static uint64_t after(uint64_t since, int seconds)
{
	return seconds < 0 ? UINT64_MAX : since + (uint64_t)seconds * 1000;
}

static const struct conn_step *current_step(const struct conn *c)
{
	return c->service->plan[c->step];
}

static bool in_head(const struct conn *c)
{
	return c->relay.h1 && c->h1.error == ERR_NONE && h1_phase(&c->h1, H1_REQUEST) == H1_HEAD;
}

/* When the present wait is over. */
static uint64_t deadline(const struct conn *c)
{
	const struct conn_timeouts *t = &c->service->timeout;

	switch (current_step(c)->timeout) {
	case TIMEOUT_BUSY:
		return after(c->since, t->busy);
	case TIMEOUT_CONNECT:
		return after(c->since, t->connect);
	case TIMEOUT_HEAD:
		return after(c->since, t->request);
	case TIMEOUT_RELAY:
		break;
	}
	if (c->answered) /* an absolute one: what the client still sends is thrown away */
		return after(c->since, t->close);
	if (relay_closing(&c->relay))
		return after(c->active, t->close);
	if (c->head_since != 0 && after(c->head_since, t->request) < after(c->active, t->idle))
		return after(c->head_since, t->request);
	return after(c->active, t->idle);
}

static void on_timer(uv_timer_t *timer);

/* The timer only ever moves forward by itself; so moving bytes costs no timer operation. */
static void arm(struct conn *c)
{
	uint64_t at;

	if (in_head(c)) {
		if (c->head_since == 0 || c->head_number != c->h1.requests)
			c->head_since = now(c);
		c->head_number = c->h1.requests;
	} else {
		c->head_since = 0;
	}
	at = deadline(c);
	if (at >= c->armed)
		return;
	c->armed = at;
	uv_timer_start(&c->timer, on_timer, at > now(c) ? at - now(c) : 0, 0);
}

static bool connect_expired(struct conn *c);
static enum step_result refuse(struct conn *c, enum error error);

static void expired(struct conn *c)
{
	switch (current_step(c)->timeout) {
	case TIMEOUT_BUSY:
		conn_log(c, LOG_INFO, "TIMEOUTbusy exceeded: sending reset");
		conn_close(c, true);
		return;
	case TIMEOUT_CONNECT:
		if (connect_expired(c))
			conn_run(c, EVENT_ALL);
		return;
	case TIMEOUT_HEAD:
	case TIMEOUT_RELAY:
		break;
	}
	if (c->answered || relay_closing(&c->relay)) {
		conn_log(c, LOG_INFO, "transfer: TIMEOUTclose exceeded: closing");
		conn_close(c, false);
	} else if (in_head(c)) {
		if (refuse(c, ERR_REQUEST_TIMEOUT) == STEP_RESET)
			conn_close(c, true);
		else
			conn_run(c, EVENT_ALL);
	} else {
		conn_log(c, LOG_INFO, "transfer: TIMEOUT%s exceeded: sending reset",
			 current_step(c)->timeout == TIMEOUT_HEAD ? "request" : "idle");
		conn_close(c, current_step(c)->timeout != TIMEOUT_HEAD);
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct conn *c = timer->data;

	c->armed = UINT64_MAX;
	if (c->dead)
		return;
	if (deadline(c) <= now(c))
		expired(c);
	if (!c->dead)
		arm(c);
}

static void on_idle(uv_idle_t *handle)
{
	struct conn_pool *pool = handle->data;
	struct conn *list = pool->again;

	pool->again = NULL;
	uv_idle_stop(handle);
	while (list) {
		struct conn *c = list;

		list = c->next_again;
		c->in_again = false;
		if (!c->dead)
			conn_run(c, EVENT_ALL);
		if (--c->handles == 0)
			conn_free(c);
	}
}

static void run_again_soon(struct conn *c)
{
	struct conn_pool *pool = c->pool;

	if (c->in_again)
		return;
	c->in_again = true;
	c->handles++; /* keeps the memory while it is in the list */
	c->next_again = pool->again;
	pool->again = c;
	uv_idle_start(&pool->busy, on_idle);
}

/* --- step: the TLS handshake ---------------------------------------------------------------- */

/* Exact, or a leading `*` that stands for anything (so *.example.com is not example.com). */
static bool name_matches(const char *pattern, const char *name)
{
	size_t tail, len = strlen(name);

	if (pattern[0] != '*')
		return !strcasecmp(pattern, name);
	tail = strlen(pattern + 1);
	return len >= tail && !strcasecmp(pattern + 1, name + len - tail);
}

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

static void handshake_done(struct conn *c)
{
	char text[128];

	tls_facts(&c->tls, &c->facts);
	if (conn_is_http(c->service)) {
		h1_init(&c->h1, &c->service->rewrite, &c->facts, c->service->limits);
		c->relay.h1 = &c->h1;
	}
	if (c->service->log_level < LOG_INFO)
		return;
	conn_log(c, LOG_INFO, "TLS accepted: %s",
		 c->facts.session_reused ? "previous session reused" : "new session negotiated");
	tls_describe(&c->tls, text);
	conn_log(c, LOG_INFO, "%s", text);
}

static enum step_result step_tls_accept(struct conn *c, unsigned events)
{
	int rc = tls_accept(&c->tls, c->pool->scratch.why);

	(void)events;
	if (rc == 1) {
		handshake_done(c);
		return STEP_NEXT;
	}
	if (rc == TLS_AGAIN) {
		bool write = tls_wants_write(&c->tls);

		poll_set(c, RELAY_CLIENT, !write, write);
		return STEP_WAIT;
	}
	conn_log(c, LOG_ERR, "%s", why(c));
	return STEP_RESET;
}

/* --- step: the first request head, before which no backend is bothered ------------------------ */

static void follow_relay(struct conn *c)
{
	for (int side = 0; side < 2; side++) {
		bool read, write;

		relay_wants(&c->relay, (enum relay_side)side, &read, &write);
		poll_set(c, (enum relay_side)side, read, write);
	}
	if (c->relay.again)
		run_again_soon(c);
}

static enum step_result step_first_head(struct conn *c, unsigned events)
{
	(void)events;
	switch (relay_first(&c->relay)) {
	case RELAY_WAIT:
		follow_relay(c);
		return STEP_WAIT;
	case RELAY_DONE:
		return c->relay.flow[H1_REQUEST].unsent.len != 0 ? STEP_NEXT : STEP_CLOSE;
	case RELAY_REFUSED:
		return refuse(c, c->h1.error);
	case RELAY_ABORT:
		break;
	}
	conn_log(c, LOG_ERR, "transfer: %s", why(c));
	return STEP_RESET;
}

/* --- step: names that could not be resolved at the load --------------------------------------- */

struct lookup {
	uv_work_t work;
	struct conn *conn;
	const struct conn_service *service;
	struct net_addrs found;
	char why[256];
};

static void look_up(uv_work_t *work)
{
	struct lookup *l = work->data;

	for (size_t i = 0; i < l->service->target_name_count; i++)
		net_resolve(l->service->target_names[i], false, &l->found, l->why);
}

static void on_looked_up(uv_work_t *work, int status)
{
	struct lookup *l = work->data;
	struct conn *c = l->conn;

	(void)status;
	c->found = l->found;
	c->lookup = NULL;
	c->looked_up = true;
	if (!c->dead) {
		if (c->found.count == 0)
			conn_log(c, LOG_ERR, "No remote host resolved: %s", l->why);
		conn_run(c, EVENT_ALL);
	}
	free(l);
	if (--c->handles == 0)
		conn_free(c);
}

static enum step_result step_resolve(struct conn *c, unsigned events)
{
	struct lookup *l;

	(void)events;
	if (c->looked_up)
		return STEP_NEXT;
	if (c->lookup)
		return STEP_WAIT;
	l = calloc(1, sizeof *l);
	if (!l)
		return STEP_RESET;
	l->conn = c;
	l->service = c->service;
	l->work.data = l;
	if (uv_queue_work(c->pool->loop, &l->work, look_up, on_looked_up) != 0) {
		free(l);
		return STEP_RESET;
	}
	c->lookup = &l->work;
	c->handles++;
	poll_set(c, RELAY_CLIENT, false, false);
	return STEP_WAIT;
}

/* --- step: connecting the backend ------------------------------------------------------------- */

static const struct net_addrs *targets(const struct conn *c)
{
	return c->service->target_names ? &c->found : &c->service->targets;
}

static void connected(struct conn *c, int level)
{
	char text[NET_TEXT_MAX];
	struct net_addr local;

	if (c->service->log_level < LOG_NOTICE)
		return;
	net_text(&targets(c)->addr[c->target], text);
	conn_log(c, level, "s_connect: connected %s", text);
	if (net_local(c->relay.end[RELAY_BACKEND].fd, &local) == 0) {
		net_text(&local, text);
		conn_log(c, LOG_NOTICE, "Service [%s] connected remote server from %s",
			 c->service->name, text);
	}
}

static void connect_failed(struct conn *c, const char *reason, int code)
{
	char text[NET_TEXT_MAX];

	net_text(&targets(c)->addr[c->target], text);
	if (code != 0)
		conn_log(c, LOG_ERR, "s_connect: connect %s: %s (%d)", text, reason, code);
	else
		conn_log(c, LOG_ERR, "s_connect: %s: %s", text, reason);
}

static void backend_close(struct conn *c, bool reset)
{
	int fd = c->relay.end[RELAY_BACKEND].fd;

	if (fd < 0)
		return;
	poll_close(c, RELAY_BACKEND);
	net_close(fd, reset);
	c->relay.end[RELAY_BACKEND].fd = -1;
}

/* Begins with the next target; false if all were tried. */
static bool connect_next(struct conn *c, bool *now_connected)
{
	const struct net_addrs *list = targets(c);

	while (c->targets_tried < list->count) {
		const struct net_addr *addr;
		char text[NET_TEXT_MAX];
		int fd;

		c->target = c->targets_tried == 0 ? c->target : (c->target + 1) % list->count;
		c->targets_tried++;
		addr = &list->addr[c->target];
		net_text(addr, text);
		conn_log(c, LOG_INFO, "s_connect: connecting %s", text);
		fd = net_connect(addr, &c->service->options, now_connected);
		if (fd >= 0) {
			c->relay.end[RELAY_BACKEND].fd = fd;
			c->since = now(c);
			return true;
		}
		connect_failed(c, strerror(-fd), -fd);
	}
	conn_log(c, LOG_ERR, "No more addresses to connect");
	return false;
}

static enum step_result connect_given_up(struct conn *c)
{
	return c->relay.h1 ? refuse(c, ERR_BACKEND_UNAVAILABLE) : STEP_RESET;
}

static size_t first_target(struct conn *c)
{
	size_t count = targets(c)->count;

	if (c->service->failover != CONN_ROUND_ROBIN || count == 0)
		return 0;
	return c->service->next_target++ % count;
}

static enum step_result step_connect(struct conn *c, unsigned events)
{
	bool connected_now = false;
	int rc;

	if (c->relay.end[RELAY_BACKEND].fd >= 0) {
		if (!(events & (EVENT_BACKEND_READ | EVENT_BACKEND_WRITE)))
			return STEP_WAIT;
		rc = net_connected(c->relay.end[RELAY_BACKEND].fd);
		if (rc == 0) {
			connected(c, LOG_NOTICE);
			return STEP_NEXT;
		}
		connect_failed(c, strerror(-rc), -rc);
		backend_close(c, false);
	}
	if (c->targets_tried == 0)
		c->target = first_target(c);
	if (!connect_next(c, &connected_now))
		return connect_given_up(c);
	if (connected_now) {
		connected(c, LOG_INFO);
		return STEP_NEXT;
	}
	poll_set(c, RELAY_CLIENT, false, false);
	poll_set(c, RELAY_BACKEND, false, true);
	return STEP_WAIT;
}

/* The present attempt took too long; whether to go on. */
static bool connect_expired(struct conn *c)
{
	connect_failed(c, "TIMEOUTconnect exceeded", 0);
	backend_close(c, true);
	return true;
}

/* --- step: the PROXY header ------------------------------------------------------------------- */

static enum step_result step_proxy(struct conn *c, unsigned events)
{
	char line[PROXY_V1_MAX];
	struct out out = out_of(line, sizeof line);

	(void)events;
	/* The load refuses services whose clients have no IP address. */
	if (!proxy_v1(&c->facts, &out) || !relay_prepend(&c->relay, out_span(&out)))
		return STEP_RESET;
	conn_log(c, LOG_DEBUG, " -> %.*s", (int)out.len - 2, line);
	return STEP_NEXT;
}

/* --- step: the relay -------------------------------------------------------------------------- */

/* One line a refused request: who, what, and by which rule. */
static void log_refusal(struct conn *c)
{
	const struct error_info *e = &error_info[c->h1.error];
	char text[NET_TEXT_MAX];

	if (c->refused)
		return;
	c->refused = true;
	conn_log(c, LOG_WARNING, "Service [%s] refused a request from %s: %s (%s): %s",
		 c->service->name, peer_text(c, text), e->name, e->source, e->text);
}

/* Answers with an error of ours and closes; only where no response is under way. */
static enum step_result refuse(struct conn *c, enum error error)
{
	h1_fail(&c->h1, error);
	log_refusal(c);
	if (h1_reply(&c->h1) == H1_REPLY_LATER && error != ERR_BACKEND_UNAVAILABLE)
		return STEP_WAIT;
	if (h1_reply(&c->h1) == H1_REPLY_NEVER && error != ERR_BACKEND_UNAVAILABLE)
		return STEP_RESET;
	/* In the middle of a request the backend must not take what it has for a whole one. */
	backend_close(c, h1_phase(&c->h1, H1_REQUEST) == H1_BODY);
	relay_answer(&c->relay, c->h1.error);
	c->answered = true;
	while (c->service->plan[c->step + 1])
		c->step++;
	return STEP_JUMP;
}

static enum step_result step_relay(struct conn *c, unsigned events)
{
	/* Writing to a side flushes what comes from the other. */
	bool requests = events & (EVENT_CLIENT_READ | EVENT_BACKEND_WRITE);
	bool responses = events & (EVENT_BACKEND_READ | EVENT_CLIENT_WRITE);

	/* A read that waited for the socket to be writable is as good as readable now. */
	requests |= (events & EVENT_CLIENT_WRITE) && c->tls.read_wants_write;
	switch (relay_run(&c->relay, requests, responses)) {
	case RELAY_WAIT:
		if (c->relay.h1 && c->h1.error != ERR_NONE)
			log_refusal(c);
		follow_relay(c);
		return STEP_WAIT;
	case RELAY_DONE:
		return STEP_CLOSE;
	case RELAY_REFUSED:
		return refuse(c, c->h1.error);
	case RELAY_ABORT:
		break;
	}
	conn_log(c, LOG_ERR, "transfer: %s", why(c));
	return STEP_RESET;
}

/* --- the plan --------------------------------------------------------------------------------- */

static const struct conn_step tls_accept_step = {step_tls_accept, TIMEOUT_BUSY};
static const struct conn_step first_head_step = {step_first_head, TIMEOUT_HEAD};
static const struct conn_step resolve_step = {step_resolve, TIMEOUT_BUSY};
static const struct conn_step connect_step = {step_connect, TIMEOUT_CONNECT};
static const struct conn_step proxy_step = {step_proxy, TIMEOUT_BUSY};
static const struct conn_step relay_step = {step_relay, TIMEOUT_RELAY};

bool conn_is_http(const struct conn_service *service)
{
	return rewrite_active(&service->rewrite);
}

void conn_plan(struct conn_service *service, bool proxy)
{
	size_t n = 0;

	service->plan[n++] = &tls_accept_step;
	if (conn_is_http(service))
		service->plan[n++] = &first_head_step;
	if (service->target_names)
		service->plan[n++] = &resolve_step;
	service->plan[n++] = &connect_step;
	if (proxy)
		service->plan[n++] = &proxy_step;
	service->plan[n++] = &relay_step;
	service->plan[n] = NULL;
}

static void conn_run(struct conn *c, unsigned events)
{
	enum step_result result;

	c->active = now(c);
	do {
		result = current_step(c)->run(c, events);
		if (result == STEP_NEXT)
			c->step++;
		if (result == STEP_NEXT || result == STEP_JUMP)
			c->since = now(c);
		events = EVENT_ALL; /* the next step finds out itself what there is to do */
	} while (result == STEP_NEXT || result == STEP_JUMP);
	if (result == STEP_CLOSE || result == STEP_RESET)
		conn_close(c, result == STEP_RESET);
	if (!c->dead)
		arm(c);
}

static bool describe_ends(struct conn *c, int fd)
{
	struct net_addr local;

	if (net_local(fd, &local) != 0)
		return false;
	net_facts(&c->peer, &c->facts.client);
	net_facts(&local, &c->facts.server);
	return true;
}

void conn_open(struct conn_pool *pool, struct conn_service *service, int fd,
	       const struct net_addr *peer)
{
	struct conn *c = calloc(1, sizeof *c);
	char text[NET_TEXT_MAX];

	if (!c) {
		net_close(fd, true);
		return;
	}
	c->pool = pool;
	c->service = c->accepted = service;
	c->serial = atomic_fetch_add(pool->serial, 1);
	c->peer = *peer;
	c->relay.scratch = &pool->scratch;
	c->relay.end[RELAY_CLIENT] = (struct relay_end){fd, &c->tls};
	c->relay.end[RELAY_BACKEND] = (struct relay_end){-1, NULL};
	net_options_set(&service->options, NET_LOCAL, fd);
	if (!describe_ends(c, fd) || !tls_open(&c->tls, service->tls, fd, choose_service, c)) {
		net_close(fd, true);
		free(c);
		return;
	}
	uv_timer_init(pool->loop, &c->timer);
	c->timer.data = c;
	c->handles = 1;
	c->armed = UINT64_MAX;
	c->since = now(c);
	c->next = pool->first;
	if (c->next)
		c->next->previous = c;
	pool->first = c;
	pool->count++;
	conn_log(c, LOG_NOTICE, "Service [%s] accepted connection from %s", service->name,
		 peer_text(c, text));
	conn_run(c, EVENT_ALL);
}

bool conn_pool_open(struct conn_pool *pool, uv_loop_t *loop, size_t out_cap,
		    _Atomic uint64_t *serial)
{
	memset(pool, 0, sizeof *pool);
	pool->loop = loop;
	pool->serial = serial;
	pool->scratch.out_cap = out_cap;
	pool->scratch.out = malloc(out_cap);
	if (!pool->scratch.out)
		return false;
	uv_prepare_init(loop, &pool->reaper);
	pool->reaper.data = pool;
	uv_prepare_start(&pool->reaper, on_prepare);
	uv_unref((uv_handle_t *)&pool->reaper);
	uv_idle_init(loop, &pool->busy);
	pool->busy.data = pool;
	return true;
}

void conn_pool_close(struct conn_pool *pool)
{
	for (struct conn *c = pool->first; c; c = c->next)
		if (!c->dead)
			mark_dead(c, false);
	on_prepare(&pool->reaper);
	uv_close((uv_handle_t *)&pool->reaper, NULL);
	uv_close((uv_handle_t *)&pool->busy, NULL);
}

void conn_pool_free(struct conn_pool *pool)
{
	free(pool->scratch.out);
}
