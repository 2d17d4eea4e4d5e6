/* SPDX-License-Identifier: ISC */
#include "h1_responses.h"

#include <assert.h>

#include "h1_answer.h"
#include "h1_judge.h"
#include "h1_pool.h"
#include "h1_side.h"

static void note(struct h1 *h, enum error mended)
{
	h->mended |= h1_answer_mended(mended);
	h->unfit = true;
}

/* No response follows the one under way, or, if there is none, those that were sent. */
static void close_requests(struct h1 *h)
{
	struct h1_side *s = &h->side[H1_REQUEST];

	h->last = true;
	if (s->state == H1_STATE_HEAD || s->state == H1_STATE_HELD)
		s->state = H1_STATE_CLOSED;
}

void h1_responses_done(struct h1 *h)
{
	if (h1_answered_kind(h) & (H1_KIND_UPGRADE | H1_KIND_CONNECT)) {
		h->tunnel_refused = true;
		if (h->side[H1_REQUEST].state == H1_STATE_HELD)
			h1_next_request(h);
	}
	if (h->watch)
		h->watch->done(h->watch_owner, h->response_bytes);
	h->side[H1_RESPONSE].state = h->closing ? H1_STATE_CLOSED : H1_STATE_HEAD;
	h->queue_first = (uint8_t)((h->queue_first + 1) % H1_PIPELINE_MAX);
	h->queue_count--;
	h->begun = false;
	if (h->limits.pool)
		h1_pool_done(h);
}

bool h1_responses_client_stays(const struct h1 *h)
{
	return h->limits.keep_client && !h->last && h->error == ERR_NONE &&
	       h->side[H1_REQUEST].state == H1_STATE_HEAD;
}

/* --- heads ------------------------------------------------------------------------------------ */

static bool opens_tunnel(const struct h1 *h, const struct h1_answer *a)
{
	if (h1_answered_kind(h) & H1_KIND_CONNECT)
		return a->status >= 200 && a->status < 300;
	return (h1_answered_kind(h) & H1_KIND_UPGRADE) && a->status == 101 &&
	       h1_answer_switches(a, span_of(h->protocol, h->protocol_len));
}

/* RFC 9112 9.3: whether the backend will close behind this response, or must be taken to. */
static bool is_last_of_backend(const struct h1 *h, const struct h1_answer *a)
{
	if (h1_answered_kind(h) & H1_KIND_LAST)
		return true;
	/* Content that may come behind such a response must not become the next one. */
	if (a->no_framing && (a->is_coded || a->length != 0))
		return true;
	if (a->minor == 0 && a->is_coded) /* RFC 9112 6.1 */
		return true;
	return (a->options & H1_ANSWER_CLOSE) ||
	       (a->minor == 0 && !(a->options & H1_ANSWER_KEEP_ALIVE));
}

/* Whether the client's connection has to end behind this response. */
static bool is_last_of_client(const struct h1 *h, const struct h1_answer *a,
			      const struct h1_body *body)
{
	/* Behind a request that was refused our own answer is the last. */
	bool last = h->last || (h->finishing && h->error == ERR_NONE);

	if (body->state == H1_BODY_UNTIL_CLOSE || (last && h->queue_count == 1))
		return true;
	if (body->plain && body->state != H1_BODY_COMPLETE)
		return true;
	return (h1_answered_kind(h) & H1_KIND_CONNECT) && a->status >= 300;
}

/* Whether the client can outlive the backend's connection, which ends behind this response. */
static bool outlives_backend(const struct h1 *h)
{
	unsigned state = h->side[H1_REQUEST].state;

	if (h->queue_count != 1)
		return false;
	if (h->error != ERR_NONE) /* our own answer follows */
		return true;
	/* Half a request has gone to the backend that closes: another one cannot take the rest. */
	return h->limits.keep_client && !h->last &&
	       (state == H1_STATE_HEAD || state == H1_STATE_HELD);
}

/*
 * Tells the client what becomes of its own connection (RFC 9112 9.3, 9.6), whatever the backend
 * says of its: HTTP/1.0 clients expect a close unless they are told otherwise.
 */
