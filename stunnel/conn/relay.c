/* SPDX-License-Identifier: ISC */
#include "conn/relay.h"

#include <stdio.h>

#include "core/http.h"

/* Reads of one direction before other connections have their turn. */
#define READS_MAX 16

#define RECORDS_MAX 4 /* that are taken in one of these reads */

/* --- one direction ---------------------------------------------------------------------------- */

/* Whether bytes wait for the other side's socket: nothing more is taken until they have gone. */
static bool is_stuck(const struct relay *r, enum h1_dir dir)
{
	return flow_is_stuck(&r->flow[dir], r->end[!dir]);
}

/* Whether a pump stops with this status. */
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
	r->end[!dir]->state = END_BROKEN;
	if (dir == H1_RESPONSE)
		return RELAY_ABORT;
	/* A close with bytes unread would reset the client: they are read and thrown away. */
	r->flow[dir].discarding = !(r->h1 && h1_backend_end(r->h1) != H1_END_CLOSE &&
				    h1_phase(r->h1, H1_REQUEST) != H1_BODY);
	return RELAY_WAIT;
}

/* What the relay comes to by a flow's result. */
static enum relay_status sent(struct relay *r, enum h1_dir dir, enum flow_result result)
{
	if (result == FLOW_FAILED)
		return write_failed(r, dir);
	return result == FLOW_DONE ? RELAY_WAIT : RELAY_ABORT;
}

static enum relay_status flush(struct relay *r, enum h1_dir dir)
{
	return sent(r, dir, flow_flush(&r->flow[dir], r->end[!dir], r->scratch->why));
}

static enum relay_status send_on(struct relay *r, enum h1_dir dir, struct span s)
{
	return sent(r, dir, flow_send(&r->flow[dir], r->end[!dir], s, r->scratch->why));
}

/* Keeps a copy of a request that may be sent again; false without memory. */
static bool keep_repeatable(struct relay *r, struct span request)
{
	flow_drop(&r->repeat);
	/* In front of the head the end of an earlier request's content may stand. */
	if (request.len > r->h1->head_len)
		span_skip(&request, request.len - r->h1->head_len);
	return !h1_repeatable(r->h1) || flow_append(&r->repeat, request);
}

/* Bytes behind the last response asked for: kept, they would answer the next request. */
static bool is_unasked(const struct relay *r, enum h1_dir dir)
{
	return dir == H1_RESPONSE && r->h1 && h1_backend_end(r->h1) == H1_END_RENEW;
}

/* Takes from the front of *in what can go on, through the HTTP machine if there is one. */
static enum relay_status forward(struct relay *r, enum h1_dir dir, struct span *in)
{
	struct flow *f = &r->flow[dir];
	enum relay_status status = RELAY_WAIT;

	if (dir == H1_RESPONSE)
		flow_drop(&r->repeat); /* once its answer has begun, a request is not sent again */
	if (dir == H1_RESPONSE && r->h1 && r->flow[H1_REQUEST].unsent.len != 0)
		h1_unfit(r->h1); /* it does not answer all of the request */
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

static enum relay_status forward_held(struct relay *r, enum h1_dir dir)
{
	struct flow *f = &r->flow[dir];
	struct span in = span_of(f->held.p, f->held.len);
	enum relay_status status;

