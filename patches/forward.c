/* SPDX-License-Identifier: ISC */
#include "forward_flow.h"
#include "forward_stock.h"

#include "http.h"

/* Requests can be rewritten only if ALPN (RFC 7301) chose HTTP/1, or nothing. */
static bool speaks_http(const struct facts *facts)
{
	return facts->alpn.len == 0 || span_eq(facts->alpn, SPAN("http/1.1")) ||
	       span_eq(facts->alpn, SPAN("http/1.0"));
}

void forward_begin_http(CLI *c)
{
	const struct forward_options *o = c->opt->forward;
	struct h1_limits limits = o->service.limits;
	struct forward *f = c->forward;

	limits.keep_client = false; /* transfer() has one backend connection for each client's */
	h1_init(&f->h1, &o->service.rewrite, &f->facts, limits);
	forward_log_begin(c);
}

void forward_begin(CLI *c)
{
	const struct forward_options *o = c->opt->forward;
	struct forward *f;

	if (!o || !o->needs.http) {
		forward_end(c);
		return;
	}
	f = forward_prepare(c);
	if (!speaks_http(&f->facts)) {
		s_log(LOG_ERR, "ALPN: the client agreed on another protocol than HTTP/1");
		forward_abort(c);
	}
	forward_begin_http(c);
	f->begin = stock_now();
}

static void reset_on_close(SOCKET fd)
{
	struct linger at_once = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, (void *)&at_once, sizeof at_once);
}

/*
 * Resets the backend's connection inside a request, whose end might look like that of a whole one
 * (RFC 9112 8). Up to 4.57 the same CLI serves each start of an `exec` program, and stock frees the
 * thread's memory in between: c->forward must not be left pointing there.
 */
void forward_close(CLI *c)
{
	struct forward *f = c->forward;

	if (f && h1_cut(&f->h1, H1_REQUEST, false))
		reset_on_close(c->remote_fd.fd);
	forward_end(c);
}

void forward_end(CLI *c)
{
	struct forward *f = c->forward;

	if (!f)
		return;
	exchange_end(&f->exchanges);
	c->forward = NULL;
	if (f->silent != INVALID_SOCKET)
		closesocket(f->silent);
	forward_flow_drop(f);
	forward_buffer_drop(&f->header);
	tls_facts_free(&f->kept);
	str_free(f);
}

/* --- refusing a request ----------------------------------------------------------------------- */

/* Logs once which error of its request turned the client away. */
static void log_refusal(CLI *c)
{
	struct forward *f = c->forward;
	enum error e = f->h1.error;
	bool is_answer = errors_of_answer(e);
	char client[STOCK_CLIENT_TEXT_MAX];

	if (f->stage >= FORWARD_REFUSED)
		return;
	f->stage = FORWARD_REFUSED;
	s_log(LOG_WARNING, "Service [%s] refused %s %s: %s", c->opt->servname,
	      is_answer ? "an answer to" : "a request from", stock_client_text(c, client),
	      errors_info[e].log);
}

void forward_abort_all(CLI *c, const char *why)
{
	if (why)
		s_log(LOG_ERR, "%s", why);
	reset_on_close(c->remote_fd.fd);
	forward_abort(c);
}

/*
 * Closes the backend's connection and puts a socket pair at its end in its descriptor's place. So
 * transfer() sends the client close_notify and discards what the client still sends, until
 * TIMEOUTclose: closing at once would reset the connection before the client has our answer.
 */
static void replace_backend(CLI *c, int reset)
{
#ifdef USE_WIN32
	(void)reset;
	if (c->forward->h1.error != ERR_NONE)
		forward_abort_all(c, NULL); /* behind the last answer the backend may stay */
#else
	int pair[2];

	if (c->sock_rfd->fd != c->sock_wfd->fd || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		forward_abort_all(c, NULL);
	if (reset)
		reset_on_close(c->sock_rfd->fd);
	if (dup2(pair[0], c->sock_rfd->fd) < 0) {
		close(pair[0]);
		close(pair[1]);
		forward_abort_all(c, NULL);
	}
	close(pair[0]);
	shutdown(pair[1], SHUT_WR);
	set_nonblock(c->sock_rfd->fd, 1);
	/* Programs that other sections start must inherit neither end. */
	fcntl(c->sock_rfd->fd, F_SETFD, FD_CLOEXEC);
	fcntl(pair[1], F_SETFD, FD_CLOEXEC);
	c->forward->silent = pair[1];
	c->ssl_ptr = 0;
#endif
}

void forward_leave(CLI *c)
{
	struct forward *f = c->forward;

	/* A reset tells the backend that it has not got the whole request. */
	replace_backend(c, h1_cut(&f->h1, H1_REQUEST, false) || c->ssl_ptr != 0 ||
				   !forward_flow_is_empty(&f->output[H1_REQUEST]));
	forward_buffer_drop(&f->input[H1_REQUEST]);
	forward_buffer_drop(&f->output[H1_REQUEST]);
	forward_buffer_drop(&f->input[H1_RESPONSE]);
	f->stage = FORWARD_LEFT;
	f->deadline = time(NULL) + c->opt->timeout_close;
}

void forward_put_answer(CLI *c, struct out *out)
{
	struct forward *f = c->forward;

	log_refusal(c);
	http_error_reply(f->h1.error, h1_answers_head(&f->h1), out);
	exchange_answer(&f->exchanges, f->h1.error);
}

/* The answer goes out behind the responses that are held, as one of the backend's would. */
static void answer(CLI *c)
{
	struct forward *f = c->forward;
	struct forward_buffer *b = &f->output[H1_RESPONSE];
	struct out out;

	forward_leave(c);
	forward_buffer_reserve(b, HTTP_REPLY_MAX);
	out = out_of(b->p + b->len, HTTP_REPLY_MAX);
	forward_put_answer(c, &out);
	b->len += out.len;
}

void forward_settle(CLI *c)
{
	struct forward *f = c->forward;

	if (f->h1.error == ERR_NONE || f->stage == FORWARD_LEFT)
		return;
	log_refusal(c);
	switch (h1_reply(&f->h1)) {
	case H1_REPLY_LATER:
		return;
	case H1_REPLY_NEVER:
		if (c->sock_ptr != 0 || !forward_flow_is_empty(&f->output[H1_RESPONSE]))
			return; /* the client still gets what came of the response before */
		forward_abort_all(c, NULL);
		return;
	case H1_REPLY_NOW:
		/* No answer can follow our close_notify. */
		if (!(SSL_get_shutdown(c->ssl) & SSL_SENT_SHUTDOWN))
			answer(c);
		return;
	}
}
