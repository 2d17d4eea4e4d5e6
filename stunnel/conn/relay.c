/* SPDX-License-Identifier: ISC */
#include "conn/relay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/http.h"
#include "sys/net.h"

/* Reads in one go before other connections have their turn. */
#define READS_MAX 16

/* --- the two kinds of end --------------------------------------------------------------------- */

static ssize_t plain_result(ssize_t n, const char *call, char *why)
{
	if (n >= 0)
		return n;
	if (n == -EAGAIN || n == -EWOULDBLOCK)
		return TLS_AGAIN;
	snprintf(why, TLS_WHY_MAX, "%s: %s (%d)", call, strerror((int)-n), (int)-n);
	return TLS_FAILED;
}

/* Bytes, or TLS_AGAIN, TLS_END, TLS_CUT, TLS_FAILED. */
static ssize_t end_read(struct relay_end *end, char *p, size_t len, char *why)
{
	if (end->tls)
		return tls_read(end->tls, p, len, why);
	return plain_result(net_read(end->fd, p, len), "readsocket", why);
}

static ssize_t end_write(struct relay_end *end, const char *p, size_t len, char *why)
{
	if (end->tls)
		return tls_write(end->tls, p, len, why);
	return plain_result(net_write(end->fd, p, len), "writesocket", why);
}

/* Tells the other side that nothing more comes; false if that has to wait. */
static bool end_shutdown(struct relay_end *end)
{
	if (end->fd < 0)
		return true;
	if (end->tls)
		return tls_shutdown(end->tls) != TLS_AGAIN;
	net_shutdown(end->fd);
	return true;
}

/* --- buffers ---------------------------------------------------------------------------------- */

static void buffer_free(struct relay_buffer *b)
{
	free(b->p);
	*b = (struct relay_buffer){0};
}

static bool buffer_reserve(struct relay_buffer *b, size_t cap)
{
	char *grown;

	if (b->cap >= cap)
		return true;
	grown = realloc(b->p, cap);
	if (!grown)
		return false;
	b->p = grown;
	b->cap = cap;
	return true;
}

static bool buffer_append(struct relay_buffer *b, struct span s)
{
	if (!buffer_reserve(b, b->len + s.len))
		return false;
	memcpy(b->p + b->len, s.p, s.len);
	b->len += s.len;
	return true;
}

/* --- one direction ---------------------------------------------------------------------------- */

/* Whether TLS has bytes for the side that its socket has not taken yet. */
static bool is_kept(const struct relay *r, enum relay_side side)
{
	return r->end[side].tls && tls_keeps(r->end[side].tls);
}

/* Whether TLS of the side must read before it can write. */
static bool is_midway(const struct relay *r, enum relay_side side)
{
	return r->end[side].tls && tls_midway(r->end[side].tls);
}

/* Whether bytes wait for the other side's socket: nothing more is taken until they have gone. */
static bool is_stuck(const struct relay *r, enum h1_dir dir)
{
	return r->flow[dir].unsent.len != 0 || is_kept(r, (enum relay_side) !dir);
}

/* What a pump came to, beside enum relay_status. */
static bool is_final(enum relay_status status)
{
	return status != RELAY_WAIT;
}

/*
 * A backend that takes nothing more may still be answering, as with 413 in the middle of an
 * upload: the response is read to its end before the connection is given up.
 */
static enum relay_status write_failed(struct relay *r, enum h1_dir dir)
{
	struct relay_flow *f = &r->flow[dir];

	if (dir == H1_RESPONSE)
		return RELAY_ABORT;
	/* Read on, and thrown away: a close with bytes unread would reset the client. */
	f->discarding = !(r->h1 && h1_backend_end(r->h1) != H1_END_CLOSE &&
			  h1_phase(r->h1, H1_REQUEST) != H1_BODY);
	f->broken = true;
	return RELAY_WAIT;
}

static void count_sent(struct relay_flow *f, size_t n)
{
	size_t ours = n < f->uncounted ? n : f->uncounted;

	f->uncounted -= ours;
	f->sent += n - ours;
}

/* Writes what it can from the front of *s. */
static enum relay_status write_some(struct relay *r, enum h1_dir dir, struct span *s)
{
	struct relay_end *to = &r->end[!dir];