static void judge_connection(struct h1 *h, struct h1_answer *a, const struct h1_body *body)
{
	bool told;

	h->closing = is_last_of_client(h, a, body);
	if (!h->closing && is_last_of_backend(h, a)) {
		h->closing = !outlives_backend(h);
		h->renewing = !h->closing && h->error == ERR_NONE;
	}
	if (h->closing) {
		close_requests(h);
		told = (a->options & H1_ANSWER_CLOSE) && !(a->options & H1_ANSWER_KEEP_ALIVE);
		a->connection = told ? 0 : H1_ANSWER_CLOSE;
	} else {
		told = !(a->options & H1_ANSWER_CLOSE) &&
		       ((a->options & H1_ANSWER_KEEP_ALIVE) ||
			(a->minor == 1 && !(h1_answered_kind(h) & H1_KIND_HTTP10)));
		a->connection = told ? 0 : H1_ANSWER_KEEP_ALIVE;
	}
	if (a->connection != 0)
		a->connection |= a->options & H1_ANSWER_UPGRADE;
}

/* Of close and keep-alive a client that believes the first would end the tunnel at once. */
static void judge_tunnel(struct h1_answer *a)
{
	if ((a->options & H1_ANSWER_CLOSE) && (a->options & H1_ANSWER_KEEP_ALIVE))
		a->connection = a->options & ~(unsigned)H1_ANSWER_CLOSE;
}

static void watch_response(struct h1 *h, int status)
{
	h->response_bytes = 0;
	if (h->watch)
		h->watch->response(h->watch_owner, status);
}

static void open_tunnel(struct h1 *h, int status)
{
	watch_response(h, status);
	h->side[H1_REQUEST].state = H1_STATE_TUNNEL;
	h->side[H1_RESPONSE].state = H1_STATE_TUNNEL;
	h->queue_count = 0;
}

/* How the conversation goes on behind a head; completes it for h1_answer_put(). 0 or error. */
static int judge_head(struct h1 *h, struct h1_answer *a)
{
	struct h1_side *s = &h->side[H1_RESPONSE];

	h1_answer_frame(a, h1_answered_kind(h), &s->body);
	if (h->limits.pool)
		h1_pool_answer(h, a);
	if (opens_tunnel(h, a)) {
		/* What was forwarded already of a next request would become tunnel data. */
		if (h->side[H1_REQUEST].state != H1_STATE_HELD)
			return -ERR_SWITCH_UNASKED;
		open_tunnel(h, a->status);
		judge_tunnel(a);
		return 0;
	}
	if (a->status == 101) /* not asked for, or to a protocol that nobody may speak unseen */
		return -ERR_SWITCH_UNASKED;
	if (a->status < 200) { /* interim: the final response is still to come */
		h->begun = true;
		a->no_connection = a->options != 0;
		return 0;
	}
	judge_connection(h, a, &s->body);
	watch_response(h, a->status);
	if (s->body.state == H1_BODY_COMPLETE)
		h1_responses_done(h);
	else
		s->state = H1_STATE_BODY;
	return 0;
}

/* Skips empty lines before a status line: what an earlier response had too much of, for example. */
static int skip_empty_lines(struct h1 *h, struct span *in)
{
	struct h1_side *s = &h->side[H1_RESPONSE];

	while (in->len != 0) {
		size_t len = in->p[0] == '\r' ? 2 : 1;

		if (in->len < len || in->p[len - 1] != '\n')
			return 0;
		if (s->empty_lines++ == H1_EMPTY_LINES_MAX)
			return -ERR_ANSWER_STATUS_LINE;
		note(h, ERR_ANSWER_EMPTY_LINES);
		span_skip(in, len);
	}
	return 0;
}

/*
 * Puts the length of the head at the front of `in` into *end, 0 while the head is incomplete. An
 * incomplete head is judged by its first line, so that no cut of the bytes changes the error.
 */
static int scan_response(struct h1 *h, struct span in, size_t *end)
{
	struct h1_side *s = &h->side[H1_RESPONSE];
	int rc, first_rc;

	*end = 0;
	if (in.len == 0 || (in.len == 1 && in.p[0] == '\r'))
		return 0;
	rc = h1_head_scan(&s->scan, true, in, h->limits.max_answer_head, end);
	if (*end != 0)
		return 0;
	first_rc = h1_answer_begins(in, s->scan.line != 0);
	if (first_rc != 0)
		return first_rc;
	return rc == 0 ? 0 : -ERR_ANSWER_HEAD_TOO_LARGE;
}

