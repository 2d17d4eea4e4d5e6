/* SPDX-License-Identifier: ISC */

/*
 * Fuzzes a whole conversation. The input: a byte that chooses the settings, then bytes of the
 * client; each 0xff changes the side that sends. Found out: that the output depends on how the
 * bytes arrive or how the caller uses the machine; that a backend gets what no backend may get,
 * or a byte of what was refused; that a strict client frames an answer other than a lenient one
 * what the backend sent, or takes it for another request's; that a request meets neither an answer
 * nor a close; that a tunnel does not pass as it is.
 */

#include "h1.h"

#include <stdio.h>
#include <stdlib.h>

#include "answers.h"
#include "h1_answer.h"
#include "strict.h"

#define INPUT_MAX 16384
#define OUTPUT_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	const char *option, *value;
	enum strict_mode mode;
	bool keep_client;
	unsigned allow;
	bool pool;
} settings[] = {
	{"xForwardedFor", "replace", STRICT_REPLACE, false, 0, false},
	{"xForwardedFor", "chain", STRICT_CHAIN, false, 0, false},
	{"xForwardedFor", "append", STRICT_APPEND, false, 0, false},
	{"httpDelHeader", "Cookie", STRICT_ANY, false, 0, false}, /* this one with CONNECT */
	{"xForwardedFor", "replace", STRICT_REPLACE, true, 0, false},
	{"xForwardedFor", "replace", STRICT_RAW, false, H1_ALLOW_BARE_LF | H1_ALLOW_RAW_TARGET,
	 false},
	{"xForwardedFor", "replace", STRICT_REPLACE, true, 0, true},
};

static const struct facts facts = {
	.client = {.family = FACTS_IPV4, .text_len = 9, .text = "192.0.2.7"},
};

/* How the bytes arrive and how the machine is called. */
static const struct manner {
	size_t piece; /* 0: all at once */
	size_t room;  /* that `out` has at first; 0: all */
	bool bypass;
} manners[] = {{0, 0, false}, {1, 0, false}, {3, H1_CHUNK_LINE_MAX, false}, {7, 0, true}};

struct side {
	char in[INPUT_MAX], sent[OUTPUT_MAX];
	size_t in_len, sent_len;
	char arrived[INPUT_MAX]; /* all of it */
	size_t arrived_len;
};

struct conversation {
	struct h1 h1;
	struct manner manner;
	struct side side[2];
	bool tunnel;
	size_t tunnel_at; /* how much went to the backend before it */
	bool renewed;	  /* the backend's connection was replaced */
	size_t requests_at,
		requests_read; /* where the present one's begin, and how many were before */
	bool held;	       /* requests waited for responses when some came */
	bool unasked;	       /* something came that answers no request */
	bool logs_in;	       /* a request has credentials that hold for its connection */
	unsigned bound;	       /* requests that could have gone over a connection of others */
	/* Of the present backend connection: its requests, and where its answers begin. */
	size_t requests, sent_at, arrived_at;
	struct answers_method method[ANSWERS_MAX];
};

static struct rewrite rules;
static enum strict_mode mode; /* of the settings */
static struct h1_limits limits = {.max_head = 2048, .max_fields = 32, .max_answer_head = 2048};

/* Reads what a backend's connection got up to `end`: whether its last request is complete. */
static bool connection_is_read(struct conversation *c, size_t end, bool tunnel)
{
	const char *begin = c->side[H1_REQUEST].sent + c->requests_at;
	struct strict_read read =
		strict_requests(begin, end - c->requests_at, mode, "192.0.2.7", tunnel);

	c->requests_at = end;
	c->requests_read += read.requests;
	return read.complete;
}

static void sent(struct side *s, struct span bytes)
{
	if (bytes.len > OUTPUT_MAX - s->sent_len)
		abort();
	if (bytes.len != 0)
		memcpy(s->sent + s->sent_len, bytes.p, bytes.len);
	s->sent_len += bytes.len;
}

static void consumed(struct side *s, size_t n)
{
	memmove(s->in, s->in + n, s->in_len - n);
	s->in_len -= n;
}

static bool is_answer_error(enum error error)
{
	return error >= ERR_ANSWER_FIRST && error <= ERR_ANSWER_LAST;
}

