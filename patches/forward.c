/* SPDX-License-Identifier: ISC */
#include "forward.h"

#include <openssl/rand.h>

#include "forward_options.h"
#include "http.h"

#define INPUT_STEP 4096		  /* bytes of room for more of an incomplete head */
#define DISCARD_MAX (1024 * 1024) /* bytes that a client may send behind its last request */
#define KEPT_MAX 32768		  /* bytes that an empty buffer keeps for the next request */

struct buffer {
	char *p;
	size_t at, len, cap; /* [at, len) is in use */
};

/* A connection whose requests are rewritten. */
struct forward {
	struct h1 h1;
	struct facts facts;
	struct tls_kept kept;
	struct buffer input;	/* came from the client, not taken by the HTTP machine yet */
	struct buffer output;	/* is to go to the backend */
	struct buffer response; /* the beginning of a response's head */
	struct buffer sink;	/* what the machine says again of responses */
	bool starved;		/* of the input nothing can be taken before more comes */
	bool logged;		/* the refusal */
	bool answered;		/* the backend is gone, the client reads our answer */
	bool over;		/* the client's end was judged */
	bool backend_failed;	/* rather than ended */
	bool backend_over;	/* and the client is told so */
	bool took;		/* something of the client's in this turn of transfer() */
	size_t discarded;
	time_t deadline; /* of an answered client */
	SOCKET silent;	 /* the other end of what took the backend's place, or INVALID_SOCKET */
	char id[36], sni[FACTS_NAME_MAX + 1], alpn[FACTS_ALPN_MAX]; /* what facts point at */
};

/* --- buffers ---------------------------------------------------------------------------------- */

static struct span content(const struct buffer *b)
{
	return b->p ? span_of(b->p + b->at, b->len - b->at) : span_of(NULL, 0);
}

static void drop(struct buffer *b)
{
	if (b->p)
		str_free(b->p);
	memset(b, 0, sizeof *b);
}

/* Room for n bytes more, behind what is in use, which moves to the front. */
static void reserve(struct buffer *b, size_t n)
{
	if (b->at != 0) {
		memmove(b->p, b->p + b->at, b->len - b->at);
		b->len -= b->at;
		b->at = 0;
	}
	if (b->cap - b->len >= n)
		return;
	b->cap = b->len + n;
	b->p = b->p ? str_realloc(b->p, b->cap) : str_alloc(b->cap);
}

static void append(struct buffer *b, struct span s)
{
	if (s.len == 0)
		return;
	reserve(b, s.len);
	memcpy(b->p + b->len, s.p, s.len);
	b->len += s.len;
}

/* Empty, with its memory unless that is much. */
static void clear(struct buffer *b)
{
	if (b->cap > KEPT_MAX)
		drop(b);
	b->at = b->len = 0;
}

/* Leaves of the content what `rest`, the end of it, is. */
static void keep_rest(struct buffer *b, struct span rest)
{
	if (rest.len == 0)
		clear(b);
	else
		b->at = b->len - rest.len;
}

/* --- facts ------------------------------------------------------------------------------------ */

static void address(struct facts_addr *to, const SOCKADDR_UNION *from)
{
	memset(to, 0, sizeof *to);
	if (from->sa.sa_family == AF_INET) {
		to->family = FACTS_IPV4;
		memcpy(to->ip, &from->in.sin_addr, 4);
		to->port = ntohs(from->in.sin_port);
	}
#ifdef USE_IPv6
	if (from->sa.sa_family == AF_INET6) {
		to->family = FACTS_IPV6;
		memcpy(to->ip, &from->in6.sin6_addr, 16);
		to->port = ntohs(from->in6.sin6_port);
	}
#endif
	ip_facts(to);
}

static void addresses(CLI *c, struct facts *facts)
{
	const struct forward_options *o = c->opt->forward;
	SOCKADDR_UNION addr;
	socklen_t len = sizeof addr;

	if (c->local_rfd.is_socket) {
		address(&facts->client, &c->peer_addr);
		if (!getsockname(c->local_rfd.fd, &addr.sa, &len))
			address(&facts->server, &addr);
	}
	facts->peer = facts->client;
	for (unsigned i = 0; i < o->trusted_count; i++)
		if (ip_block_holds(&o->trusted[i], &facts->client))
			facts->client_trusted = true;
}

