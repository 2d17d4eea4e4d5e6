/* SPDX-License-Identifier: ISC */
#include "h1.h"

#include <assert.h>

#include "h1_request.h"

enum h1_state {
	STATE_HEAD = 0,
	STATE_BODY,
	STATE_TRAILERS,
	STATE_HELD,	/* requests: until it is known whether the last one opens a tunnel */
	STATE_UNFRAMED, /* responses */
	STATE_TUNNEL,
	STATE_CLOSED, /* requests */
};

/* What a step of the machine came to, beside -ERR_x. */
enum {
	WAITING = 0,
	MOVED = 1,
};

/* What says to a client of any version that its connection goes on. */
static const struct span kept = {"Connection: keep-alive\r\n", 24};

void h1_init(struct h1 *h, const struct rewrite *rewrite, const struct facts *facts,
	     struct h1_limits limits)
{
	assert(limits.max_fields <= H1_FIELDS_MAX);
	*h = (struct h1){.rewrite = rewrite, .facts = facts, .limits = limits};
}

size_t h1_out_min(const struct rewrite *rewrite, struct h1_limits limits)
{
	size_t request = limits.max_head + rewrite_insertion(rewrite);

	size_t response = H1_RESPONSE_HEAD_MAX + kept.len;

	return request > response ? request : response;
}

/* --- requests --------------------------------------------------------------------------------- */

static void next_request(struct h1 *h)
{
	h->side[H1_REQUEST].state = h->last ? STATE_CLOSED : STATE_HEAD;
}

/*
 * What a client sends behind a request that may open a tunnel is tunnel data or a request; which,
 * only the response tells. Taking it for either at once is how requests are smuggled.
 */
static void request_done(struct h1 *h)
{
	if (h->tunnel_asked && !h->tunnel_refused)
		h->side[H1_REQUEST].state = STATE_HELD;
	else
		next_request(h);
}

static void queue_push(struct h1 *h, unsigned kind)
{
	unsigned at = (unsigned)(h->queue_first + h->queue_count) % H1_PIPELINE_MAX;

	h->tunnel_asked = kind & (H1_KIND_UPGRADE | H1_KIND_CONNECT);
	h->tunnel_refused = false;
	h->queue[at] = (uint8_t)kind;
	h->queue_count++;
	h->requests++;
}

/* Takes empty lines before a request line: 0, or an error if they are too many. */
static int skip_empty_lines(struct h1_side *s, struct span *in)
{
	while (in->len >= 2 && in->p[0] == '\r' && in->p[1] == '\n') {
		if (s->empty_lines == H1_EMPTY_LINES_MAX)
			return -ERR_LEADING_CRLF;
		s->empty_lines++;
		span_skip(in, 2);
	}
	return 0;
}

/*
 * The length of the head at the front of `in` into *end, 0 while it is incomplete. What can be
 * judged early is judged, in an order that does not depend on how the bytes arrive.
 */
static int scan_request(struct h1 *h, struct span in, size_t *end)
{
	struct h1_side *s = &h->side[H1_REQUEST];
	struct h1_head head;
	struct span line;
	int rc;

	*end = 0;
	if (in.len == 0 || (in.len == 1 && in.p[0] == '\r'))
		return 0;
	if (!http_is(in.p[0], HTTP_TOKEN) && in.p[0] != '\n')
		return -ERR_METHOD_INVALID;
	rc = h1_scan(&s->scan, in, h->limits.max_head, end);
	if (*end != 0)
		return 0;
	line = h1_scan_first_line(&s->scan, in);
	if (line.p) {
		int line_rc = h1_request_line(line, &head);

		if (line_rc != 0)
			return line_rc;
	}
	return rc;
}

static void watch_request(const struct h1 *h, const struct h1_head *head)
{
	/* They stand beside one another, or the head had been refused. */
	size_t len = head->method.len + 1 + head->target.len + SPAN(" HTTP/1.1").len;

	if (h->watch)
		h->watch->request(h->watch_owner, span_of(head->method.p, len), head);
}

