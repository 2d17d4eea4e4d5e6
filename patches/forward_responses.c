/* SPDX-License-Identifier: ISC */
#include "forward_flow.h"
#include "forward_stock.h"
#include "h1_answer.h"

/* Whether the client has all that it will get, also where it sends no more itself. */
static bool is_over(const struct forward *f)
{
	const struct h1 *h = &f->h1;

	return h1_over(h) || (f->client == FORWARD_CLIENT_ENDED && h1_in_flight(h) == 0 &&
			      h1_phase(h, H1_RESPONSE) == H1_IDLE);
}

/* Whether an answer is refused of which a part was sent: the client will be cut off. */
static bool is_cut_off(const struct forward *f)
{
	return f->stage == FORWARD_REFUSED && h1_reply(&f->h1) == H1_REPLY_NEVER;
}

bool forward_holds_responses(const struct forward *f)
{
	if (!forward_flow_is_empty(&f->output[H1_RESPONSE]))
		return true;
	return f->stage < FORWARD_LEFT && f->backend < FORWARD_BACKEND_ENDED && is_over(f);
}

/*
 * What stock takes for an interrupted call, and tries again when poll() tells of more: there is
 * input, but nothing that could go on yet.
 */
static ssize_t nothing_yet(void)
{
	stock_set_interrupted();
	return -1;
}

/* Logs what was mended, each kind once in a connection. */
static void tell_mended(CLI *c)
{
	struct forward *f = c->forward;
	enum error mended;

	while ((mended = h1_take_mended(&f->h1)) != ERR_NONE) {
		if (f->told_mended & h1_answer_mended(mended))
			continue;
		f->told_mended |= h1_answer_mended(mended);
		s_log(LOG_INFO, "Service [%s] mended an answer: %s", c->opt->servname,
		      errors_info[mended].log);
	}
}

/* Takes what was read into p: content stays there, as it is, and the rest goes to the machine. */
static size_t take_response(CLI *c, char *p, size_t n, size_t len)
{
	struct forward *f = c->forward;
	struct forward_buffer *held = &f->input[H1_RESPONSE];
	size_t content = forward_flow_is_empty(held) ? h1_bypass(&f->h1, H1_RESPONSE) : 0;
	struct span in = span_of(p, n);

	if (content > n)
		content = n;
	if (content != 0)
		h1_bypassed(&f->h1, H1_RESPONSE, content);
	span_skip(&in, content);
	if (forward_flow_is_empty(held)) {
		forward_flow_feed(f, H1_RESPONSE, &in);
		forward_buffer_append(held, in);
	} else {
		forward_buffer_append(held, in);
		in = forward_buffer_content(held);
		forward_flow_feed(f, H1_RESPONSE, &in);
		forward_buffer_keep_rest(held, in);
	}
	tell_mended(c);
	forward_settle(c);
	return content + forward_flow_hand_out(f, H1_RESPONSE, p + content, len - content);
}

/*
 * Behind an earlier answer a backend may have ended before the request came: the client is closed
 * without an answer, so that it may ask again (RFC 9112 9.3.1).
 */
static bool owes_answer(const struct h1 *h)
{
	if (h1_phase(h, H1_RESPONSE) == H1_IDLE)
		return h1_in_flight(h) != 0 && h1_in_flight(h) == h->requests;
	return h1_phase(h, H1_RESPONSE) == H1_HEAD;
}

/* The backend has ended: 0, or as much of our answer to a request that has none. */
static ssize_t end_responses(CLI *c, char *p, size_t len, bool failed)
{
	struct forward *f = c->forward;

	failed |= f->backend == FORWARD_BACKEND_DEAF;
	f->backend = failed ? FORWARD_BACKEND_FAILED : FORWARD_BACKEND_ENDED;
	if (owes_answer(&f->h1))
		h1_fail(&f->h1, ERR_BACKEND_CLOSED);
	forward_settle(c);
	if (f->stage == FORWARD_LEFT)
		return (ssize_t)forward_flow_hand_out(f, H1_RESPONSE, p, len);
	/* With bytes of it left forward_shutdown() does that, when stock has written them. */
	if (c->sock_ptr == 0 && !is_cut_off(f) && h1_cut(&f->h1, H1_RESPONSE, failed))
		forward_abort_all(c, "The backend ended inside a message");
	return 0;
}

ssize_t forward_readsocket(CLI *c, SOCKET fd, void *p, size_t len)
{
	struct forward *f = c->forward;
	size_t out = forward_flow_hand_out(f, H1_RESPONSE, p, len);
	ssize_t n;

	if (out != 0)
		return (ssize_t)out;
	if (f->stage == FORWARD_LEFT)
		return readsocket(fd, p, len); /* of the socket in the backend's place */
	if (is_cut_off(f))
		return 0;
	if (is_over(f)) {
		forward_leave(c);
		return 0;
	}
	n = readsocket(fd, p, len);
	if (n < 0 && stock_is_temporary(get_last_socket_error()))
		return n;
	if (n <= 0)
		return end_responses(c, p, len, n < 0);
	f->took = true;
	out = take_response(c, p, (size_t)n, len);
	return out != 0 ? (ssize_t)out : nothing_yet();
}

/* What a backend does not take any more is dropped: its answer may come all the same. */
ssize_t forward_writesocket(CLI *c, SOCKET fd, void *p, size_t len)
{
	struct forward *f = c->forward;
	ssize_t n = writesocket(fd, p, len);

	if (n >= 0 || stock_is_temporary(get_last_socket_error()))
		return n;
	if (f->backend == FORWARD_BACKEND_OPEN)
		f->backend = FORWARD_BACKEND_DEAF;
	return (ssize_t)len;
}

/* No close_notify after a cut response, which a client would take for a whole one (RFC 9112 8). */
int forward_shutdown(CLI *c)
{
	struct forward *f = c->forward;

	if (!forward_flow_is_empty(&f->output[H1_RESPONSE]) ||
	    (f->stage != FORWARD_LEFT &&
	     h1_cut(&f->h1, H1_RESPONSE, f->backend == FORWARD_BACKEND_FAILED)))
		forward_abort_all(c, "The backend ended inside a message");
	return SSL_shutdown(c->ssl);
}