/*
 * Of what redirect = lets through only OpenSSL's part of the verification is known: there no
 * certificate counts as verified.
 */
static struct tls_judging judging(const SERVICE_OPTIONS *opt)
{
	bool judged =
		(opt->option.verify_chain || opt->option.verify_peer) && !opt->redirect_addr.names;

	return (struct tls_judging){judged, opt->option.verify_chain, !opt->option.verify_chain};
}

/*
 * Whether a resumed session was made under the same server name, and so for the same section:
 * TLS 1.3 resumes before the name has its effect, and nobody would have seen the certificate that
 * the section asks for. Earlier versions take the name from the session.
 */
static bool was_made_here(SSL *ssl)
{
	const char *now = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), *then;

	if (!SSL_session_reused(ssl) || SSL_version(ssl) != TLS1_3_VERSION)
		return true;
	then = SSL_SESSION_get0_hostname(SSL_get_session(ssl));
	return then && now ? !strcmp(then, now) : then == now;
}

static bool asks_for_certificates(const SERVICE_OPTIONS *opt)
{
	return opt->option.require_cert || opt->option.verify_chain || opt->option.verify_peer;
}

/* Unique over processes and restarts: a random part, and a number. */
static void make_id(struct forward *f, unsigned long long number)
{
	unsigned char random[8] = {0};
	int n = 0;

	RAND_bytes(random, sizeof random);
	for (size_t i = 0; i < sizeof random; i++)
		n += snprintf(f->id + n, sizeof f->id - (size_t)n, "%02x", random[i]);
	n += snprintf(f->id + n, sizeof f->id - (size_t)n, "-%llx", number);
	f->facts.conn_id = span_of(f->id, (size_t)n);
}

/* Copies: OpenSSL's own would not outlive a renegotiation. */
static void keep_names(struct forward *f, const char *sni)
{
	struct span name = tls_server_name(sni), alpn = f->facts.alpn;

	if (name.len != 0)
		memcpy(f->sni, name.p, name.len);
	f->facts.sni = span_of(f->sni, name.len);
	if (alpn.len != 0)
		memcpy(f->alpn, alpn.p, alpn.len);
	f->facts.alpn = span_of(f->alpn, alpn.len);
}

/* What is known of the connection, once TLS is accepted. */
static struct forward *prepare(CLI *c)
{
	const struct forward_options *o = c->opt->forward;
	struct forward *f = c->forward;
	char why[TLS_WHY_MAX];

	if (f)
		return f;
	f = str_alloc(sizeof *f);
	memset(f, 0, sizeof *f);
	f->silent = INVALID_SOCKET;
	c->forward = f;
	addresses(c, &f->facts);
	make_id(f, (unsigned long long)c->seq);
	if (o->proxy.tlvs != 0)
		tls_own_facts(c->ssl, &f->facts, &f->kept);
	if (asks_for_certificates(c->opt) && !was_made_here(c->ssl)) {
		s_log(LOG_ERR, "The TLS session was made under another server name");
		forward_abort(c);
	}
	if (!tls_facts(c->ssl, judging(c->opt), o->texts, &f->facts, &f->kept, why)) {
		s_log(LOG_ERR, "%s", why);
		forward_abort(c);
	}
	keep_names(f, SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name));
	return f;
}

/* --- PROXY headers ---------------------------------------------------------------------------- */

int forward_has_proxy(const SERVICE_OPTIONS *section)
{
	return section->forward && section->forward->version != 0;
}