static bool feed(struct conversation *c, enum h1_dir dir, size_t room)
{
	static char buffer[1 << 17];
	struct side *s = &c->side[dir];
	size_t cap = h1_out_min(&rules, limits), begin;
	struct out out = out_of(buffer, cap);
	struct span in = span_of(s->in, s->in_len);
	enum error before = c->h1.error;
	int rc;

	if (cap > sizeof buffer)
		abort();
	begin = out.len = room != 0 ? cap - room : 0;
	rc = h1_feed(&c->h1, dir, &in, &out);
	if (out.full)
		abort();
	if (rc != (dir == H1_REQUEST || is_answer_error(c->h1.error) ? -(int)c->h1.error : 0))
		abort();
	if (dir == H1_REQUEST && before != ERR_NONE && out.len != begin)
		abort();
	sent(s, span_of(buffer + begin, out.len - begin));
	if (!c->tunnel && h1_phase(&c->h1, H1_REQUEST) == H1_TUNNEL) {
		c->tunnel = true;
		c->tunnel_at = c->side[H1_REQUEST].sent_len;
	}
	rc = in.len != s->in_len || out.len != begin;
	consumed(s, s->in_len - in.len);
	return rc;
}

static bool pass_by(struct conversation *c, enum h1_dir dir)
{
	struct side *s = &c->side[dir];
	size_t n = h1_bypass(&c->h1, dir);

	if (n > s->in_len)
		n = s->in_len;
	if (!c->manner.bypass || n == 0)
		return false;
	sent(s, span_of(s->in, n));
	consumed(s, n);
	h1_bypassed(&c->h1, dir, n);
	return true;
}

static void drive(struct conversation *c, enum h1_dir dir)
{
	bool moved;

	do {
		moved = pass_by(c, dir);
		if (c->manner.room != 0)
			moved |= feed(c, dir, c->manner.room);
		moved |= feed(c, dir, 0);
	} while (moved && c->side[dir].in_len != 0);
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "DIFFERS: %s\n", what);
	abort();
}

/* What the client got in the place of one answer is what the backend sent in it. */
static void check_answer(const struct answers *got, const struct answers *sent, size_t i, bool old)
{
	const struct answers_one *a = &got->one[i], *b = &sent->one[i];

	must(i < sent->count, "an answer that nobody sent");
	must(a->status == b->status && a->tunnel == b->tunnel, "the status");
	must(a->until_close == b->until_close || (old && a->until_close), "the end of an answer");
	must(!a->complete || b->complete, "an answer that is not complete");
	must(a->complete && !a->tunnel ? a->len == b->len : a->len <= b->len, "the content");
	must(memcmp(got->content + a->content, sent->content + b->content, a->len) == 0,
	     "the bytes of the content");
}

/* All answers of one backend connection. */
static void check_answers(const struct conversation *c)
{
	static struct answers got, sent;
	const struct side *s = &c->side[H1_RESPONSE];
	enum h1_phase phase = h1_phase(&c->h1, H1_RESPONSE);
	bool last;

	answers_strict(s->sent + c->sent_at, s->sent_len - c->sent_at, c->method, c->requests,
		       &got);
	answers_lenient(s->arrived + c->arrived_at, s->arrived_len - c->arrived_at, c->method,
			c->requests, &sent);
	for (size_t i = 0; i < got.count; i++)
		check_answer(&got, &sent, i, c->method[i].old);
	last = got.count != 0 && got.one[got.count - 1].close;
	must(phase != H1_CLOSED || last || c->unasked, "a close that nobody announced");
	must(phase != H1_CLOSED || h1_over(&c->h1) || h1_phase(&c->h1, H1_REQUEST) == H1_BODY,
	     "a connection that does not end");
	must(phase == H1_TUNNEL || phase == H1_CLOSED || is_answer_error(c->h1.error) ||
		     got.count + h1_in_flight(&c->h1) ==
			     c->requests + (phase == H1_BODY || phase == H1_UNTIL_CLOSE),
	     "a request that is lost");
}

