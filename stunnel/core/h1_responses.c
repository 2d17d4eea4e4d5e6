/* SPDX-License-Identifier: ISC */
#include "h1_responses.h"

#include "h1_judge.h"
#include "h1_side.h"

/* Tells a client of any version that its connection goes on. */
static const struct span kept = SPAN_INIT("Connection: keep-alive\r\n");

/* Where this response ends nobody can tell: no request may be sent on behind those in flight. */
static void response_unframed(struct h1 *h, enum h1_state requests)
{
	struct h1_side *s = &h->side[H1_REQUEST];

	h->side[H1_RESPONSE].state = H1_STATE_UNFRAMED;
	h->tunnel_refused = true;
	if (s->state == H1_STATE_HEAD || s->state == H1_STATE_HELD)
		s->state = (uint8_t)requests;
}

/* The response ends with the connection (RFC 9112 6.3), as the client knows as well. */
static void response_until_close(struct h1 *h)
{
	h->last = true;
	response_unframed(h, H1_STATE_CLOSED);
}

/*
 * A client may see an end in a response that we cannot frame, and send a further request, which
 * must then be refused and not just left without an answer.
 */
static void response_failed(struct h1 *h, int error)
{
	h->response_error = (enum error) - error;
	response_unframed(h, H1_STATE_HEAD);
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
	h->side[H1_RESPONSE].state = H1_STATE_HEAD;
	h->queue_first = (uint8_t)((h->queue_first + 1) % H1_PIPELINE_MAX);
	h->queue_count--;
}

static bool opens_tunnel(const struct h1 *h, const struct h1_head *response)
{
	if (h1_answered_kind(h) & H1_KIND_CONNECT)
		return response->status >= 200 && response->status < 300;
	return (h1_answered_kind(h) & H1_KIND_UPGRADE) && response->status == 101 &&
	       h1_judge_switch(response, span_of(h->protocol, h->protocol_len));
}

/* RFC 9112 9.3: whether the backend will close behind this response. */
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
 * Whether to tell the client that its connection goes on though the backend closes its own, behind
 * a response that can be framed (limits.keep_client).
 */
static bool outlives_backend(struct h1 *h, const struct h1_head *head)
{
	unsigned state = h->side[H1_REQUEST].state;

	if (!h->limits.keep_client || h->last || !is_last_response(head))
		return false;
	/* Half a request has gone to the backend that closes: another one cannot take the rest. */
	h->renewing = state == H1_STATE_HEAD || state == H1_STATE_HELD;
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
	int rc = h1_head_parse(bytes, H1_FIELDS_MAX, h1_head_status_line, &head);

	if (rc != 0)
		return rc;
	if (opens_tunnel(h, &head)) {
		watch_response(h, head.status);
		/* What was forwarded already of a next request would become tunnel data. */
		if (h->side[H1_REQUEST].state != H1_STATE_HELD)
			return -ERR_SWITCH_UNASKED;
		h->side[H1_REQUEST].state = H1_STATE_TUNNEL;
		s->state = H1_STATE_TUNNEL;
		h->queue_count = 0;
		return 0;
	}
	if (head.status == 101) /* not asked for, or to a protocol that nobody may speak unseen */
		return -ERR_SWITCH_UNASKED;
	if (head.status < 200)
		return 0; /* interim: the final response is still to come */
	rc = h1_body_of_response(&head, h1_answered_kind(h) & H1_KIND_HEAD, &s->body);
	if (rc != 0)
		return rc;
	watch_response(h, head.status);
	if (s->body.state == H1_BODY_UNTIL_CLOSE) {
		response_until_close(h);
		return 0;
	}
	*keep = outlives_backend(h, &head);
	if (s->body.state == H1_BODY_COMPLETE)
		h1_responses_done(h);
	else
		s->state = H1_STATE_BODY;
	return 0;
}

/*
 * Writes a parsed head with one Connection line of ours instead of the backend's, and as HTTP/1.1
 * (RFC 9110 2.5): after HTTP/1.0 some clients do not ask for more on the same connection.
 */