	if (in.len == 0)
		return RELAY_WAIT;
	status = forward(r, dir, &in);
	flow_hold(f, in, true);
	return status;
}

/* Whether the source may be read at all. */
static bool may_read(const struct relay *r, enum h1_dir dir)
{
	const struct flow *f = &r->flow[dir];

	if (f->stage != FLOW_OPEN || is_stuck(r, dir) || !end_is_open(r->end[dir]) ||
	    f->held.len >= RELAY_INPUT_MAX)
		return false;
	if (f->discarding || dir == H1_RESPONSE || !r->h1 ||
	    r->end[RELAY_FRONT]->state == END_LEFT || end_midway(r->end[dir]))
		return true;
	/* Requests that must wait are read once, since that may bring the client's end. */
	return r->h1->error == ERR_NONE && (!h1_blocked(r->h1) || f->held.len == 0);
}

/*
 * Reads what is at hand into p, several records as one: what comes together, as a head and its
 * content, goes on in one write: some servers take what a segment begins with for a request.
 * Returns what the last end_read() did, or TLS_AGAIN where poll(2) tells of more without a read(2)
 * that finds nothing, and in *total the bytes of all.
 */
static ssize_t read_records(struct relay *r, enum h1_dir dir, char *p, size_t room, size_t *total)
{
	ssize_t n;

	*total = 0;
	for (int records = 0; records < RECORDS_MAX; records++) {
		n = end_read(r->end[dir], p + *total, room - *total, r->scratch->why);
		if (n <= 0)
			break;
		*total += (size_t)n;
		if (!end_pending(r->end[dir]))
			return TLS_AGAIN;
		if (*total == room)
			break;
	}
	return n;
}

/*
 * One read, behind what is held back. An incomplete head is read into its own memory, so that a
 * sender of single bytes costs linear time.
 */
static ssize_t read_more(struct relay *r, enum h1_dir dir, enum relay_status *status)
{
	struct flow *f = &r->flow[dir];
	bool held = f->held.len != 0;
	size_t cap = 2 * f->held.len > 4096 ? 2 * f->held.len : 4096;
	struct span in = {r->scratch->in, 0};
	char *to = r->scratch->in;
	size_t room = RELAY_INPUT_MAX;
	ssize_t n;

	if (held) {
		cap = cap < RELAY_INPUT_MAX ? cap : RELAY_INPUT_MAX;
		if (!flow_reserve(&f->held, cap)) {
			*status = RELAY_ABORT;
			return TLS_FAILED;
		}
		to = f->held.p + f->held.len;
		room = f->held.cap - f->held.len;
	}
	n = read_records(r, dir, to, room, &in.len);
	if (in.len == 0)
		return n;
	if (held) {
		f->held.len += in.len;
		*status = forward_held(r, dir);
		return n;
	}
	*status = forward(r, dir, &in);
	if (!flow_hold(f, in, false))
		*status = RELAY_ABORT;
	return n;
}

/* Whether requests are held back that go on when earlier ones are answered. */
static bool is_waiting(const struct relay *r, enum h1_dir dir)
{
	return dir == H1_REQUEST && r->h1 && h1_blocked(r->h1) && r->flow[dir].held.len != 0;
}

/* Whether the receiving end, its source having ended, waits for nothing that came before. */
static bool is_end_next(const struct relay *r, enum h1_dir dir)
{
	const struct flow *f = &r->flow[dir];

	if (f->unsent.len != 0 || is_waiting(r, dir))
		return false;
	/* A backend waits for the end of a client that is to get an answer yet. */
	return dir == H1_RESPONSE || !r->h1 || f->discarding ||
	       r->flow[H1_RESPONSE].stage == FLOW_CLOSED || h1_cut(r->h1, dir, false) ||
	       h1_passes_end(r->h1);
}

/* Whether the receiving end is to be told now that nothing more comes. */
static bool end_is_due(const struct relay *r, enum h1_dir dir)
{
	return r->flow[dir].stage == FLOW_ENDED && is_end_next(r, dir);
}

/* The source has ended and all its bytes were sent on: tells the other side so, or aborts. */
static enum relay_status finish(struct relay *r, enum h1_dir dir)
{
	struct flow *f = &r->flow[dir];
	enum h1_phase phase = r->h1 ? h1_phase(r->h1, dir) : H1_IDLE;