static void on_request(void *owner, struct span line, const struct h1_head *head)
{
	struct conversation *c = owner;

	if (!head)
		return;
	if (c->requests == ANSWERS_MAX)
		abort();
	c->method[c->requests++] = (struct answers_method){
		.head = span_eq(head->method, SPAN("HEAD")),
		.connect = span_eq(head->method, SPAN("CONNECT")),
		.old = head->minor == 0,
	};
	for (size_t i = 0; i < head->count; i++) {
		const struct h1_field *f = &head->field[i];

		c->logs_in |=
			answers_log_in(false, f->name.p, f->name.len, f->value.p, f->value.len);
	}
	(void)line;
}

static void on_response(void *owner, int status)
{
	(void)owner;
	(void)status;
}

static void on_done(void *owner, uint64_t bytes)
{
	(void)owner;
	(void)bytes;
}

static const struct h1_watch watch = {on_request, on_response, on_done};

/* The backend's connection has been replaced by another one. */
static void renew(struct conversation *c)
{
	check_answers(c);
	h1_renew(&c->h1);
	c->side[H1_RESPONSE].in_len = 0;
	c->renewed = true;
	connection_is_read(c, c->side[H1_REQUEST].sent_len, false);
	c->requests = 0;
	c->sent_at = c->side[H1_RESPONSE].sent_len;
	c->arrived_at = c->side[H1_RESPONSE].arrived_len;
}

/*
 * The backend's connection goes to other clients. What it owed this one must have come, to the last
 * byte and no further, or else somebody gets another one's answer; and nobody may be logged in.
 */
static void give_up(struct conversation *c)
{
	static struct answers came;
	const struct side *s = &c->side[H1_RESPONSE];
	size_t requests = c->requests;

	answers_lenient(s->arrived + c->arrived_at, s->arrived_len - c->arrived_at, c->method,
			requests, &came);
	must(requests != 0 && came.count == requests, "an answer that another client would get");
	must(came.rest == 0, "bytes that another client would get");
	for (size_t i = 0; i < came.count; i++) {
		const struct answers_one *a = &came.one[i];

		must(a->complete && !a->until_close && !a->tunnel, "an answer without an end");
		must(!a->close && !a->old && !c->method[i].head, "an answer behind which it ends");
		must(!a->logs_in, "another client would be logged in");
	}
	must(!c->logs_in, "another client would be logged in, by the request");
	must(connection_is_read(c, c->side[H1_REQUEST].sent_len, false), "half a request");
	must(h1_in_flight(&c->h1) == 0 && h1_phase(&c->h1, H1_REQUEST) != H1_BODY, "an exchange");
	renew(c);
}

/* The request that was sent last goes over a connection of others, every second time. */
static void bind(struct conversation *c)
{
	if (c->requests == 0 || !h1_may_reuse(&c->h1) || c->requests != 1)
		return;
	must(c->h1.requests > 1 && !c->logs_in, "a request that must not go over a used one");
	if (c->bound++ % 2 != 0)
		h1_reuse(&c->h1);
}

static void arrive(struct conversation *c, enum h1_dir dir, const uint8_t *p, size_t len)
{
	size_t piece = c->manner.piece != 0 ? c->manner.piece : len;

	for (size_t at = 0, n; at < len; at += n) {
		n = len - at < piece ? len - at : piece;
		memcpy(c->side[dir].in + c->side[dir].in_len, p + at, n);
		c->side[dir].in_len += n;
		memcpy(c->side[dir].arrived + c->side[dir].arrived_len, p + at, n);
		c->side[dir].arrived_len += n;
		c->held |= h1_blocked(&c->h1) && c->side[H1_REQUEST].in_len != 0;
		drive(c, dir);
		for (enum error e; (e = h1_take_mended(&c->h1)) != ERR_NONE;)
			c->unasked |= e == ERR_ANSWER_UNASKED;
		bind(c);
		if (h1_backend_done(&c->h1))
			renew(c);
		else if (h1_spare(&c->h1) && c->side[H1_RESPONSE].in_len == 0)
			give_up(c);
		if (dir == H1_RESPONSE)
			drive(c, H1_REQUEST);
	}
}

