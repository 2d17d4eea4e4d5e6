/* SPDX-License-Identifier: ISC */
#include "h1_requests.h"

#include <assert.h>

#include "h1_judge.h"
#include "h1_pool.h"
#include "h1_side.h"

bool h1_requests_blocked(const struct h1 *h)
{
	/* A body under way is one of a request that was let through. */
	if (h->side[H1_REQUEST].state != H1_STATE_HEAD)
		return h->side[H1_REQUEST].state == H1_STATE_HELD;
	return h->queue_count >= (h->finishing ? 1 : h->limits.in_flight) || h->renewing;
}

/*
 * Bytes behind a request that may open a tunnel are tunnel data or a request, as the response will
 * tell: to take them for either before is how requests are smuggled.
 */
void h1_requests_done(struct h1 *h)
{
	if (h->tunnel_asked && !h->tunnel_refused)
		h->side[H1_REQUEST].state = H1_STATE_HELD;
	else
		h1_next_request(h);
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

static bool takes_lf(const struct h1 *h)
{
	return h->limits.allow & H1_ALLOW_BARE_LF;
}

/* Bytes of the empty line that `in` begins with; 0: none. */
static size_t empty_line(const struct h1 *h, struct span in)
{
	if (in.len >= 2 && in.p[0] == '\r' && in.p[1] == '\n')
		return 2;
	return takes_lf(h) && in.len != 0 && in.p[0] == '\n';
}

/* Skips empty lines before a request line (RFC 9112 2.2): 0, or an error if there are too many. */
static int skip_empty_lines(struct h1 *h, struct span *in)
{
	struct h1_side *s = &h->side[H1_REQUEST];
	size_t len;

	while ((len = empty_line(h, *in)) != 0) {
		if (s->empty_lines == H1_EMPTY_LINES_MAX)
			return -ERR_LEADING_CRLF;
		s->empty_lines++;
		span_skip(in, len);
	}
	return 0;
}

/*
 * Puts the length of the head at the front of `in` into *end, 0 while the head is incomplete. An
 * incomplete head is judged as far as possible, in an order that no cut of the bytes changes.
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
	rc = h1_head_scan(&s->scan, takes_lf(h), in, h->limits.max_head, end);
	if (*end != 0)
		return 0;
	line = h1_head_first_line(&s->scan, in);
	if (line.p) {
		int line_rc = h1_head_request_line(line, h->limits.allow, &head);

		if (line_rc != 0)
			return line_rc;
	}
	return rc;
}

static void watch_request(const struct h1 *h, const struct h1_head *head)
{
	/* One space between each two parts of the request line: other lines are refused. */
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

	if (h1_requests_blocked(h))
		return H1_WAITING;
	rc = skip_empty_lines(h, in);
	s->partial = in->len != 0;
	if (rc != 0)
		return rc;
	rc = scan_request(h, *in, &end);
	if (rc != 0 || end == 0)
		return rc;
	s->scan = (struct h1_head_scan){0};

	rc = h1_head_parse(span_of(in->p, end), h->limits.max_fields, h->limits.allow, &head);
	if (rc != 0)
		return rc;
	rc = h1_judge_request(h->rewrite, &h->limits, &head, &verdict);
	if (rc != 0)
		return rc;
	rewrite_request(h->rewrite, h->facts, &head, h->requests + 1, out);
	if (out->full) {
		assert(mark != 0); /* h1_out_min() */
		out_rollback(out, mark);
		return H1_WAITING;
	}
	h->head_len = out_mark(out) - mark;
	span_skip(in, end);
	s->partial = false;
	s->empty_lines = 0;
	s->body = verdict.body;
	s->body.takes_lf = takes_lf(h);
	s->state = H1_STATE_BODY;
	/* Where no other backend connection can follow, the client's ends with the backend's. */
	h->last = verdict.last || ((verdict.kind & H1_KIND_LAST) && !h->limits.keep_client);
	if (h->limits.pool)
		h1_pool_request(h, &head, verdict.kind);
	watch_request(h, &head);
	queue_push(h, verdict.kind);
	if (verdict.kind & H1_KIND_UPGRADE) {
		h->protocol_len = (uint8_t)verdict.protocol.len;
		memcpy(h->protocol, verdict.protocol.p, verdict.protocol.len);
	}
	if (verdict.body.state == H1_BODY_COMPLETE)
		h1_requests_done(h);
	return H1_MOVED;
}

static int request_body(struct h1 *h, struct span *in, struct out *out)
{
	struct h1_side *s = &h->side[H1_REQUEST];
	int event = h1_body_copy(&s->body, in, out);

	if (event < 0)
		return event;
	if (event == H1_BODY_LAST)
		s->state = H1_STATE_TRAILERS;
	else if (s->body.state == H1_BODY_COMPLETE)
		h1_requests_done(h);
	else if (event == H1_BODY_MORE)
		return H1_WAITING;
	return H1_MOVED;
}

static int request_trailers(struct h1 *h, struct span *in, struct out *out)
{
	struct h1_side *s = &h->side[H1_REQUEST];
	size_t mark = out_mark(out), end;
	struct h1_head head;
	int rc = h1_head_scan(&s->scan, takes_lf(h), *in, h->limits.max_head, &end);

	if (rc != 0 || end == 0)
		return rc;
	s->scan = (struct h1_head_scan){0};
	rc = h1_head_fields(span_of(in->p, end), h->limits.max_fields, &head);
	if (rc == 0)
		rc = h1_judge_values(h->rewrite, &head);
	if (rc != 0)
		return rc;
	out_put(out, SPAN("0\r\n"));
	for (size_t i = 0; i < head.count; i++)
		if (h1_judge_trailer(h->rewrite, &head.field[i]))
			rewrite_field(out, head.field[i].name, head.field[i].value);
	out_put(out, SPAN("\r\n"));
	if (out->full) {
		assert(mark != 0);
		out_rollback(out, mark);
		return H1_WAITING;
	}
	span_skip(in, end);
	h1_requests_done(h);
	return H1_MOVED;
}

/* Tells the watcher of a refused request as well, by what there is of its first line. */
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

int h1_requests_step(struct h1 *h, struct span *in, struct out *out)
{
	switch ((enum h1_state)h->side[H1_REQUEST].state) {
	case H1_STATE_HEAD:
		return request_head_watched(h, in, out);
	case H1_STATE_BODY:
		return request_body(h, in, out);
	case H1_STATE_TRAILERS:
		return request_trailers(h, in, out);
	case H1_STATE_HELD:
		return H1_WAITING;
	case H1_STATE_TUNNEL:
		return h1_pass(in, out);
	case H1_STATE_CLOSED:
		break;
	}
	span_skip(in, in->len); /* no request is served behind `close`, RFC 9112 9.6 */
	return H1_WAITING;
}