	/* A message that was cut short must not look like a short message. */
	if (!f->discarding && r->h1 && h1_cut(r->h1, dir, false)) {
		snprintf(r->scratch->why, TLS_WHY_MAX, "The %s ended inside a message",
			 dir == H1_REQUEST ? "client" : "backend");
		return RELAY_ABORT;
	}
	flow_drop(&f->held);
	if (!end_is_open(r->end[!dir]) || end_shutdown(r->end[!dir]))
		f->stage = FLOW_CLOSED;
	/* Without a backend nobody wants requests any more. */
	if (dir == H1_RESPONSE && r->h1 && phase != H1_TUNNEL)
		r->flow[H1_REQUEST].discarding = true;
	return RELAY_WAIT;
}

/*
 * A backend that answers in the middle of an upload and closes, as with 413, resets the connection
 * by the bytes that it did not read: its answer is whole all the same.
 */
static bool all_answered(const struct relay *r)
{
	enum h1_phase phase = r->h1 ? h1_phase(r->h1, H1_RESPONSE) : H1_TUNNEL;

	return phase == H1_CLOSED || (phase == H1_IDLE && h1_in_flight(r->h1) == 0);
}

static bool is_framed(const struct relay *r)
{
	enum h1_phase phase = r->h1 ? h1_phase(r->h1, H1_RESPONSE) : H1_TUNNEL;

	return phase != H1_TUNNEL && phase != H1_UNTIL_CLOSE;
}

/* What becomes of the client; WAIT: it ends as the backend does. */
static enum relay_status backend_ended(struct relay *r)
{
	/* A backend that was told of its client's end may end for that reason. */
	if (!r->h1 || r->flow[H1_REQUEST].stage == FLOW_CLOSED)
		return RELAY_WAIT;
	switch (h1_backend_end(r->h1)) {
	case H1_END_RENEW:
		return RELAY_RENEW;
	case H1_END_STALE:
		return r->repeat.len != 0 ? RELAY_RENEW : RELAY_OVER;
	case H1_END_UNANSWERED:
		h1_fail(r->h1, ERR_BACKEND_CLOSED);
		return RELAY_REFUSED;
	case H1_END_CLOSE:
		break;
	}
	return RELAY_WAIT;
}

/* n: what end_read() returned instead of a number of bytes. */
static enum relay_status source_ended(struct relay *r, enum h1_dir dir, ssize_t n)
{
	enum relay_status status = dir == H1_RESPONSE ? backend_ended(r) : RELAY_WAIT;

	if (is_final(status))
		return status;
	if (n == TLS_FAILED && !(dir == H1_RESPONSE && all_answered(r)))
		return RELAY_ABORT;
	/* A failed write consumes the socket's error: what looks like an end may be a reset. */
	if (dir == H1_RESPONSE && r->end[RELAY_BACK]->state == END_BROKEN && !is_framed(r))
		return RELAY_ABORT;
	/* Anybody can end a TCP connection: an answer until close lasts to close_notify (9.8). */
	if (dir == H1_RESPONSE && n == TLS_CUT && r->h1 &&
	    h1_phase(r->h1, H1_RESPONSE) == H1_UNTIL_CLOSE) {
		snprintf(r->scratch->why, TLS_WHY_MAX, "The backend ended without close_notify");
		return RELAY_ABORT;
	}
	r->flow[dir].stage = FLOW_ENDED;
	/* Of HTTP the framing tells whether anything is missing (RFC 9112 9.8). */
	if (n == TLS_CUT && (!r->h1 || h1_phase(r->h1, H1_REQUEST) == H1_TUNNEL)) {
		flow_drop(&r->flow[dir].held);
		r->flow[!dir].stage = FLOW_CLOSED;
		r->flow[!dir].discarding = true;
		flow_drop(&r->flow[!dir].unsent);
		flow_drop(&r->flow[!dir].held);
	}
	return RELAY_WAIT;
}

static enum relay_status pump(struct relay *r, enum h1_dir dir)
{
	struct flow *f = &r->flow[dir];
	enum relay_status status = flush(r, dir);

	/* After an error no request is taken: a client that left is only read to its end. */
	if (dir == H1_REQUEST && r->end[RELAY_FRONT]->state == END_LEFT && r->h1 &&
	    r->h1->error != ERR_NONE)
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
		if (n == TLS_AGAIN || is_final(status))
			break;
		if (n <= 0)
			status = source_ended(r, dir, n);
	}
	if (!is_final(status) && end_is_due(r, dir))
		status = finish(r, dir);
	return status;
}

/* --- both directions -------------------------------------------------------------------------- */

enum h1_reply relay_reply(const struct relay *r)
{
	enum h1_reply reply = h1_reply(r->h1);

	/* Earlier responses have come, but are not written yet. */
	return reply == H1_REPLY_NOW && r->flow[H1_RESPONSE].unsent.len != 0 ? H1_REPLY_LATER
									     : reply;
}

/* Whether the backend's connection can be given up, with nothing of it to be sent on any more. */
static bool backend_done(const struct relay *r)
{
	return r->h1 && h1_backend_done(r->h1) && !is_stuck(r, H1_RESPONSE) &&
	       r->flow[H1_REQUEST].stage != FLOW_CLOSED;
}

/*
 * Whether the backend's connection can serve others: the exchange is over for both machines, and
 * no byte of it is left on either way. What comes unasked from here on is found by whoever keeps
 * the connection, or takes it.
 */