	while (s->len != 0 && to->fd >= 0) {
		ssize_t n = end_write(to, s->p, s->len, r->scratch->why);

		if (n == TLS_AGAIN)
			return RELAY_WAIT;
		if (n < 0) {
			s->len = 0;
			return write_failed(r, dir);
		}
		count_sent(&r->flow[dir], (size_t)n);
		span_skip(s, (size_t)n);
	}
	return RELAY_WAIT;
}

static enum relay_status flush(struct relay *r, enum h1_dir dir)
{
	struct relay_flow *f = &r->flow[dir];
	enum relay_status status;
	struct span rest;

	if (f->unsent.len == 0) {
		if (is_kept(r, (enum relay_side) !dir) &&
		    tls_flush(r->end[!dir].tls, r->scratch->why) == TLS_FAILED)
			return write_failed(r, dir);
		return RELAY_WAIT;
	}
	rest = span_of(f->unsent.p + f->unsent_at, f->unsent.len - f->unsent_at);
	status = write_some(r, dir, &rest);
	f->unsent_at = f->unsent.len - rest.len;
	if (rest.len == 0) {
		buffer_free(&f->unsent);
		f->unsent_at = 0;
	}
	return status;
}

/* Sends s, or keeps what does not go out at once. Nothing is stuck before. */
static enum relay_status send_on(struct relay *r, enum h1_dir dir, struct span s)
{
	enum relay_status status = write_some(r, dir, &s);

	if (s.len != 0 && !buffer_append(&r->flow[dir].unsent, s))
		return RELAY_ABORT;
	return status;
}

/* Keeps a copy of a request that may be sent again; false without memory. */
static bool keep_repeatable(struct relay *r, struct span request)
{
	buffer_free(&r->repeat);
	/* It stands last; before it may be the end of an earlier request's content. */
	if (request.len > r->h1->head_len)
		span_skip(&request, request.len - r->h1->head_len);
	return !h1_repeatable(r->h1) || buffer_append(&r->repeat, request);
}

/* Behind the last answer: thrown away at once, before a further request that it would answer. */
static bool is_unasked(const struct relay *r, enum h1_dir dir)
{
	return dir == H1_RESPONSE && r->h1 && h1_backend_end(r->h1) == H1_END_RENEW;
}

/* Takes from the front of *in what can go on, through the HTTP machine if there is one. */
static enum relay_status forward(struct relay *r, enum h1_dir dir, struct span *in)
{
	struct relay_flow *f = &r->flow[dir];
	enum relay_status status = RELAY_WAIT;

	if (dir == H1_RESPONSE)
		buffer_free(&r->repeat); /* something is answered */
	while (in->len != 0 && (!is_stuck(r, dir) || is_unasked(r, dir)) && !is_final(status)) {
		size_t n = r->h1 ? h1_bypass(r->h1, dir) : SIZE_MAX, before = in->len;
		struct out out = out_of(r->scratch->out, r->scratch->out_cap);

		if (f->discarding)
			n = SIZE_MAX;
		if (n != 0) {
			struct span s = span_of(in->p, n < in->len ? n : in->len);

			span_skip(in, s.len);
			if (f->discarding)
				continue;
			if (r->h1)
				h1_bypassed(r->h1, dir, s.len);
			status = send_on(r, dir, s);
			continue;
		}
		if (h1_feed(r->h1, dir, in, &out) != 0)
			status = RELAY_REFUSED;
		if (dir == H1_REQUEST && out.len != 0 && !keep_repeatable(r, out_span(&out)))
			return RELAY_ABORT;
		if (out.len != 0 && send_on(r, dir, out_span(&out)) == RELAY_ABORT)
			return RELAY_ABORT;
		if (out.len == 0 && in->len == before)
			break;
	}
	return status;
}

/* Keeps what forward() left of an input that lies in held (or else in the scratch). */
static bool hold(struct relay_flow *f, struct span rest, bool was_held)
{
	if (f->discarding || rest.len == 0) {
		buffer_free(&f->held);
		return true;
	}
	if (!was_held)
		return buffer_append(&f->held, rest);
	memmove(f->held.p, rest.p, rest.len);
	f->held.len = rest.len;
	return true;
}

static enum relay_status forward_held(struct relay *r, enum h1_dir dir)
{
	struct relay_flow *f = &r->flow[dir];
	struct span in = span_of(f->held.p, f->held.len);
	enum relay_status status;

	if (in.len == 0)
		return RELAY_WAIT;
	status = forward(r, dir, &in);
	hold(f, in, true);
	return status;
}