static void put_kept(struct span head, struct out *out)
{
	static const struct span version = SPAN_INIT("HTTP/1.1");

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

bool h1_responses_client_stays(const struct h1 *h)
{
	return h->limits.keep_client && !h->last && h->error == ERR_NONE &&
	       h->side[H1_REQUEST].state == H1_STATE_HEAD;
}

/* Tells the watcher the status that the client reads, if the first line has one at all. */
static void watch_failed_head(struct h1 *h, struct span in)
{
	const char *lf = memchr(in.p, '\n', in.len);
	size_t len = lf ? (size_t)(lf - in.p) : 0;
	struct h1_head head;

	if (len != 0 && in.p[len - 1] == '\r')
		len--;
	if (h1_head_status_line(span_of(in.p, len), &head) == 0)
		watch_response(h, head.status);
}

static int response_head(struct h1 *h, struct span *in, struct out *out)
{
	struct h1_side *s = &h->side[H1_RESPONSE];
	bool keep = false;
	size_t end;
	int rc;

	s->partial = in->len != 0;
	if (in->len == 0)
		return H1_WAITING;
	if (h->queue_count == 0) { /* unasked, as a 408 before the close of an idle connection */
		if (!h1_responses_client_stays(h)) {
			response_failed(h, -ERR_ANSWER_UNASKED);
			return H1_MOVED;
		}
		h->renewing = true;
		s->partial = false;
		span_skip(in, in->len);
		return H1_WAITING;
	}
	rc = h1_head_scan(&s->scan, *in, H1_RESPONSE_HEAD_MAX, &end);
	if (rc == 0 && end == 0)
		return H1_WAITING;
	if (rc == 0 && out_room(out) < end + kept.len) {
		s->scan = (struct h1_head_scan){0};
		return H1_WAITING;
	}
	if (rc == 0)
		rc = frame_response(h, span_of(in->p, end), &keep);
	s->scan = (struct h1_head_scan){0};
	s->partial = false;
	if (rc != 0) {
		watch_failed_head(h, *in);
		response_failed(h, rc);
		out_put(out, span_of(in->p, end)); /* not counted: the head is no content */
		span_skip(in, end);
		return H1_MOVED;
	}
	if (keep)
		put_kept(span_of(in->p, end), out);
	else
		out_put(out, span_of(in->p, end));
	span_skip(in, end);
	return H1_MOVED;
}

/* Copies the bytes as they are: they are parsed only to find where the body ends. */
static int response_body(struct h1 *h, struct span *in, struct out *out)
{
	struct h1_side *s = &h->side[H1_RESPONSE];
	struct span before = *in, data;
	int event;

	if (out_room(out) < H1_CHUNK_LINE_MAX)
		return H1_WAITING;
	event = h1_body_step(&s->body, in, out_room(out), &data);
	out_put(out, span_of(before.p, before.len - in->len));
	h->response_bytes += before.len - in->len;
	if (event < 0)
		response_failed(h, event);
	else if (event == H1_BODY_LAST)
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
	size_t end;
	int rc = h1_head_scan(&s->scan, *in, H1_RESPONSE_HEAD_MAX, &end);

	if (rc == 0 && end == 0)
		return H1_WAITING;
	if (rc == 0 && out_room(out) < end) {
		s->scan = (struct h1_head_scan){0};
		return H1_WAITING;
	}
	s->scan = (struct h1_head_scan){0};
	if (rc != 0) {
		response_failed(h, rc);
		return H1_MOVED;
	}
	out_put(out, span_of(in->p, end));
	span_skip(in, end);
	h->response_bytes += end;
	h1_responses_done(h);
	return H1_MOVED;
}

int h1_responses_step(struct h1 *h, struct span *in, struct out *out)
{
	size_t before = in->len;

	switch ((enum h1_state)h->side[H1_RESPONSE].state) {
	case H1_STATE_HEAD:
		return response_head(h, in, out);
	case H1_STATE_BODY:
		return response_body(h, in, out);
	case H1_STATE_TRAILERS:
		return response_trailers(h, in, out);
	case H1_STATE_HELD:
	case H1_STATE_UNFRAMED:
	case H1_STATE_TUNNEL:
	case H1_STATE_CLOSED:
		break;
	}
	h1_pass(in, out);
	h->response_bytes += before - in->len;
	return H1_WAITING;
}
