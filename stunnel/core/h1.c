/* SPDX-License-Identifier: ISC */
#include "h1.h"

#include <assert.h>

enum h1_state {
	STATE_HEAD = 0,
	STATE_BODY,
	STATE_TRAILERS,
	STATE_UNFRAMED, /* responses */
	STATE_CLOSED,	/* requests */
};

enum h1_request_kind {
	KIND_PLAIN = 0,
	KIND_HEAD, /* its response has no body */
};

/* What a step of the machine came to, beside -ERR_x. */
enum {
	WAITING = 0,
	MOVED = 1,
};

void h1_init(struct h1 *h, const struct rewrite *rewrite, const struct facts *facts,
	     struct h1_limits limits)
{
	assert(limits.max_fields <= H1_FIELDS_MAX);
	*h = (struct h1){.rewrite = rewrite, .facts = facts, .limits = limits};
}

size_t h1_out_min(const struct rewrite *rewrite, struct h1_limits limits)
{
	size_t request = limits.max_head + rewrite_insertion(rewrite);

	return request > H1_RESPONSE_HEAD_MAX ? request : H1_RESPONSE_HEAD_MAX;
}

/* --- judging a request ------------------------------------------------------------------------ */

/* The authority of an absolute-form target, or empty if it is not one of http or https. */
static struct span target_authority(struct span target)
{
	static const struct span schemes[] = {{"http://", 7}, {"https://", 8}};

	for (size_t i = 0; i < 2; i++) {
		size_t len = schemes[i].len;

		if (target.len <= len || !http_equal(span_of(target.p, len), schemes[i]))
			continue;
		span_skip(&target, len);
		for (len = 0; len < target.len; len++)
			if (target.p[len] == '/' || target.p[len] == '?')
				break;
		return span_of(target.p, len);
	}
	return span_of(NULL, 0);
}

/* The form of the target (RFC 9112 3.2) and Host, which may not name different places. */
static int judge_target(const struct h1_head *head, const struct h1_field *host)
{
	struct span authority;

	if (head->target.p[0] == '/')
		return 0;
	if (span_eq(head->target, SPAN("*")))
		return span_eq(head->method, SPAN("OPTIONS")) ? 0 : -ERR_TARGET_FORM;
	authority = target_authority(head->target);
	if (authority.len == 0 || !http_all(authority, HTTP_HOST))
		return -ERR_TARGET_FORM;
	if (host && !http_equal(host->value, authority))
		return -ERR_HOST_MISMATCH;
	return 0;
}

static int judge_host(const struct h1_head *head, const struct h1_field **host)
{
	*host = NULL;
	for (size_t i = 0; i < head->count; i++) {
		if (head->field[i].id != HTTP_HOST_FIELD)
			continue;
		if (*host)
			return -ERR_HOST_DUPLICATE;
		*host = &head->field[i];
	}
	if (!*host)
		return head->minor == 0 ? 0 : -ERR_HOST_MISSING;
	return http_all((*host)->value, HTTP_HOST) ? 0 : -ERR_HOST_INVALID;
}

/* The options of Connection that are kept, as bits and as the field's value. */
enum {
	OPTION_CLOSE = 1,
	OPTION_KEEP_ALIVE = 2,
	OPTION_TE = 4,
};

static const struct span connection_values[8] = {
	[OPTION_CLOSE] = {"close", 5},
	[OPTION_KEEP_ALIVE] = {"keep-alive", 10},
	[OPTION_CLOSE | OPTION_KEEP_ALIVE] = {"close", 5},
	[OPTION_TE] = {"TE", 2},
	[OPTION_TE | OPTION_CLOSE] = {"close, TE", 9},
	[OPTION_TE | OPTION_KEEP_ALIVE] = {"keep-alive, TE", 14},
	[OPTION_TE | OPTION_CLOSE | OPTION_KEEP_ALIVE] = {"close, TE", 9},
};

static void drop_fields(struct h1_head *head, struct span name)
{
	for (size_t i = 0; i < head->count; i++)
		if (http_equal(head->field[i].name, name))
			head->field[i].dropped = true;
}

/*
 * One option of Connection. RFC 9110 7.6.1 has an intermediary remove the field that it names:
 * a client must not thereby remove what we add, nor what frames the message.
 */