/* Whether the source may be read at all. */
static bool may_read(const struct relay *r, enum h1_dir dir)
{
	const struct relay_flow *f = &r->flow[dir];

	if (f->ended || is_stuck(r, dir) || r->end[dir].fd < 0 || f->held.len >= RELAY_INPUT_MAX)
		return false;
	if (f->discarding || dir == H1_RESPONSE || !r->h1 || r->hung_up ||
	    is_midway(r, (enum relay_side)dir))
		return true;
	/* Ahead of what must wait one read is taken: it may bring the client's end. */
	return r->h1->error == ERR_NONE && (!h1_blocked(r->h1) || f->held.len == 0);
}

/*
 * One read, behind what is held back. An incomplete head is read into its own memory, so that a
 * sender of single bytes costs linear time.
 */
static ssize_t read_more(struct relay *r, enum h1_dir dir, enum relay_status *status)
{
	struct relay_flow *f = &r->flow[dir];
	bool held = f->held.len != 0;
	size_t cap = 2 * f->held.len > 4096 ? 2 * f->held.len : 4096;
	struct span in = {r->scratch->in, 0};
	char *to = r->scratch->in;
	size_t room = RELAY_INPUT_MAX;
	ssize_t n;

	if (held) {
		cap = cap < RELAY_INPUT_MAX ? cap : RELAY_INPUT_MAX;
		if (!buffer_reserve(&f->held, cap)) {
			*status = RELAY_ABORT;
			return TLS_FAILED;
		}
		to = f->held.p + f->held.len;
		room = f->held.cap - f->held.len;
	}
	n = end_read(&r->end[dir], to, room, r->scratch->why);
	if (n <= 0)
		return n;
	if (held) {
		f->held.len += (size_t)n;
		*status = forward_held(r, dir);
		return n;
	}
	in.len = (size_t)n;
	*status = forward(r, dir, &in);
	if (!hold(f, in, false))
		*status = RELAY_ABORT;
	return n;
}

/* The source has ended and everything was sent on: tells the other side, or aborts it. */
static enum relay_status finish(struct relay *r, enum h1_dir dir)
{
	struct relay_flow *f = &r->flow[dir];
	enum h1_phase phase = r->h1 ? h1_phase(r->h1, dir) : H1_IDLE;

	if (f->closed)
		return RELAY_WAIT;
	/* A message that was cut short must not look like a short message. */
	if (!f->discarding && (phase == H1_BODY || (phase == H1_HEAD && dir == H1_RESPONSE))) {
		snprintf(r->scratch->why, TLS_WHY_MAX, "The %s ended inside a message",
			 dir == H1_REQUEST ? "client" : "backend");
		return RELAY_ABORT;
	}
	buffer_free(&f->held);
	f->closed = end_shutdown(&r->end[!dir]);
	/* Without a backend nobody wants requests any more. */
	if (dir == H1_RESPONSE && r->h1 && phase != H1_TUNNEL)
		r->flow[H1_REQUEST].discarding = true;
	return RELAY_WAIT;
}

static bool has_pending(const struct relay *r, enum h1_dir dir)
{
	return r->end[dir].tls && tls_pending(r->end[dir].tls);
}

/*
 * A backend that answers in the middle of an upload and closes, as with 413, resets the connection
 * by the bytes that it did not read: its answer is whole all the same.
 */
static bool all_answered(const struct relay *r)
{
	return r->h1 && h1_phase(r->h1, H1_RESPONSE) == H1_IDLE && h1_in_flight(r->h1) == 0;
}

static bool is_framed(const struct relay *r)
{
	enum h1_phase phase = r->h1 ? h1_phase(r->h1, H1_RESPONSE) : H1_TUNNEL;

	return phase != H1_TUNNEL && phase != H1_UNFRAMED;
}

/* With httpKeepAlive = client a backend may end where its client goes on; WAIT: not here. */
static enum relay_status backend_ended(struct relay *r)
{
	/* A backend that was told of its client's end may end for that reason. */
	if (!r->h1 || r->flow[H1_REQUEST].closed)
		return RELAY_WAIT;
	switch (h1_backend_end(r->h1)) {
	case H1_END_RENEW:
		return RELAY_RENEW;
	case H1_END_UNANSWERED:
		if (r->repeat.len != 0)
			return RELAY_RENEW;
		h1_fail(r->h1, ERR_BACKEND_CLOSED);
		return RELAY_REFUSED;
	case H1_END_CLOSE:
		break;
	}
	return RELAY_WAIT;
}