static bool is_spare(const struct relay *r)
{
	const struct flow *up = &r->flow[H1_REQUEST], *down = &r->flow[H1_RESPONSE];
	const struct end *back = r->end[RELAY_BACK];

	return r->h1 && h1_spare(r->h1) && end_is_open(back) && back->state == END_LIVE &&
	       !is_stuck(r, H1_REQUEST) && !is_stuck(r, H1_RESPONSE) && up->stage == FLOW_OPEN &&
	       down->stage == FLOW_OPEN && !up->discarding && !down->discarding &&
	       down->held.len == 0;
}

/*
 * Whether a response has decided what becomes of requests that came before it. What has not been
 * read yet poll(2) tells of: a read(2) here would mostly come before the next request.
 */
static bool held_are_due(const struct relay *r, bool were_blocked)
{
	return were_blocked && r->flow[H1_REQUEST].held.len != 0 && !h1_blocked(r->h1);
}

/* Whether the client has got, or is about to be written, all that it can get. */
static bool is_over(const struct relay *r)
{
	if (!r->h1 || r->h1->error != ERR_NONE || !r->end[RELAY_BACK])
		return false;
	return h1_over(r->h1) ||
	       (r->flow[H1_REQUEST].stage != FLOW_OPEN && all_answered(r) &&
		!is_waiting(r, H1_REQUEST) && h1_phase(r->h1, H1_REQUEST) != H1_BODY);
}

/* Whether bytes inside OpenSSL may be read now: no event of poll(2) will tell of them. */
static bool pending_is_due(const struct relay *r)
{
	return end_pending(r->end[H1_REQUEST]) && may_read(r, H1_REQUEST);
}

/*
 * Sends the flights of handshakes with which nothing else went. Tickets wait for the answer where
 * the client has sent something already, but not for more than one run: in some protocols no answer
 * comes.
 */
static void send_held(struct relay *r)
{
	const struct flow *up = &r->flow[H1_REQUEST];

	if (end_holds(r->end[RELAY_BACK]))
		end_flush(r->end[RELAY_BACK], r->scratch->why);
	if (!end_holds(r->end[RELAY_FRONT]))
		return;
	if (r->held || (up->sent == 0 && up->unsent.len == 0))
		end_flush(r->end[RELAY_FRONT], r->scratch->why);
	r->held = true;
}

static enum relay_status run(struct relay *r, bool requests, bool responses)
{
	enum relay_status status = RELAY_WAIT;
	bool blocked = r->h1 && h1_blocked(r->h1), stuck;
	bool write_first = r->write_first && !end_pending(r->end[RELAY_BACK]) &&
			   r->flow[H1_RESPONSE].held.len == 0;

	r->again = r->write_first = false;
	if (write_first) {
		status = flush(r, H1_REQUEST);
		responses = false; /* of bytes that are there poll(2) tells, */
		requests = r->flow[H1_REQUEST].held.len != 0; /* and of none that are held */
	}
	if (responses)
		status = pump(r, H1_RESPONSE);
	if (!is_final(status) && is_spare(r))
		return RELAY_SPARE;
	stuck = is_stuck(r, H1_RESPONSE);
	if (!is_final(status) && (requests || held_are_due(r, blocked) || pending_is_due(r) ||
				  end_is_due(r, H1_REQUEST)))
		status = pump(r, H1_REQUEST);
	/* Reading can make TLS write, and so let go what the responses waited for. */
	if (stuck && !is_stuck(r, H1_RESPONSE))
		r->again = true;
	if (status == RELAY_ABORT)
		return status;
	if (status == RELAY_OVER || is_over(r))
		return RELAY_OVER;
	if (status == RELAY_RENEW || backend_done(r))
		return RELAY_RENEW;
	if (r->h1 && r->h1->error != ERR_NONE && r->flow[H1_RESPONSE].stage == FLOW_OPEN)
		return relay_reply(r) == H1_REPLY_LATER ? RELAY_WAIT : RELAY_REFUSED;
	if (r->flow[H1_REQUEST].stage == FLOW_CLOSED && r->flow[H1_RESPONSE].stage == FLOW_CLOSED)
		return RELAY_DONE;
	return RELAY_WAIT;
}

enum relay_status relay_run(struct relay *r, bool requests, bool responses)
{
	enum relay_status status = run(r, requests, responses);

	if (status == RELAY_WAIT)
		send_held(r);
	return status;
}