static int request_head(struct h1 *h, struct span *in, struct out *out)
{
	struct h1_side *s = &h->side[H1_REQUEST];
	size_t mark = out_mark(out), end;
	struct h1_verdict verdict;
	struct h1_head head;
	int rc;

	if (h1_blocked(h))
		return WAITING;
	rc = skip_empty_lines(s, in);
	s->partial = in->len != 0;
	if (rc != 0)
		return rc;
	rc = scan_request(h, *in, &end);
	if (rc != 0 || end == 0)
		return rc;
	s->scan = (struct h1_scan){0};

	rc = h1_head(span_of(in->p, end), h->limits.max_fields, h1_request_line, &head);
	if (rc != 0)
		return rc;
	rc = h1_request_judge(h->rewrite, &head, h->limits.connect, &verdict);
	if (rc != 0)
		return rc;
	rewrite_request(h->rewrite, h->facts, &head, h->requests + 1, out);
	if (out->full) {
		assert(mark != 0); /* h1_out_min() */
		out_rollback(out, mark);
		return WAITING;
	}
	h->head_len = out_mark(out) - mark;
	span_skip(in, end);
	s->partial = false;
	s->empty_lines = 0;
	s->body = verdict.body;
	s->state = STATE_BODY;
	h->last = verdict.last;
	watch_request(h, &head);
	queue_push(h, verdict.kind);
	if (verdict.kind & H1_KIND_UPGRADE) {
		h->protocol_len = (uint8_t)verdict.protocol.len;
		memcpy(h->protocol, verdict.protocol.p, verdict.protocol.len);
	}
	if (verdict.body.state == H1_BODY_COMPLETE)
		request_done(h);
	return MOVED;
}

/* Content is copied as far as there is room; chunk lines are written anew. */
static int request_body(struct h1 *h, struct span *in, struct out *out)
{
	struct h1_side *s = &h->side[H1_REQUEST];
	struct span data;
	int event;

	if (out_room(out) < H1_CHUNK_LINE_MAX)
		return WAITING;
	event = h1_body_step(&s->body, in, out_room(out), &data);
	switch (event) {
	case H1_BODY_DATA:
		out_put(out, data);
		break;
	case H1_BODY_CHUNK:
		out_hex(out, s->body.left);
		out_put(out, SPAN("\r\n"));
		break;
	case H1_BODY_CHUNK_END:
		out_put(out, SPAN("\r\n"));
		break;
	case H1_BODY_LAST:
		s->state = STATE_TRAILERS;
		return MOVED;
	default:
		if (event < 0)
			return event;
	}
	if (s->body.state == H1_BODY_COMPLETE) {
		request_done(h);
		return MOVED;
	}
	return event == H1_BODY_MORE ? WAITING : MOVED;
}

static int request_trailers(struct h1 *h, struct span *in, struct out *out)
{
	struct h1_side *s = &h->side[H1_REQUEST];
	size_t mark = out_mark(out), end;
	struct h1_head head;
	int rc = h1_scan(&s->scan, *in, h->limits.max_head, &end);

	if (rc != 0 || end == 0)
		return rc;
	s->scan = (struct h1_scan){0};
	rc = h1_fields(span_of(in->p, end), h->limits.max_fields, &head);
	if (rc != 0)
		return rc;
	out_put(out, SPAN("0\r\n"));
	for (size_t i = 0; i < head.count; i++)
		if (h1_request_trailer(h->rewrite, &head.field[i]))
			rewrite_field(out, head.field[i].name, head.field[i].value);
	out_put(out, SPAN("\r\n"));
	if (out->full) {
		assert(mark != 0);
		out_rollback(out, mark);
		return WAITING;
	}
	span_skip(in, end);
	request_done(h);
	return MOVED;
}

/* As it is, as far as there is room. */
static int pass(struct span *in, struct out *out)
{
	size_t n = in->len < out_room(out) ? in->len : out_room(out);

	out_put(out, span_of(in->p, n));
	span_skip(in, n);
	return WAITING;
}

/* Of a request that is refused the watcher gets what there is of its first line. */
static int request_head_watched(struct h1 *h, struct span *in, struct out *out)
{
	int rc = request_head(h, in, out);
	size_t len = 0;

	if (rc >= 0 || !h->watch)
		return rc;
	while (len < in->len && in->p[len] != '\r' && in->p[len] != '\n')
		len++;
	h->watch->request(h->watch_owner, span_of(in->p, len), NULL);
	return rc;
}

static int request_step(struct h1 *h, struct span *in, struct out *out)
{
	switch ((enum h1_state)h->side[H1_REQUEST].state) {
	case STATE_HEAD:
		return request_head_watched(h, in, out);
	case STATE_BODY:
		return request_body(h, in, out);
	case STATE_TRAILERS:
		return request_trailers(h, in, out);
	case STATE_HELD:
		return WAITING;
	case STATE_TUNNEL:
		return pass(in, out);
	case STATE_UNFRAMED:
	case STATE_CLOSED:
		break;
	}
	span_skip(in, in->len); /* after `close` nothing is forwarded, RFC 9112 9.6 */
	return WAITING;
}