static void converse(struct conversation *c, struct manner manner, const uint8_t *p, size_t len)
{
	enum h1_dir dir = H1_REQUEST;

	c->manner = manner;
	c->requests_at = c->requests_read = 0;
	c->tunnel = c->held = c->renewed = c->unasked = c->logs_in = false;
	c->bound = 0;
	c->requests = c->sent_at = c->arrived_at = 0;
	h1_init(&c->h1, &rules, &facts, limits);
	c->h1.watch = &watch;
	c->h1.watch_owner = c;
	for (int i = 0; i < 2; i++)
		c->side[i].in_len = c->side[i].sent_len = c->side[i].arrived_len = 0;
	while (len != 0) {
		const uint8_t *turn = memchr(p, 0xff, len);
		size_t n = turn ? (size_t)(turn - p) : len;

		arrive(c, dir, p, n);
		dir = dir == H1_REQUEST ? H1_RESPONSE : H1_REQUEST;
		p += n + (turn != NULL);
		len -= n + (turn != NULL);
	}
}

/* Whether the backend's answers let no request go that had to wait for them. */
static bool stops_requests(const struct conversation *c)
{
	return c->unasked || is_answer_error(c->h1.error) ||
	       h1_phase(&c->h1, H1_RESPONSE) == H1_CLOSED;
}

/*
 * A backend that answers requests that it has not got, or badly, or ends its connection: whether
 * the machine lets go the requests that waited, or sees that first, hangs on the pieces indeed.
 * Either is right.
 */
static bool is_race(const struct conversation *a, const struct conversation *b)
{
	/* What comes behind a last response is the old connection's or the new one's. */
	if (a->renewed || b->renewed)
		return true;
	return (a->held || b->held) && (stops_requests(a) || stops_requests(b));
}

static void compare(const struct conversation *a, const struct conversation *b)
{
	must(a->h1.error == b->h1.error, "the error");
	must(a->tunnel == b->tunnel && (!a->tunnel || a->tunnel_at == b->tunnel_at), "the tunnel");
	must(h1_in_flight(&a->h1) == h1_in_flight(&b->h1), "requests in flight");
	must(a->h1.error == ERR_NONE || h1_reply(&a->h1) == h1_reply(&b->h1), "the reply");
	for (int i = 0; i < 2; i++) {
		const struct side *x = &a->side[i], *y = &b->side[i];

		must(h1_phase(&a->h1, (enum h1_dir)i) == h1_phase(&b->h1, (enum h1_dir)i),
		     "the phase");
		must(x->sent_len == y->sent_len && memcmp(x->sent, y->sent, x->sent_len) == 0,
		     i == H1_REQUEST ? "what the backend gets" : "what the client gets");
	}
}

static void check_requests(struct conversation *c)
{
	const struct side *s = &c->side[H1_REQUEST];
	size_t len = c->tunnel ? c->tunnel_at : s->sent_len, through = s->sent_len - len;
	bool complete = connection_is_read(c, len, c->tunnel);

	must(c->requests_read == c->h1.requests, "the number of requests");
	must(complete || h1_phase(&c->h1, H1_REQUEST) == H1_BODY, "half a request");
	must(through + s->in_len <= s->arrived_len, "more than came in a tunnel");
	must(memcmp(s->sent + len, s->arrived + s->arrived_len - s->in_len - through, through) == 0,
	     "the bytes of a tunnel");
}

static void check_output(struct conversation *c)
{
	check_requests(c);
	check_answers(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conversation whole, other;
	const char *why;
	size_t which;

	if (size < 1 || size > INPUT_MAX)
		return 0;
	which = data[0] % (sizeof settings / sizeof settings[0]);
	rules = (struct rewrite){0};
	mode = settings[which].mode;
	limits.connect = mode == STRICT_ANY;
	limits.keep_client = settings[which].keep_client;
	limits.pool = settings[which].pool;
	limits.in_flight = limits.keep_client ? 1 : H1_PIPELINE_MAX;
	limits.allow = settings[which].allow;
	if (rewrite_option(&rules, span_of(settings[which].option, strlen(settings[which].option)),
			   span_of(settings[which].value, strlen(settings[which].value)), &why))
		abort();
	converse(&whole, manners[0], data + 1, size - 1);
	check_output(&whole);
	for (size_t i = 1; i < sizeof manners / sizeof manners[0]; i++) {
		converse(&other, manners[i], data + 1, size - 1);
		check_output(&other);
		if (!is_race(&whole, &other))
			compare(&whole, &other);
	}
	return 0;
}