static int judge_option(const struct rewrite *rw, struct h1_head *head, struct span option,
			unsigned *options)
{
	if (http_equal(option, SPAN("close"))) {
		*options |= OPTION_CLOSE;
		return 0;
	}
	if (http_equal(option, SPAN("keep-alive"))) {
		*options |= OPTION_KEEP_ALIVE;
		return 0;
	}
	switch (http_field(option)) {
	case HTTP_HOST_FIELD:
	case HTTP_CONTENT_LENGTH:
	case HTTP_TRANSFER_ENCODING:
		return -ERR_CONNECTION_OPTION;
	case HTTP_TE:
		*options |= OPTION_TE;
		return 0;
	case HTTP_CONNECTION:
	case HTTP_UPGRADE:
	case HTTP_HTTP2_SETTINGS:
		return 0;
	case HTTP_OTHER:
	case HTTP_TRAILER:
	case HTTP_AUTHORIZATION:
		break;
	}
	if (!rewrite_protects(rw, option))
		drop_fields(head, option);
	return 0;
}

/* Makes the Connection lines one, of the options that are kept; *last if it is the last request. */
static int judge_connection(const struct rewrite *rw, struct h1_head *head, bool *last)
{
	struct h1_field *first = NULL;
	unsigned options = 0;

	for (size_t i = 0; i < head->count; i++) {
		struct h1_field *field = &head->field[i];
		struct span list = field->value, option;

		if (field->id != HTTP_CONNECTION)
			continue;
		while (http_list_next(&list, &option)) {
			int rc = judge_option(rw, head, option, &options);

			if (rc != 0)
				return rc;
		}
		field->dropped = first != NULL;
		if (!first)
			first = field;
	}
	if (first) {
		first->value = connection_values[options];
		first->dropped = options == 0;
	}
	*last = (options & OPTION_CLOSE) || (head->minor == 0 && !(options & OPTION_KEEP_ALIVE));
	return 0;
}

/* Upgrade is not opened; aliases of framing fields have no honest sender. */
static void drop_hop_fields(struct h1_head *head)
{
	for (size_t i = 0; i < head->count; i++) {
		struct h1_field *field = &head->field[i];

		if (field->id == HTTP_UPGRADE || field->id == HTTP_HTTP2_SETTINGS ||
		    (field->id == HTTP_OTHER && http_frames(field->name)))
			field->dropped = true;
	}
}

/* Everything that RFC 9110 and 9112 ask of a request as a whole; 0 or -ERR_x. */
static int judge_request(const struct rewrite *rw, struct h1_head *head, struct h1_body *body,
			 bool *last)
{
	const struct h1_field *host;
	int rc;

	if (span_eq(head->method, SPAN("CONNECT")))
		return -ERR_CONNECT_REFUSED;
	rc = judge_host(head, &host);
	if (rc != 0)
		return rc;
	rc = judge_target(head, host);
	if (rc != 0)
		return rc;
	rc = h1_body_of_request(head, body);
	if (rc != 0)
		return rc;
	drop_hop_fields(head);
	return judge_connection(rw, head, last);
}

/* --- requests --------------------------------------------------------------------------------- */

static void request_done(struct h1 *h)
{
	struct h1_side *s = &h->side[H1_REQUEST];

	s->state = h->last ? STATE_CLOSED : STATE_HEAD;
}

