/* SPDX-License-Identifier: ISC */
#include "forward_connection.h"
#include "forward_stock.h"

#define INPUT_STEP 4096		  /* bytes of room for more of an incomplete head */
#define DISCARD_MAX (1024 * 1024) /* bytes that a client may send behind its last request */

/* Feeds the machine from the front of *in; the rewritten requests go to the output, now empty. */
static void take_requests(struct forward *f, struct span *in)
{
	struct out out;

	if (in->len == 0 || f->h1.error != ERR_NONE)
		return;
	/* Each head may grow by the inserted fields, and chunk lines may be rewritten. */
	forward_buffer_reserve(&f->output,
			       in->len + rewrite_insertion(f->h1.rewrite) + H1_CHUNK_LINE_MAX);
	out = out_of(f->output.p, f->output.cap);
	h1_feed(&f->h1, H1_REQUEST, in, &out);
	f->output.len = out.len;
	f->starved = out.len == 0 && !h1_blocked(&f->h1);
}

static void take_held(struct forward *f)
{
	struct span in = forward_buffer_content(&f->input);

	if (in.len == 0)
		return;
	take_requests(f, &in);
	forward_buffer_keep_rest(&f->input, in);
}

/* Moves up to len bytes of the output to p; returns their number, 0 if there are none. */
static int hand_out(struct forward *f, char *p, int len)
{
	struct span s = forward_buffer_content(&f->output);
	size_t n = s.len < (size_t)len ? s.len : (size_t)len;

	if (n == 0)
		return 0;
	memcpy(p, s.p, n);
	span_skip(&s, n);
	forward_buffer_keep_rest(&f->output, s);
	return (int)n;
}

/* Reads content, which is passed on as it is, straight into transfer()'s buffer. */
static int read_bypass(CLI *c, char *p, int len, size_t bypass)
{
	int n = SSL_read(c->ssl, p, bypass < (size_t)len ? (int)bypass : len);

	if (n > 0)
		h1_bypassed(&c->forward->h1, H1_REQUEST, (size_t)n);
	return n;
}

/*
 * Uses transfer()'s buffer for input before any output is put there: a large buffer of our own
 * would fragment the heap, in which OpenSSL's buffers come and go.
 */
static int read_direct(CLI *c, char *p, int len)
{
	struct forward *f = c->forward;
	int n = SSL_read(c->ssl, p, len);
	struct span in = span_of(p, n > 0 ? (size_t)n : 0);

	if (n <= 0)
		return n;
	f->took = true;
	take_requests(f, &in);
	forward_buffer_append(&f->input, in);
	return n;
}

/* Reads more from the client behind the input that is held; returns as SSL_read(). */
static int read_input(CLI *c)
{
	struct forward_buffer *b = &c->forward->input;
	size_t held = b->len - b->at;
	int n;

	if (held >= FORWARD_INPUT_MAX)
		forward_abort_all(c, "The client sends more than can be held back");
	forward_buffer_reserve(b, FORWARD_INPUT_MAX - held < INPUT_STEP ? FORWARD_INPUT_MAX - held
									: INPUT_STEP);
	n = SSL_read(c->ssl, b->p + b->len, (int)(b->cap - b->len));
	if (n > 0) {
		b->len += (size_t)n;
		c->forward->took = true;
	}
	return n;
}

/* Discards input up to DISCARD_MAX, so that no reset destroys the answer before it is read. */
static int read_discarded(CLI *c, char *p, int len)
{
	struct forward *f = c->forward;
	int n;

	do {
		n = SSL_read(c->ssl, p, len);
		if (n > 0) {
			f->discarded += (size_t)n;
			f->took = true;
		}
	} while (n > 0 && f->discarded < DISCARD_MAX);
	if (n > 0 || (f->answered && time(NULL) > f->deadline))
		forward_abort_all(c, "The client goes on sending behind its last request");
	return n;
}

int forward_read(CLI *c, void *p, int len)
{
	struct forward *f = c->forward;

	while (len > 0) {
		size_t bypass;
		int n = hand_out(f, p, len);

		if (n > 0)
			return n;
		take_held(f);
		if (f->output.len != 0)
			continue;
		if (f->h1.error != ERR_NONE || h1_phase(&f->h1, H1_REQUEST) == H1_CLOSED)
			return read_discarded(c, p, len);
		bypass = f->input.len == 0 ? h1_bypass(&f->h1, H1_REQUEST) : 0;
		if (bypass != 0)
			return read_bypass(c, p, len, bypass);
		n = f->input.len == 0 ? read_direct(c, p, len) : read_input(c);
		if (n <= 0)
			return n;
	}
	return SSL_read(c->ssl, p, len);
}

bool forward_holds_output(const struct forward *f)
{
	if (f->output.len != 0)
		return true;
	return f->input.len != 0 && f->h1.error == ERR_NONE && !f->starved && !h1_blocked(&f->h1);
}

int forward_pending(const CLI *c)
{
	int n = SSL_pending(c->ssl);

	return n > 0 || !forward_holds_output(c->forward) ? n : 1;
}

/*
 * Nothing more is read while requests must wait for responses, unless the socket has failed, which
 * only a read tells.
 */
int forward_wants_input(const CLI *c)
{
	const struct forward *f = c->forward;

	if (f->h1.error != ERR_NONE || f->output.len != 0 || !h1_blocked(&f->h1))
		return 1;
	return stock_socket_failed(c, c->ssl_rfd->fd);
}

int forward_took(CLI *c)
{
	bool took = c->forward->took;

	c->forward->took = false;
	return took;
}

/* Called once, when all that the client has sent was handed to transfer(). */
static void judge_end(CLI *c)
{
	struct forward *f = c->forward;

	f->over = true;
	if (f->h1.error == ERR_NONE && h1_cut(&f->h1, H1_REQUEST, false))
		forward_abort_all(c, "The client ended inside a message");
	forward_buffer_drop(&f->input);
}

/* Hides the client's close_notify from transfer() while requests from before are still held. */
static int visible_shutdown(CLI *c, int state)
{
	struct forward *f = c->forward;

	forward_settle(c);
	if (!(state & SSL_RECEIVED_SHUTDOWN) || f->over)
		return state;
	/* With both flags set the client can get no response any more. */
	if (state & SSL_SENT_SHUTDOWN)
		f->backend_over = true;
	/* Requests that wait for earlier responses are still sent if those can come. */
	if (forward_holds_output(f) ||
	    (f->input.len != 0 && h1_blocked(&f->h1) && !f->backend_over))
		return state & ~SSL_RECEIVED_SHUTDOWN;
	judge_end(c);
	return state;
}

int forward_get_shutdown(CLI *c)
{
	return visible_shutdown(c, SSL_get_shutdown(c->ssl));
}

/* SSL_get_shutdown() does not tell an end without close_notify, which closes both directions. */
int forward_is_open(CLI *c, int open)
{
	int state = SSL_get_shutdown(c->ssl);

	if (!open && !(state & SSL_RECEIVED_SHUTDOWN))
		state = SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN;
	else if (open)
		state &= ~SSL_RECEIVED_SHUTDOWN;
	return !(visible_shutdown(c, state) & SSL_RECEIVED_SHUTDOWN);
}
