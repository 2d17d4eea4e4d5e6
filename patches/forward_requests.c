/* SPDX-License-Identifier: ISC */
#include "forward_flow.h"
#include "forward_stock.h"

#define INPUT_STEP 4096		  /* bytes of room for more of an incomplete head */
#define DISCARD_MAX (1024 * 1024) /* bytes that a client may send behind its last request */

/* Feeds the machine from the front of *in; the rewritten requests go to the output, now empty. */
static void take_requests(struct forward *f, struct span *in)
{
	if (in->len == 0 || f->h1.error != ERR_NONE)
		return;
	forward_flow_feed(f, H1_REQUEST, in);
	f->starved = forward_flow_is_empty(&f->output[H1_REQUEST]) && !h1_blocked(&f->h1);
}

static void take_held(struct forward *f)
{
	struct span in = forward_buffer_content(&f->input[H1_REQUEST]);

	take_requests(f, &in);
	forward_buffer_keep_rest(&f->input[H1_REQUEST], in);
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
	forward_buffer_append(&f->input[H1_REQUEST], in);
	return n;
}

/* Reads more from the client behind the input that is held; returns as SSL_read(). */
static int read_input(CLI *c)
{
	struct forward_buffer *b = &c->forward->input[H1_REQUEST];
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
	if (n > 0 || (f->stage == FORWARD_LEFT && time(NULL) > f->deadline))
		forward_abort_all(c, "The client goes on sending behind its last request");
	return n;
}

/* Whether what the client sends is thrown away, since no request is served any more. */
static bool discards(const struct forward *f)
{
	return f->stage == FORWARD_LEFT || f->h1.error != ERR_NONE ||
	       h1_phase(&f->h1, H1_REQUEST) == H1_CLOSED;
}

/*
 * Requests that must wait for responses are read once, since that may bring the client's end.
 * Behind what is held nothing more is read, unless the socket has failed, which only a read tells.
 */
static bool wants_more(const CLI *c)
{
	const struct forward *f = c->forward;

	return !h1_blocked(&f->h1) || forward_flow_is_empty(&f->input[H1_REQUEST]) ||
	       stock_socket_failed(c, c->ssl_rfd->fd);
}

/*
 * Reads until there is output or SSL_read() fails. Where what it has read must wait, stock sees an
 * interrupted call: SSL_get_error() finds nothing of its own behind a read that brought something.
 */
static int read_requests(CLI *c, char *p, int len)
{
	struct forward *f = c->forward;

	while (len > 0) {
		size_t bypass = 0;
		bool held;
		int n = (int)forward_flow_hand_out(f, H1_REQUEST, p, (size_t)len);

		if (n > 0)
			return n;
		take_held(f);
		if (!forward_flow_is_empty(&f->output[H1_REQUEST]))
			continue;
		if (discards(f))
			return read_discarded(c, p, len);
		held = !forward_flow_is_empty(&f->input[H1_REQUEST]);
		if (held && !wants_more(c)) {
			stock_set_interrupted();
			return -1;
		}
		if (!held)
			bypass = h1_bypass(&f->h1, H1_REQUEST);
		if (bypass != 0)
			return read_bypass(c, p, len, bypass);
		n = held ? read_input(c) : read_direct(c, p, len);
		if (n <= 0)
			return n;
	}
	return SSL_read(c->ssl, p, len);
}

/*
 * Content that OpenSSL has already goes on together with its head: a client must not choose what a
 * segment begins with, which some backends take for a request.
 */
int forward_read(CLI *c, void *p, int len)
{
	int n = read_requests(c, p, len), more = n;

	while (more > 0 && n < len && h1_phase(&c->forward->h1, H1_REQUEST) == H1_BODY &&
	       SSL_has_pending(c->ssl)) {
		more = read_requests(c, (char *)p + n, len - n);
		n += more > 0 ? more : 0;
	}
	return n;
}

bool forward_holds_requests(const struct forward *f)
{
	if (!forward_flow_is_empty(&f->output[H1_REQUEST]))
		return true;
	return !forward_flow_is_empty(&f->input[H1_REQUEST]) && !discards(f) && !f->starved &&
	       !h1_blocked(&f->h1);
}

/* Nothing is read behind a close_notify, which every read would find again. */
int forward_wants_input(const CLI *c)
{
	const struct forward *f = c->forward;

	if (forward_holds_requests(f))
		return 1;
	if (f->client != FORWARD_CLIENT_OPEN || (SSL_get_shutdown(c->ssl) & SSL_RECEIVED_SHUTDOWN))
		return 0;
	return discards(f) || wants_more(c);
}

/* What must wait does not count: later loops would come around for it at once, and again. */
int forward_pending(const CLI *c)
{
	int n = SSL_pending(c->ssl);

	if (!forward_wants_input(c))
		return 0;
	return n > 0 || !forward_holds_requests(c->forward) ? n : 1;
}

int forward_took(CLI *c)
{
	bool took = c->forward->took;

	c->forward->took = false;
	return took;
}

/* --- the client's end ------------------------------------------------------------------------- */

/*
 * Whether the client's end waits for answers: a backend that hears of it may drop what it has not
 * answered.
 */
static bool awaits_answers(const struct forward *f)
{
	return f->stage != FORWARD_LEFT && f->backend < FORWARD_BACKEND_ENDED &&
	       !h1_cut(&f->h1, H1_REQUEST, false) && !h1_passes_end(&f->h1);
}

/* Called once, when all that the client has sent was handed to transfer(). */
static void judge_end(CLI *c)
{
	struct forward *f = c->forward;

	f->client = FORWARD_CLIENT_ENDED;
	if (f->h1.error == ERR_NONE && h1_cut(&f->h1, H1_REQUEST, false))
		forward_abort_all(c, "The client ended inside a message");
	forward_buffer_drop(&f->input[H1_REQUEST]);
}

/*
 * Hides the client's close_notify from transfer() while requests from before are held, or wait for
 * answers.
 */
static int visible_shutdown(CLI *c, int state)
{
	struct forward *f = c->forward;
	bool blocked;

	forward_settle(c);
	if (f->client == FORWARD_CLIENT_OPEN && (state & SSL_RECEIVED_SHUTDOWN))
		f->client = FORWARD_CLIENT_HIDDEN;
	/* OpenSSL's flag can be gone: stock sets both again, by what it was shown of them. */
	if (f->client == FORWARD_CLIENT_OPEN)
		return state;
	if (f->client == FORWARD_CLIENT_ENDED)
		return state | SSL_RECEIVED_SHUTDOWN;
	blocked = !forward_flow_is_empty(&f->input[H1_REQUEST]) && h1_blocked(&f->h1);
	/* With both flags set the client can get no response any more. */
	if (forward_holds_requests(f) ||
	    (!(state & SSL_SENT_SHUTDOWN) && (blocked || awaits_answers(f))))
		return state & ~SSL_RECEIVED_SHUTDOWN;
	judge_end(c);
	return state | SSL_RECEIVED_SHUTDOWN;
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