static void queue_push(struct h1 *h, enum h1_request_kind kind)
{
	unsigned at = (unsigned)(h->queue_first + h->queue_count) % H1_PIPELINE_MAX;

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

static int request_head(struct h1 *h, struct span *in, struct out *out)
{
	struct h1_side *s = &h->side[H1_REQUEST];
	size_t mark = out_mark(out), end;
	struct h1_head head;
	struct h1_body body;
	bool last;
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
	rc = judge_request(h->rewrite, &head, &body, &last);
	if (rc != 0)
		return rc;
	rewrite_request(h->rewrite, h->facts, &head, out);
	if (out->full) {
		assert(mark != 0); /* h1_out_min() */
		out_rollback(out, mark);
		return WAITING;
	}
	span_skip(in, end);
	s->partial = false;
	s->empty_lines = 0;
	s->body = body;
	s->state = STATE_BODY;
	h->last = last;
	queue_push(h, span_eq(head.method, SPAN("HEAD")) ? KIND_HEAD : KIND_PLAIN);
	if (body.state == H1_BODY_COMPLETE)
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

/* RFC 9110 6.5.1: no trailer may frame, route or authenticate; ours are not the client's. */
static bool trailer_allowed(const struct rewrite *rw, const struct h1_field *field)
{
	return field->id != HTTP_AUTHORIZATION && !http_frames(field->name) &&
	       !rewrite_protects(rw, field->name);
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
		if (trailer_allowed(h->rewrite, &head.field[i]))
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

static int request_step(struct h1 *h, struct span *in, struct out *out)
{
	switch ((enum h1_state)h->side[H1_REQUEST].state) {
	case STATE_HEAD:
		return request_head(h, in, out);
	case STATE_BODY:
		return request_body(h, in, out);
	case STATE_TRAILERS:
		return request_trailers(h, in, out);
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
	if (h->side[H1_REQUEST].state == STATE_HEAD)
		h->side[H1_REQUEST].state = STATE_CLOSED;
}

static void response_done(struct h1 *h)
{
	h->side[H1_RESPONSE].state = STATE_HEAD;
	h->queue_first = (uint8_t)((h->queue_first + 1) % H1_PIPELINE_MAX);
	h->queue_count--;
}

/* How the response goes on behind its head: 0, or -ERR_x if that cannot be told. */
static int frame_response(struct h1 *h, struct span bytes)
{
	struct h1_side *s = &h->side[H1_RESPONSE];
	struct h1_head head;
	int rc = h1_head(bytes, H1_FIELDS_MAX, h1_status_line, &head);

	if (rc != 0)
		return rc;
	if (head.status == 101) /* nobody asked: Upgrade is not forwarded */
		return -ERR_CONNECTION_OPTION;
	if (head.status < 200)
		return 0; /* interim: the final response is still to come */
	rc = h1_body_of_response(&head, h->queue[h->queue_first] == KIND_HEAD, &s->body);
	if (rc != 0)
		return rc;
	if (s->body.state == H1_BODY_UNTIL_CLOSE)
		response_unframed(h);
	else if (s->body.state == H1_BODY_COMPLETE)
		response_done(h);
	else
		s->state = STATE_BODY;
	return 0;
}

static int response_head(struct h1 *h, struct span *in, struct out *out)
{
	struct h1_side *s = &h->side[H1_RESPONSE];
	size_t end;
	int rc;

	s->partial = in->len != 0;
	if (in->len == 0)
		return WAITING;
	if (h->queue_count == 0) { /* unasked, as a 408 before the close of an idle connection */
		response_unframed(h);
		return MOVED;
	}
	rc = h1_scan(&s->scan, *in, H1_RESPONSE_HEAD_MAX, &end);
	if (rc == 0 && end == 0)
		return WAITING;
	if (rc == 0 && out_room(out) < end) {
		s->scan = (struct h1_scan){0};
		return WAITING;
	}
	if (rc == 0)
		rc = frame_response(h, span_of(in->p, end));
	s->scan = (struct h1_scan){0};
	s->partial = false;
	if (rc != 0) {
		response_unframed(h);
		return MOVED;
	}
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
	response_done(h);
	return MOVED;
}

static int response_step(struct h1 *h, struct span *in, struct out *out)
{
	size_t n;

	switch ((enum h1_state)h->side[H1_RESPONSE].state) {
	case STATE_HEAD:
		return response_head(h, in, out);
	case STATE_BODY:
		return response_body(h, in, out);
	case STATE_TRAILERS:
		return response_trailers(h, in, out);
	case STATE_UNFRAMED:
	case STATE_CLOSED:
		break;
	}
	n = in->len < out_room(out) ? in->len : out_room(out);
	out_put(out, span_of(in->p, n));
	span_skip(in, n);
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
	if (s->state == STATE_UNFRAMED)
		return SIZE_MAX;
	return s->state == STATE_BODY ? h1_body_bypass(&s->body) : 0;
}

void h1_bypassed(struct h1 *h, enum h1_dir dir, size_t n)
{
	struct h1_side *s = &h->side[dir];

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
	case STATE_UNFRAMED:
		return H1_UNFRAMED;
	case STATE_CLOSED:
		break;
	}
	return H1_CLOSED;
}

bool h1_blocked(const struct h1 *h)
{
	return h->queue_count == H1_PIPELINE_MAX;
}

unsigned h1_in_flight(const struct h1 *h)
{
	return h->queue_count;
}

void h1_fail(struct h1 *h, enum error error)
{
	if (h->error == ERR_NONE)
		h->error = error;
}

enum h1_reply h1_reply(const struct h1 *h)
{
	/* An error in a body belongs to a request that is in flight itself. */
	unsigned own = h1_phase(h, H1_REQUEST) == H1_BODY ? 1 : 0;

	if (h1_phase(h, H1_RESPONSE) == H1_UNFRAMED)
		return H1_REPLY_NEVER;
	if (h->queue_count != own)
		return own ? H1_REPLY_NEVER : H1_REPLY_LATER;
	return h1_phase(h, H1_RESPONSE) == H1_IDLE ? H1_REPLY_NOW : H1_REPLY_NEVER;
}