/* --- responses -------------------------------------------------------------------------------- */

/* From here on nobody can tell where a response ends: no further request may be sent. */
static void response_unframed(struct h1 *h)
{
	h->side[H1_RESPONSE].state = STATE_UNFRAMED;
	h->last = true;
	h->tunnel_refused = true;
	if (h->side[H1_REQUEST].state == STATE_HEAD || h->side[H1_REQUEST].state == STATE_HELD)
		h->side[H1_REQUEST].state = STATE_CLOSED;
}

static unsigned answered_kind(const struct h1 *h)
{
	return h->queue[h->queue_first];
}

static void response_done(struct h1 *h)
{
	if (answered_kind(h) & (H1_KIND_UPGRADE | H1_KIND_CONNECT)) {
		h->tunnel_refused = true;
		if (h->side[H1_REQUEST].state == STATE_HELD)
			next_request(h);
	}
	if (h->watch)
		h->watch->done(h->watch_owner, h->response_bytes);
	h->side[H1_RESPONSE].state = STATE_HEAD;
	h->queue_first = (uint8_t)((h->queue_first + 1) % H1_PIPELINE_MAX);
	h->queue_count--;
}

static bool opens_tunnel(const struct h1 *h, const struct h1_head *response)
{
	if (answered_kind(h) & H1_KIND_CONNECT)
		return response->status >= 200 && response->status < 300;
	return (answered_kind(h) & H1_KIND_UPGRADE) && response->status == 101 &&
	       h1_request_switched(response, span_of(h->protocol, h->protocol_len));
}

/* RFC 9112 9.3: whether the sender of this response will close. */
static bool is_last_response(const struct h1_head *head)
{
	bool last = head->minor == 0;

	for (size_t i = 0; i < head->count; i++) {
		struct span list = head->field[i].value, option;

		while (head->field[i].id == HTTP_CONNECTION && http_list_next(&list, &option)) {
			if (http_equal(option, SPAN("close")))
				return true;
			if (http_equal(option, SPAN("keep-alive")))
				last = false;
		}
	}
	return last;
}

/*
 * limits.keep_client, a response that can be framed: whether the client is to be told that its
 * connection goes on, in spite of the backend's.
 */
static bool outlives_backend(struct h1 *h, const struct h1_head *head)
{
	unsigned state = h->side[H1_REQUEST].state;

	if (!h->limits.keep_client || h->last || !is_last_response(head))
		return false;
	/* With half a request behind it, the connection has nothing to go on with. */
	h->renewing = state == STATE_HEAD || state == STATE_HELD;
	h->last = !h->renewing;
	return h->renewing;
}

static void watch_response(struct h1 *h, int status)
{
	h->response_bytes = 0;
	if (h->watch)
		h->watch->response(h->watch_owner, status);
}

/*
 * How the response goes on behind its head: 0, or -ERR_x if that cannot be told. *keep: its
 * Connection is to be replaced.
 */
static int frame_response(struct h1 *h, struct span bytes, bool *keep)
{
	struct h1_side *s = &h->side[H1_RESPONSE];
	struct h1_head head;
	int rc = h1_head(bytes, H1_FIELDS_MAX, h1_status_line, &head);

	if (rc != 0)
		return rc;
	if (opens_tunnel(h, &head)) {
		watch_response(h, head.status);
		/* Nothing of a request may be under way that the tunnel would be taken for. */
		if (h->side[H1_REQUEST].state != STATE_HELD)
			return -ERR_TRUNCATED;
		h->side[H1_REQUEST].state = STATE_TUNNEL;
		s->state = STATE_TUNNEL;
		h->queue_count = 0;
		return 0;
	}
	if (head.status == 101) /* not asked for, or to a protocol that nobody may speak unseen */
		return -ERR_TRUNCATED;
	if (head.status < 200)
		return 0; /* interim: the final response is still to come */
	rc = h1_body_of_response(&head, answered_kind(h) & H1_KIND_HEAD, &s->body);
	if (rc != 0)
		return rc;
	watch_response(h, head.status);
	if (s->body.state == H1_BODY_UNTIL_CLOSE) {
		response_unframed(h);
		return 0;
	}
	*keep = outlives_backend(h, &head);
	if (s->body.state == H1_BODY_COMPLETE)
		response_done(h);
	else
		s->state = STATE_BODY;
	return 0;
}