static enum relay_status first(struct relay *r)
{
	struct flow *f = &r->flow[H1_REQUEST];
	enum relay_status status;

	r->again = false;
	status = flush(r, H1_RESPONSE); /* what TLS keeps, as an answer to a KeyUpdate */
	if (is_final(status))
		return status;
	status = pump(r, H1_REQUEST);
	if (r->h1->error != ERR_NONE)
		return f->unsent.len != 0 ? RELAY_DONE : RELAY_REFUSED;
	if (is_final(status))
		return status;
	return f->unsent.len != 0 || f->stage != FLOW_OPEN ? RELAY_DONE : RELAY_WAIT;
}

enum relay_status relay_first(struct relay *r)
{
	enum relay_status status = first(r);

	r->write_first = status == RELAY_DONE && r->flow[H1_REQUEST].unsent.len != 0;
	if (status == RELAY_WAIT)
		send_held(r);
	return status;
}

void relay_reuse(struct relay *r)
{
	h1_reuse(r->h1);
	r->write_first = true;
}

void relay_renew(struct relay *r)
{
	struct flow *requests = &r->flow[H1_REQUEST], *responses = &r->flow[H1_RESPONSE];

	h1_renew(r->h1);
	r->write_first = false;
	flow_drop(&requests->unsent);
	requests->unsent = r->repeat;
	requests->unsent_at = 0;
	requests->discarding = false;
	r->repeat = (struct flow_buffer){0};
	flow_drop(&responses->held);
	responses->stage = FLOW_OPEN;
}

void relay_end(struct relay *r)
{
	struct flow *requests = &r->flow[H1_REQUEST], *responses = &r->flow[H1_RESPONSE];

	r->write_first = false;
	flow_drop(&requests->unsent);
	flow_drop(&requests->held);
	flow_drop(&responses->held);
	requests->discarding = true;
	requests->unsent_at = 0;
	if (responses->stage == FLOW_OPEN)
		responses->stage = FLOW_ENDED;
	responses->discarding = true;
}

void relay_answer(struct relay *r, enum error error)
{
	struct out out = out_of(r->scratch->out, r->scratch->out_cap);

	http_error_reply(error, r->h1 && h1_answers_head(r->h1), &out);
	if (send_on(r, H1_RESPONSE, out_span(&out)) == RELAY_ABORT)
		r->flow[H1_RESPONSE].stage = FLOW_CLOSED;
	relay_end(r);
}

bool relay_awaits_answer(const struct relay *r)
{
	unsigned incomplete;
	enum h1_phase phase;

	if (!r->h1 || errors_of_answer(r->h1->error) || is_stuck(r, H1_RESPONSE))
		return false;
	incomplete = h1_phase(r->h1, H1_REQUEST) == H1_BODY; /* it is the last one in flight */
	phase = h1_phase(r->h1, H1_RESPONSE);
	return h1_in_flight(r->h1) > incomplete && (phase == H1_IDLE || phase == H1_HEAD);
}

void relay_wants(const struct relay *r, enum relay_side side, bool *read, bool *write)
{
	const struct flow *to = &r->flow[!side];

	*read = may_read(r, (enum h1_dir)side);
	*write = end_keeps(r->end[side]);
	if (!end_midway(r->end[side]))
		*write |= to->unsent.len != 0 || end_is_due(r, (enum h1_dir) !side);
}

bool relay_closing(const struct relay *r)
{
	const struct flow *up = &r->flow[H1_REQUEST], *down = &r->flow[H1_RESPONSE];

	return (up->stage == FLOW_CLOSED || down->stage == FLOW_CLOSED) &&
	       !is_stuck(r, H1_REQUEST) && !is_stuck(r, H1_RESPONSE);
}

bool relay_whole(const struct relay *r)
{
	if (is_stuck(r, H1_REQUEST) || is_stuck(r, H1_RESPONSE))
		return false;
	if (r->flow[H1_REQUEST].stage == FLOW_CLOSED && r->flow[H1_RESPONSE].stage == FLOW_CLOSED)
		return true;
	return all_answered(r) && h1_phase(r->h1, H1_REQUEST) != H1_BODY;
}

void relay_free(struct relay *r)
{
	flow_drop(&r->repeat);
	flow_free(&r->flow[H1_REQUEST]);
	flow_free(&r->flow[H1_RESPONSE]);
}