void forward_proxy(CLI *c)
{
	const struct proxy *proxy = &c->opt->forward->proxy;
	char bytes[PROXY_HEADER_MAX];
	struct out out = out_of(bytes, sizeof bytes);
	uint32_t dropped;

	if (!proxy_encode(proxy, &prepare(c)->facts, &out, &dropped)) {
		s_log(LOG_ERR, "The client has no IP address for the PROXY header");
		forward_abort(c);
	}
	if (dropped != 0)
		s_log(LOG_WARNING,
		      "Service [%s]: TLVs were left out of a PROXY header of %d bytes at most",
		      c->opt->servname, proxy->max_length);
	s_write(c, c->remote_fd.fd, out.p, out.len);
}

/* --- a connection ----------------------------------------------------------------------------- */

/* A client that agreed on anything else would speak past the HTTP machine. */
static bool speaks_http(const struct facts *facts)
{
	static const char name[] = "http/1.1";

	return facts->alpn.len == 0 || (facts->alpn.len == sizeof name - 1 &&
					!memcmp(facts->alpn.p, name, sizeof name - 1));
}

void forward_begin(CLI *c)
{
	const struct forward_options *o = c->opt->forward;
	struct forward *f;

	if (!o || !o->http) {
		forward_end(c);
		return;
	}
	f = prepare(c);
	if (!speaks_http(&f->facts)) {
		s_log(LOG_ERR, "ALPN: the client agreed on another protocol than http/1.1");
		forward_abort(c);
	}
	h1_init(&f->h1, &o->rewrite, &f->facts, o->limits);
}

static void reset_on_close(SOCKET fd)
{
	struct linger at_once = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, (void *)&at_once, sizeof at_once);
}

/* However transfer() came to its end: a message that was cut must not look like a short one. */
void forward_close(CLI *c)
{
	struct forward *f = c->forward;

	if (f && h1_phase(&f->h1, H1_REQUEST) == H1_BODY)
		reset_on_close(c->remote_fd.fd);
}

void forward_end(CLI *c)
{
	struct forward *f = c->forward;

	if (!f)
		return;
	c->forward = NULL;
	if (f->silent != INVALID_SOCKET)
		closesocket(f->silent);
	drop(&f->input);
	drop(&f->output);
	drop(&f->response);
	drop(&f->sink);
	tls_kept_free(&f->kept);
	str_free(f);
}

/* --- refusing a request ----------------------------------------------------------------------- */

static void log_refusal(CLI *c)
{
	struct forward *f = c->forward;
	const struct error_info *e = &error_info[f->h1.error];

	if (f->logged)
		return;
	f->logged = true;
	s_log(LOG_WARNING, "Service [%s] refused a request from %s: %s (%s): %s", c->opt->servname,
	      c->accepted_address ? c->accepted_address : "a descriptor", e->name, e->source,
	      e->text);
}

/* A backend must not take a message that was cut for a whole one: it gets a reset. */
static void abort_all(CLI *c, const char *why)
{
	if (why)
		s_log(LOG_ERR, "%s", why);
	reset_on_close(c->remote_fd.fd);
	forward_abort(c);
}

/*
 * The backend's connection ends now, and with it what transfer() would still write there. Its
 * descriptor stays, for a socket that is at its end and takes nothing: so transfer() tells the
 * client of the end, and reads what the client still sends until TIMEOUTclose, so that no reset
 * overtakes our answer.
 */
