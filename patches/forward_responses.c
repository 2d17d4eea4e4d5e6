/* SPDX-License-Identifier: ISC */
#include "forward_connection.h"
#include "forward_stock.h"
#include "h1_answer.h"

/* The machine's output equals its input, which transfer() has already, and is thrown away. */
static void feed_response(struct forward *f, struct span *in)
{
	size_t room = in->len + H1_ANSWER_INSERTION + H1_CHUNK_LINE_MAX;
	struct out out;

	if (f->sink.cap < room) {
		forward_buffer_drop(&f->sink);
		forward_buffer_reserve(&f->sink, room);
	}
	out = out_of(f->sink.p, f->sink.cap);
	h1_feed(&f->h1, H1_RESPONSE, in, &out);
}

static void watch_response(struct forward *f, struct span in)
{
	bool held = f->response.len != 0;

	if (held) {
		forward_buffer_append(&f->response, in);
		in = forward_buffer_content(&f->response);
	}
	while (in.len != 0) {
		size_t before = in.len, n = h1_bypass(&f->h1, H1_RESPONSE);

		if (n != 0) {
			n = n < in.len ? n : in.len;
			span_skip(&in, n);
			h1_bypassed(&f->h1, H1_RESPONSE, n);
			continue;
		}
		feed_response(f, &in);
		if (in.len == before && h1_bypass(&f->h1, H1_RESPONSE) == 0)
			break;
	}
	if (held)
		forward_buffer_keep_rest(&f->response, in);
	else
		forward_buffer_append(&f->response, in);
}

ssize_t forward_readsocket(CLI *c, SOCKET fd, void *p, size_t len)
{
	ssize_t n = readsocket(fd, p, len);

	if (n < 0 && !stock_is_temporary(get_last_socket_error()))
		c->forward->backend_failed = true;
	if (n > 0)
		watch_response(c->forward, span_of(p, (size_t)n));
	return n;
}

/* Whether a backend that hung up has no data left to read, which may be a response's end. */
int forward_hung_up(const CLI *c)
{
	char byte;

	return recv(c->sock_rfd->fd, &byte, 1, MSG_PEEK) <= 0;
}

/* Reading SO_ERROR clears it, and later reads find an end: backend_failed remembers the error. */
int forward_socket_error(CLI *c, SOCKET fd)
{
	int error = stock_socket_error(fd);

	if (error && fd == c->sock_rfd->fd)
		c->forward->backend_failed = true;
	return error;
}

/* No close_notify after a cut response, which a client would take for a whole one (RFC 9112 8). */
int forward_shutdown(CLI *c)
{
	struct forward *f = c->forward;

	if (!f->answered && h1_cut(&f->h1, H1_RESPONSE, f->backend_failed))
		forward_abort_all(c, "The backend ended inside a message");
	f->backend_over = true;
	return SSL_shutdown(c->ssl);
}