/* How a read that brought no bytes goes on. */
static enum relay_status source_ended(struct relay *r, enum h1_dir dir, ssize_t n)
{
	enum relay_status status = dir == H1_RESPONSE ? backend_ended(r) : RELAY_WAIT;

	if (is_final(status))
		return status;
	if (n == TLS_FAILED && !(dir == H1_RESPONSE && all_answered(r)))
		return RELAY_ABORT;
	/* The failed write took the backend's reset with it: without framing this is no end. */
	if (dir == H1_RESPONSE && r->flow[H1_REQUEST].broken && !is_framed(r))
		return RELAY_ABORT;
	r->flow[dir].ended = true;
	if (n == TLS_CUT) { /* TLS is dead in both directions: nothing can be answered */
		buffer_free(&r->flow[dir].held);
		r->flow[!dir].ended = true;
		r->flow[!dir].discarding = true;
		r->flow[!dir].closed = true;
		buffer_free(&r->flow[!dir].unsent);
		buffer_free(&r->flow[!dir].held);
	}
	return RELAY_WAIT;
}

/* Requests of a client that has ended, which responses will let go on. */
static bool is_waiting(const struct relay *r, enum h1_dir dir)
{
	return dir == H1_REQUEST && r->h1 && h1_blocked(r->h1) && r->flow[dir].held.len != 0;
}

static enum relay_status pump(struct relay *r, enum h1_dir dir)
{
	struct relay_flow *f = &r->flow[dir];
	enum relay_status status = flush(r, dir);

	/* Behind an error nothing is taken; what a client that left has sent is only read to its
	 * end. */
	if (dir == H1_REQUEST && r->hung_up && r->h1 && r->h1->error != ERR_NONE)
		f->discarding = true;
	if (!is_final(status) && !is_stuck(r, dir))
		status = forward_held(r, dir);
	for (int reads = 0; !is_final(status) && may_read(r, dir); reads++) {
		ssize_t n;

		if (reads == READS_MAX) {
			r->again = true;
			return RELAY_WAIT;
		}
		n = read_more(r, dir, &status);
		if (n == TLS_AGAIN)
			break;
		if (n <= 0)
			status = source_ended(r, dir, n);
		else if (!has_pending(r, dir))
			break; /* poll() tells of more without a read(2) that finds nothing */
	}
	if (!is_final(status) && f->ended && f->unsent.len == 0 && !is_waiting(r, dir))
		status = finish(r, dir);
	return status;
}

/* --- both directions -------------------------------------------------------------------------- */

enum h1_reply relay_reply(const struct relay *r)
{
	enum h1_reply reply = h1_reply(r->h1);

	/* The responses before it have come, but are not written yet. */
	return reply == H1_REPLY_NOW && r->flow[H1_RESPONSE].unsent.len != 0 ? H1_REPLY_LATER
									     : reply;
}

/* Whether the backend's connection can be given up, with nothing of it to be sent on any more. */
static bool backend_done(const struct relay *r)
{
	return r->h1 && h1_backend_done(r->h1) && !is_stuck(r, H1_RESPONSE) &&
	       !r->flow[H1_REQUEST].closed;
}

/* Whether a response has decided what becomes of requests that came before it. */
static bool held_are_due(const struct relay *r, bool were_blocked)
{
	if (!r->h1)
		return false;
	return (were_blocked && !h1_blocked(r->h1)) ||
	       (r->h1->response_error != ERR_NONE && r->flow[H1_REQUEST].held.len != 0);
}

bool relay_last_answer(const struct relay *r)
{
	return r->h1 && r->h1->error == ERR_ANSWER_UNFRAMED && !r->flow[H1_RESPONSE].ended;
}

/* Whether what is inside OpenSSL may be read now, of which no poll event will tell. */
static bool pending_is_due(const struct relay *r)
{
	return may_read(r, H1_REQUEST) && has_pending(r, H1_REQUEST);
}

enum relay_status relay_run(struct relay *r, bool requests, bool responses)
{
	enum relay_status status = RELAY_WAIT;
	bool blocked = r->h1 && h1_blocked(r->h1), stuck;