/*
 * A head that was parsed, with one Connection line of ours instead of its own, and with our version
 * (RFC 9110 2.5): after HTTP/1.0 some clients do not ask for more on the same connection.
 */
static void put_kept(struct span head, struct out *out)
{
	static const struct span version = {"HTTP/1.1", 8};

	out_put(out, version);
	span_skip(&head, version.len);
	while (head.len > 2) { /* the empty line */
		const char *lf = memchr(head.p, '\n', head.len);
		struct span line = span_of(head.p, (size_t)(lf - head.p) + 1);
		const char *colon = memchr(line.p, ':', line.len);
		struct span name = span_of(line.p, colon ? (size_t)(colon - line.p) : 0);

		if (http_field(name) != HTTP_CONNECTION)
			out_put(out, line);
		span_skip(&head, line.len);
	}
	out_put(out, kept);
	out_put(out, head);
}

/* limits.keep_client: whether the client can send a further request. */
static bool client_goes_on(const struct h1 *h)
{
	return h->limits.keep_client && !h->last && h->error == ERR_NONE &&
	       h->side[H1_REQUEST].state == STATE_HEAD;
}

static int response_head(struct h1 *h, struct span *in, struct out *out)
{
	struct h1_side *s = &h->side[H1_RESPONSE];
	bool keep = false;
	size_t end;
	int rc;

	s->partial = in->len != 0;
	if (in->len == 0)
		return WAITING;
	if (h->queue_count == 0) { /* unasked, as a 408 before the close of an idle connection */
		if (!client_goes_on(h)) {
			response_unframed(h);
			return MOVED;
		}
		h->renewing = true;
		s->partial = false;
		span_skip(in, in->len);
		return WAITING;
	}
	rc = h1_scan(&s->scan, *in, H1_RESPONSE_HEAD_MAX, &end);
	if (rc == 0 && end == 0)
		return WAITING;
	if (rc == 0 && out_room(out) < end + kept.len) {
		s->scan = (struct h1_scan){0};
		return WAITING;
	}
	if (rc == 0)
		rc = frame_response(h, span_of(in->p, end), &keep);
	s->scan = (struct h1_scan){0};
	s->partial = false;
	if (rc != 0) {
		response_unframed(h);
		return MOVED;
	}
	if (keep)
		put_kept(span_of(in->p, end), out);
	else
		out_put(out, span_of(in->p, end));
	span_skip(in, end);
	return MOVED;
}

/* The bytes pass as they are; the walk only tells where the body ends. */
static int response_body(struct h1 *h, struct span *in, struct out *out)
{
	struct h1_side *s = &h->side[H1_RESPONSE];
	struct span before = *in, data;
	int event;

	if (out_room(out) < H1_CHUNK_LINE_MAX)
		return WAITING;
	event = h1_body_step(&s->body, in, out_room(out), &data);
	out_put(out, span_of(before.p, before.len - in->len));
	h->response_bytes += before.len - in->len;
	if (event < 0)
		response_unframed(h);
	else if (event == H1_BODY_LAST)
		s->state = STATE_TRAILERS;
	else if (s->body.state == H1_BODY_COMPLETE)
		response_done(h);
	else if (event == H1_BODY_MORE)
		return WAITING;
	return MOVED;
}

static int response_trailers(struct h1 *h, struct span *in, struct out *out)
{
	struct h1_side *s = &h->side[H1_RESPONSE];
	size_t end;
	int rc = h1_scan(&s->scan, *in, H1_RESPONSE_HEAD_MAX, &end);

	if (rc == 0 && end == 0)
		return WAITING;
	if (rc == 0 && out_room(out) < end) {
		s->scan = (struct h1_scan){0};
		return WAITING;
	}
	s->scan = (struct h1_scan){0};
	if (rc != 0) {
		response_unframed(h);
		return MOVED;
	}
	out_put(out, span_of(in->p, end));
	span_skip(in, end);
	h->response_bytes += end;
	response_done(h);
	return MOVED;
}

static int response_step(struct h1 *h, struct span *in, struct out *out)
{
	size_t before = in->len;

	switch ((enum h1_state)h->side[H1_RESPONSE].state) {
	case STATE_HEAD:
		return response_head(h, in, out);
	case STATE_BODY:
		return response_body(h, in, out);
	case STATE_TRAILERS:
		return response_trailers(h, in, out);
	case STATE_HELD:
	case STATE_UNFRAMED:
	case STATE_TUNNEL:
	case STATE_CLOSED:
		break;
	}
	pass(in, out);
	h->response_bytes += before - in->len;
	return WAITING;
}