static void replace_backend(CLI *c, int reset)
{
#ifdef USE_WIN32
	(void)reset;
	abort_all(c, NULL);
#else
	int pair[2];

	if (c->sock_rfd->fd != c->sock_wfd->fd || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		abort_all(c, NULL);
	if (reset)
		reset_on_close(c->sock_rfd->fd);
	if (dup2(pair[0], c->sock_rfd->fd) < 0) {
		close(pair[0]);
		close(pair[1]);
		abort_all(c, NULL);
	}
	close(pair[0]);
	shutdown(pair[1], SHUT_WR);
	set_nonblock(c->sock_rfd->fd, 1);
	/* None of it is for the programs that other sections start. */
	fcntl(c->sock_rfd->fd, F_SETFD, FD_CLOEXEC);
	fcntl(pair[1], F_SETFD, FD_CLOEXEC);
	c->forward->silent = pair[1];
	c->ssl_ptr = 0;
#endif
}

/* Answers, where nothing is in the way and transfer() has room for it. */
static void settle(CLI *c)
{
	struct forward *f = c->forward;
	struct out out;

	if (f->h1.error == ERR_NONE || f->answered)
		return;
	log_refusal(c);
	switch (h1_reply(&f->h1)) {
	case H1_REPLY_LATER:
		return;
	case H1_REPLY_NEVER:
		abort_all(c, NULL);
		return;
	case H1_REPLY_NOW:
		break;
	}
	if (SSL_get_shutdown(c->ssl) & SSL_SENT_SHUTDOWN)
		return; /* nothing reaches the client any more */
	if (BUFFSIZE - c->sock_ptr < HTTP_REPLY_MAX)
		return;
	/* A request that was answered early may be cut, too. */
	replace_backend(c, h1_phase(&f->h1, H1_REQUEST) == H1_BODY || c->ssl_ptr != 0 ||
				   f->output.len != 0);
	drop(&f->input);
	drop(&f->output);
	out = out_of(c->sock_buff + c->sock_ptr, BUFFSIZE - c->sock_ptr);
	http_error_reply(f->h1.error, h1_answers_head(&f->h1), &out);
	c->sock_ptr += out.len;
	f->answered = true;
	f->deadline = time(NULL) + c->opt->timeout_close;
}

/* --- requests --------------------------------------------------------------------------------- */

/* Takes what can be taken now from the front of *in, through the machine to the empty output. */
static void take_requests(struct forward *f, struct span *in)
{
	struct out out;

	if (in->len == 0 || f->h1.error != ERR_NONE)
		return;
	/* All of a head can become longer, and of the rest what stands in it. */
	reserve(&f->output, in->len + rewrite_insertion(f->h1.rewrite) + H1_CHUNK_LINE_MAX);
	out = out_of(f->output.p, f->output.cap);
	h1_feed(&f->h1, H1_REQUEST, in, &out);
	f->output.len = out.len;
	f->starved = out.len == 0 && !h1_blocked(&f->h1);
}

static void take_held(struct forward *f)
{
	struct span in = content(&f->input);

	if (in.len == 0)
		return;
	take_requests(f, &in);
	keep_rest(&f->input, in);
}

/* Hands out what is there of the output: 0 if there is none. */
static int hand_out(struct forward *f, char *p, int len)
{
	struct span s = content(&f->output);
	size_t n = s.len < (size_t)len ? s.len : (size_t)len;

	if (n == 0)
		return 0;
	memcpy(p, s.p, n);
	span_skip(&s, n);
	keep_rest(&f->output, s);
	return (int)n;
}

/* Content that needs no inspection goes where transfer() wants it. */
static int read_bypass(CLI *c, char *p, int len, size_t bypass)
{
	int n = SSL_read(c->ssl, p, bypass < (size_t)len ? (int)bypass : len);

	if (n > 0)
		h1_bypassed(&c->forward->h1, H1_REQUEST, (size_t)n);
	return n;
}

/*
 * Into transfer()'s own buffer, from which the requests are taken before anything is put there: a
 * large buffer of ours would take the place in the heap where OpenSSL's comes and goes.
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
	append(&f->input, in);
	return n;
}

/* Behind what is held. */
static int read_input(CLI *c)
{
	struct buffer *b = &c->forward->input;
	size_t held = b->len - b->at;
	int n;

	if (held >= FORWARD_INPUT_MAX)
		abort_all(c, "The client sends more than can be held back");
	reserve(b, FORWARD_INPUT_MAX - held < INPUT_STEP ? FORWARD_INPUT_MAX - held : INPUT_STEP);
	n = SSL_read(c->ssl, b->p + b->len, (int)(b->cap - b->len));
	if (n > 0) {
		b->len += (size_t)n;
		c->forward->took = true;
	}
	return n;
}

/* Read to its end, so that the client gets the last answer, but not for ever. */
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
		abort_all(c, "The client goes on sending behind its last request");
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

/* Whether forward_read() has something without SSL_read(). */
static bool holds_output(const struct forward *f)
{
	if (f->output.len != 0)
		return true;
	return f->input.len != 0 && f->h1.error == ERR_NONE && !f->starved && !h1_blocked(&f->h1);
}

int forward_pending(const CLI *c)
{
	int n = SSL_pending(c->ssl);

	return n > 0 || !holds_output(c->forward) ? n : 1;
}

/*
 * Ahead of what must wait for responses nothing more is read, unless the socket has failed, which
 * only reading tells.
 */
int forward_wants_input(const CLI *c)
{
	const struct forward *f = c->forward;

	if (f->h1.error != ERR_NONE || f->output.len != 0 || !h1_blocked(&f->h1))
		return 1;
	return s_poll_hup(c->fds, c->ssl_rfd->fd) || s_poll_err(c->fds, c->ssl_rfd->fd);
}

int forward_took(CLI *c)
{
	bool took = c->forward->took;

	c->forward->took = false;
	return took;
}

/* Once, when all that it had sent is on its way. */
static void judge_end(CLI *c)
{
	struct forward *f = c->forward;

	f->over = true;
	if (f->h1.error == ERR_NONE && h1_phase(&f->h1, H1_REQUEST) == H1_BODY)
		abort_all(c, "The client ended inside a message");
	drop(&f->input);
}

int forward_get_shutdown(CLI *c)
{
	struct forward *f = c->forward;
	int state = SSL_get_shutdown(c->ssl);

	settle(c);
	if (!(state & SSL_RECEIVED_SHUTDOWN) || f->over)
		return state;
	/* Both: the client is gone, and takes no response any more. */
	if (state & SSL_SENT_SHUTDOWN)
		f->backend_over = true;
	/* Requests that wait for responses still count, while responses can come. */
	if (holds_output(f) || (f->input.len != 0 && h1_blocked(&f->h1) && !f->backend_over))
		return state & ~SSL_RECEIVED_SHUTDOWN;
	judge_end(c);
	return state;
}

/* --- responses -------------------------------------------------------------------------------- */

/* The machine's own output is what came, which transfer() has already. */
static void feed_response(struct forward *f, struct span *in)
{
	struct out out;

	if (f->sink.cap < in->len + H1_CHUNK_LINE_MAX) {
		drop(&f->sink);
		reserve(&f->sink, in->len + H1_CHUNK_LINE_MAX);
	}
	out = out_of(f->sink.p, f->sink.cap);
	h1_feed(&f->h1, H1_RESPONSE, in, &out);
}

static void watch_response(struct forward *f, struct span in)
{
	bool held = f->response.len != 0;

	if (held) {
		append(&f->response, in);
		in = content(&f->response);
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
		keep_rest(&f->response, in);
	else
		append(&f->response, in);
}

ssize_t forward_readsocket(CLI *c, SOCKET fd, void *p, size_t len)
{
	ssize_t n = readsocket(fd, p, len);

	if (n > 0)
		watch_response(c->forward, span_of(p, (size_t)n));
	return n;
}

/* To ask is to take it: no read will fail any more, but find an end. */
int forward_socket_error(CLI *c, SOCKET fd)
{
	int error = get_socket_error(fd);

	if (error && fd == c->sock_rfd->fd)
		c->forward->backend_failed = true;
	return error;
}

/* Without framing only the way in which the backend ended tells whether the response is whole. */
static bool is_cut(const struct forward *f)
{
	enum h1_phase phase = h1_phase(&f->h1, H1_RESPONSE);

	return phase == H1_HEAD || phase == H1_BODY || (phase == H1_UNFRAMED && f->backend_failed);
}

/* close_notify would make a whole response of one that was cut. */
int forward_shutdown(CLI *c)
{
	if (!c->forward->answered && is_cut(c->forward))
		abort_all(c, "The backend ended inside a message");
	c->forward->backend_over = true;
	return SSL_shutdown(c->ssl);
}