	r->again = false;
	if (responses)
		status = pump(r, H1_RESPONSE);
	stuck = is_stuck(r, H1_RESPONSE);
	if (!is_final(status) && (requests || held_are_due(r, blocked) || pending_is_due(r)))
		status = pump(r, H1_REQUEST);
	/* A read that had to write has taken along what held the responses up. */
	if (stuck && !is_stuck(r, H1_RESPONSE))
		r->again = true;
	if (status == RELAY_ABORT)
		return status;
	if (status == RELAY_RENEW || backend_done(r))
		return RELAY_RENEW;
	if (relay_last_answer(r))
		return RELAY_WAIT;
	if (r->h1 && r->h1->error != ERR_NONE && !r->flow[H1_RESPONSE].ended)
		return relay_reply(r) == H1_REPLY_LATER ? RELAY_WAIT : RELAY_REFUSED;
	if (r->flow[H1_REQUEST].closed && r->flow[H1_RESPONSE].closed)
		return RELAY_DONE;
	return RELAY_WAIT;
}

enum relay_status relay_first(struct relay *r)
{
	struct relay_flow *f = &r->flow[H1_REQUEST];
	enum relay_status status;

	r->again = false;
	status = flush(r, H1_RESPONSE); /* an answer to a KeyUpdate */
	if (is_final(status))
		return status;
	status = pump(r, H1_REQUEST);
	if (r->h1->error != ERR_NONE)
		return f->unsent.len != 0 ? RELAY_DONE : RELAY_REFUSED;
	if (is_final(status))
		return status;
	return f->unsent.len != 0 || f->ended ? RELAY_DONE : RELAY_WAIT;
}

void relay_renew(struct relay *r)
{
	struct relay_flow *requests = &r->flow[H1_REQUEST], *responses = &r->flow[H1_RESPONSE];

	h1_renew(r->h1);
	buffer_free(&requests->unsent);
	requests->unsent = r->repeat;
	requests->unsent_at = 0;
	requests->closed = requests->broken = requests->discarding = false;
	r->repeat = (struct relay_buffer){0};
	buffer_free(&responses->held);
	responses->ended = responses->closed = false;
}

bool relay_prepend(struct relay *r, struct span bytes)
{
	struct relay_flow *f = &r->flow[H1_REQUEST];

	if (!buffer_reserve(&f->unsent, f->unsent.len + bytes.len))
		return false;
	memmove(f->unsent.p + bytes.len, f->unsent.p, f->unsent.len);
	memcpy(f->unsent.p, bytes.p, bytes.len);
	f->unsent.len += bytes.len;
	f->uncounted = bytes.len;
	return true;
}

void relay_answer(struct relay *r, enum error error)
{
	struct out out = out_of(r->scratch->out, r->scratch->out_cap);
	struct relay_flow *requests = &r->flow[H1_REQUEST], *responses = &r->flow[H1_RESPONSE];

	buffer_free(&requests->unsent);
	buffer_free(&requests->held);
	buffer_free(&responses->held);
	requests->discarding = true;
	requests->unsent_at = 0;
	http_error_reply(error, r->h1 && h1_answers_head(r->h1), &out);
	if (send_on(r, H1_RESPONSE, out_span(&out)) == RELAY_ABORT)
		responses->closed = true;
	responses->ended = true;
	responses->discarding = true;
}

void relay_wants(const struct relay *r, enum relay_side side, bool *read, bool *write)
{
	const struct relay_flow *to = &r->flow[!side];

	*read = may_read(r, (enum h1_dir)side);
	*write = is_kept(r, side);
	if (!is_midway(r, side))
		*write |= to->unsent.len != 0 ||
			  (to->ended && !to->closed && !is_waiting(r, (enum h1_dir) !side));
}

bool relay_closing(const struct relay *r)
{
	const struct relay_flow *up = &r->flow[H1_REQUEST], *down = &r->flow[H1_RESPONSE];

	return (up->closed || down->closed) && !is_stuck(r, H1_REQUEST) &&
	       !is_stuck(r, H1_RESPONSE);
}

bool relay_whole(const struct relay *r)
{
	if (is_stuck(r, H1_REQUEST) || is_stuck(r, H1_RESPONSE))
		return false;
	if (r->flow[H1_REQUEST].closed && r->flow[H1_RESPONSE].closed)
		return true;
	return all_answered(r) && h1_phase(r->h1, H1_REQUEST) != H1_BODY;
}

void relay_free(struct relay *r)
{
	buffer_free(&r->repeat);
	for (int dir = 0; dir < 2; dir++) {
		buffer_free(&r->flow[dir].held);
		buffer_free(&r->flow[dir].unsent);
	}
}