/* --- the conversation ------------------------------------------------------------------------- */

int h1_feed(struct h1 *h, enum h1_dir dir, struct span *in, struct out *out)
{
	int rc;

	if (dir == H1_RESPONSE) {
		do
			rc = response_step(h, in, out);
		while (rc == MOVED);
		return 0;
	}
	if (h->error != ERR_NONE)
		return -(int)h->error;
	do
		rc = request_step(h, in, out);
	while (rc == MOVED);
	if (rc < 0)
		h1_fail(h, (enum error) - rc);
	return rc;
}

size_t h1_bypass(const struct h1 *h, enum h1_dir dir)
{
	const struct h1_side *s = &h->side[dir];

	if (dir == H1_REQUEST && h->error != ERR_NONE)
		return 0;
	if (s->state == STATE_UNFRAMED || s->state == STATE_TUNNEL)
		return SIZE_MAX;
	return s->state == STATE_BODY ? h1_body_bypass(&s->body) : 0;
}

void h1_bypassed(struct h1 *h, enum h1_dir dir, size_t n)
{
	struct h1_side *s = &h->side[dir];

	if (dir == H1_RESPONSE)
		h->response_bytes += n;
	if (s->state != STATE_BODY)
		return;
	h1_body_bypassed(&s->body, n);
	if (s->body.state != H1_BODY_COMPLETE)
		return;
	if (dir == H1_REQUEST)
		request_done(h);
	else
		response_done(h);
}

enum h1_phase h1_phase(const struct h1 *h, enum h1_dir dir)
{
	const struct h1_side *s = &h->side[dir];

	switch ((enum h1_state)s->state) {
	case STATE_HEAD:
		return s->partial ? H1_HEAD : H1_IDLE;
	case STATE_BODY:
	case STATE_TRAILERS:
		return H1_BODY;
	case STATE_HELD:
		return H1_IDLE;
	case STATE_TUNNEL:
		return H1_TUNNEL;
	case STATE_UNFRAMED:
		return H1_UNFRAMED;
	case STATE_CLOSED:
		break;
	}
	return H1_CLOSED;
}

bool h1_blocked(const struct h1 *h)
{
	unsigned most = h->limits.keep_client ? 1 : H1_PIPELINE_MAX;

	/* A body that is under way belongs to a request that was let through. */
	if (h->side[H1_REQUEST].state != STATE_HEAD)
		return h->side[H1_REQUEST].state == STATE_HELD;
	return h->queue_count >= most || h->renewing;
}

unsigned h1_in_flight(const struct h1 *h)
{
	return h->queue_count;
}

enum h1_end h1_backend_end(const struct h1 *h)
{
	const struct h1_side *s = &h->side[H1_RESPONSE];

	if (!h->limits.keep_client || h->error != ERR_NONE || s->state != STATE_HEAD || s->partial)
		return H1_END_CLOSE;
	if (h->queue_count != 0)
		return H1_END_UNANSWERED;
	return client_goes_on(h) ? H1_END_RENEW : H1_END_CLOSE;
}

bool h1_backend_done(const struct h1 *h)
{
	return h->renewing && h1_backend_end(h) == H1_END_RENEW;
}

bool h1_repeatable(const struct h1 *h)
{
	return h->limits.keep_client && h->queue_count == 1 &&
	       (answered_kind(h) & H1_KIND_REPEATABLE) && h->requests - h->before_renewal > 1;
}

void h1_renew(struct h1 *h)
{
	h->side[H1_RESPONSE] = (struct h1_side){0};
	h->renewing = false;
	h->before_renewal = h->requests - h->queue_count;
}

void h1_fail(struct h1 *h, enum error error)
{
	if (h->error == ERR_NONE)
		h->error = error;
}

bool h1_answers_head(const struct h1 *h)
{
	return h->queue_count != 0 && (answered_kind(h) & H1_KIND_HEAD);
}

enum h1_reply h1_reply(const struct h1 *h)
{
	/* An error in a body belongs to a request that is in flight itself. */
	bool own = h1_phase(h, H1_REQUEST) == H1_BODY || h->error == ERR_BACKEND_CLOSED;

	if (h1_phase(h, H1_RESPONSE) == H1_UNFRAMED)
		return H1_REPLY_NEVER;
	if (h->queue_count != own)
		return own ? H1_REPLY_NEVER : H1_REPLY_LATER;
	return h1_phase(h, H1_RESPONSE) == H1_IDLE ? H1_REPLY_NOW : H1_REPLY_NEVER;
}