static int response_head(struct h1 *h, struct span *in, struct out *out)
{
	struct h1_side *s = &h->side[H1_RESPONSE];
	bool old_client = h1_answered_kind(h) & H1_KIND_HTTP10;
	size_t mark = out_mark(out), end;
	struct h1_answer a;
	int rc = skip_empty_lines(h, in);

	if (rc == 0) {
		s->partial = in->len != 0;
		rc = scan_response(h, *in, &end);
		if (rc == 0 && end == 0)
			return H1_WAITING;
	}
	if (rc == 0 && out_room(out) < end + H1_ANSWER_INSERTION) {
		assert(mark != 0); /* h1_out_min() */
		s->scan = (struct h1_head_scan){0};
		return H1_WAITING;
	}
	if (rc == 0)
		rc = h1_answer_parse(span_of(in->p, end), &a);
	s->partial = false;
	if (rc == 0)
		rc = judge_head(h, &a);
	if (rc != 0)
		return rc;
	s->scan = (struct h1_head_scan){0};
	s->empty_lines = 0;
	h->mended |= a.mended;
	/* RFC 9110 15.2: an HTTP/1.0 client knows no interim response. */
	if (a.status >= 200 || a.status == 101 || !old_client)
		h1_answer_put(&a, out);
	span_skip(in, end);
	return H1_MOVED;
}

/* Bytes behind the last response, as a 408 before the close of an idle connection (9112 9.2). */
static int drop_unasked(struct h1 *h, struct span *in)
{
	if (in->len == 0)
		return H1_WAITING;
	note(h, ERR_ANSWER_UNASKED);
	span_skip(in, in->len);
	if (h1_responses_client_stays(h)) {
		h->renewing = true;
	} else if (h->error == ERR_NONE) {
		close_requests(h);
		h->side[H1_RESPONSE].state = H1_STATE_CLOSED;
	}
	return H1_WAITING;
}

/* --- bodies ----------------------------------------------------------------------------------- */

/* The answer's row for what h1_body_step() says of a request. */
static int body_error(int error)
{
	switch (-error) {
	case ERR_CHUNK_EXTENSION:
		return -ERR_ANSWER_CHUNK_EXTENSION;
	case ERR_CHUNK_END:
		return -ERR_ANSWER_CHUNK_END;
	default:
		return -ERR_ANSWER_CHUNK_SIZE;
	}
}

static int response_body(struct h1 *h, struct span *in, struct out *out)
{
	struct h1_side *s = &h->side[H1_RESPONSE];
	size_t mark = out_mark(out);
	int event = h1_body_copy(&s->body, in, out);

	h->response_bytes += out_mark(out) - mark;
	if (s->body.spaced)
		note(h, ERR_ANSWER_CHUNK_SPACE);
	if (s->body.bare_lf)
		note(h, ERR_ANSWER_BARE_LF);
	if (event < 0)
		return body_error(event);
	if (event == H1_BODY_LAST)
		s->state = H1_STATE_TRAILERS;
	else if (s->body.state == H1_BODY_COMPLETE)
		h1_responses_done(h);
	else if (event == H1_BODY_MORE)
		return H1_WAITING;
	return H1_MOVED;
}

static int response_trailers(struct h1 *h, struct span *in, struct out *out)
{
	struct h1_side *s = &h->side[H1_RESPONSE];
	size_t mark = out_mark(out), end;
	uint32_t mended = 0;
	int rc = h1_head_scan(&s->scan, true, *in, h->limits.max_answer_head, &end);

	if (rc != 0)
		return -ERR_ANSWER_HEAD_TOO_LARGE;
	if (end == 0)
		return H1_WAITING;
	s->scan = (struct h1_head_scan){0};
	if (out_room(out) < end + H1_ANSWER_INSERTION) {
		assert(mark != 0);
		return H1_WAITING;
	}
	out_put(out, SPAN("0\r\n"));
	rc = h1_answer_trailers(span_of(in->p, end), &mended, out);
	h->mended |= mended;
	h->unfit |= mended != 0;
	if (rc != 0 || s->body.plain)
		out_rollback(out, mark);
	if (rc != 0)
		return rc;
	span_skip(in, end);
	h->response_bytes += out_mark(out) - mark;
	h1_responses_done(h);
	return H1_MOVED;
}

int h1_responses_step(struct h1 *h, struct span *in, struct out *out)
{
	size_t before = in->len;

	switch ((enum h1_state)h->side[H1_RESPONSE].state) {
	case H1_STATE_HEAD:
		return h->queue_count != 0 ? response_head(h, in, out) : drop_unasked(h, in);
	case H1_STATE_BODY:
		return response_body(h, in, out);
	case H1_STATE_TRAILERS:
		return response_trailers(h, in, out);
	case H1_STATE_TUNNEL:
		h1_pass(in, out);
		h->response_bytes += before - in->len;
		return H1_WAITING;
	case H1_STATE_HELD:
	case H1_STATE_CLOSED:
		break;
	}
	span_skip(in, in->len);
	return H1_WAITING;
}
