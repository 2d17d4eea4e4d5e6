/* SPDX-License-Identifier: ISC */
#include "forward_connection.h"
#include "forward_stock.h"
#include "http.h"
#include "proxy_decode.h"

/* --- ALPN ------------------------------------------------------------------------------------- */

#define PLAIN_MAX (1024 * 1024) /* bytes that a client without TLS may send behind our answer */

/* RFC 7301 3.2: a client that offers only protocols other than HTTP/1 is refused. */
static int select_http(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_len,
		       const unsigned char *offered, unsigned offered_len, void *unused)
{
	static const unsigned char http[] = "\x08http/1.1\x08http/1.0"; /* the first is preferred */
	unsigned char *found;

	(void)ssl;
	(void)unused;
	if (SSL_select_next_proto(&found, chosen_len, http, sizeof http - 1, offered,
				  offered_len) != OPENSSL_NPN_NEGOTIATED) {
		s_log(LOG_ERR, "ALPN: the client offers neither http/1.1 nor http/1.0");
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	*chosen = found;
	return SSL_TLSEXT_ERR_OK;
}

/*
 * A client that ends its side without close_notify, as ncat --ssl does, waits for its answer: of
 * HTTP the framing tells whether anything is missing (RFC 9112 9.8).
 */
static void serve_http(SSL_CTX *ctx)
{
	SSL_CTX_set_alpn_select_cb(ctx, select_http, NULL);
#ifdef SSL_OP_IGNORE_UNEXPECTED_EOF
	SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
#endif
}

int forward_context(SERVICE_OPTIONS *section)
{
	if (section->forward && section->forward->needs.http)
		serve_http(section->ctx);
	return 0;
}

/* --- the PROXY header of a listed peer -------------------------------------------------------- */

/* Logs why the client is unknown and resets the connection. Does not return. */
static void give_up(CLI *c, const char *why)
{
	s_log(LOG_ERR, "%s", why);
	forward_abort(c);
}

static void refuse_header(CLI *c, enum proxy_error error)
{
	const struct proxy_error_info *e = &proxy_error_info[error];
	char peer[STOCK_CLIENT_TEXT_MAX];

	s_log(LOG_ERR, "Bad PROXY header from %s: section %s: %s", stock_client_text(c, peer),
	      e->section, e->text);
	forward_abort(c);
}

/* Waits for more of the PROXY header; does not return after the deadline. */
static void wait_for_peer(CLI *c, uint64_t deadline)
{
	uint64_t now = stock_now();
	int rc = 0;

	if (deadline > now) {
		stock_poll_for_input(c, c->local_rfd.fd);
		rc = deadline == UINT64_MAX ? s_poll_wait(c->fds, -1, 0)
					    : s_poll_wait(c->fds, (int)((deadline - now) / 1000),
							  (int)((deadline - now) % 1000));
	}
	if (rc < 0)
		give_up(c, "The PROXY header cannot be waited for");
	if (stock_now() >= deadline)
		give_up(c, "TIMEOUTproxy exceeded: the PROXY header is not complete");
}

/*
 * Reads no byte behind the PROXY header, where OpenSSL reads the ClientHello: MSG_PEEK finds the
 * header's end. The bytes stay in *b, since the facts point there.
 */
static void read_header(CLI *c, struct forward_buffer *b, struct proxy_header *h)
{
	uint64_t deadline = forward_deadline(stock_now(), c->opt->forward->service.timeout_proxy);
	int len = 0;

	while (len == 0) {
		size_t had = b->len;
		ssize_t n;

		forward_buffer_reserve(b, PROXY_HEADER_MAX - had);
		n = recv(c->local_rfd.fd, b->p + had, PROXY_HEADER_MAX - had, MSG_PEEK);
		if (n < 0 && stock_is_temporary(get_last_socket_error())) {
			wait_for_peer(c, deadline);
			continue;
		}
		if (n <= 0)
			give_up(c, "The peer ended before its PROXY header was complete");
		len = proxy_decode(span_of(b->p, had + (size_t)n), h);
		if (len < 0)
			refuse_header(c, (enum proxy_error) - len);
		if (len > 0)
			n = (ssize_t)((size_t)len - had);
		if (recv(c->local_rfd.fd, b->p + had, (size_t)n, 0) != n)
			give_up(c, "The PROXY header cannot be read");
		b->len += (size_t)n;
	}
}

/* Makes the header's client the connection's client, for stock's log, too. */
static void adopt_client(CLI *c, const struct proxy_header *h)
{
	struct facts *facts = &c->forward->facts;
	char text[STOCK_CLIENT_TEXT_MAX];

	if (!h->local) {
		facts->client = h->client;
		facts->server = h->server;
		facts->tlvs = h->tlvs;
		stock_set_client(c, &facts->client); /* ip_facts() folds IPv4-mapped ones */
		ip_facts(&facts->client);
		ip_facts(&facts->server);
	}
	s_log(LOG_NOTICE, "PROXY header version %d: %s %s", h->version,
	      h->local ? "no client but" : "client", stock_client_text(c, text));
}

static void take_header(CLI *c)
{
	const struct forward_options *o = c->opt->forward;
	struct proxy_header h;
	struct forward *f;

	if (o->service.accept_proxy == SERVICE_PROXY_NO)
		return;
	f = forward_new(c);
	if (ip_blocks_hold(&o->service.proxy_peers, &f->facts.peer)) {
		read_header(c, &f->header, &h);
		adopt_client(c, &h);
	} else if (o->service.accept_proxy == SERVICE_PROXY_REQUIRED) {
		give_up(c, "The peer is not in acceptProxyFrom, and a PROXY header is required");
	}
}

/* --- plain HTTP on a port of HTTPS ------------------------------------------------------------ */

/*
 * Waits for the client's first byte, which OpenSSL would take: whether it is a letter, as that of
 * no TLS record is, and that of every request.
 */
static bool is_plain(CLI *c)
{
	char first;
	ssize_t n = recv(c->local_rfd.fd, &first, 1, MSG_PEEK);

	while (n < 0 && stock_is_temporary(get_last_socket_error())) {
		stock_poll_for_input(c, c->local_rfd.fd);
		if (s_poll_wait(c->fds, c->opt->timeout_busy, 0) <= 0)
			give_up(c, "TIMEOUTbusy exceeded: no handshake begins");
		n = recv(c->local_rfd.fd, &first, 1, MSG_PEEK);
	}
	return n == 1 && ((first >= 'A' && first <= 'Z') || (first >= 'a' && first <= 'z'));
}

/* Waits for the client's end: a close before it would reset the connection, and lose our answer. */
static void read_plain(CLI *c)
{
	uint64_t deadline = forward_deadline(stock_now(), c->opt->timeout_close), now;
	size_t total = 0;
	char bytes[4096];
	ssize_t n;

	do {
		n = recv(c->local_rfd.fd, bytes, sizeof bytes, 0);
		total += n > 0 ? (size_t)n : 0;
		now = stock_now();
		if (n > 0 || !stock_is_temporary(get_last_socket_error()) || now >= deadline)
			continue;
		stock_poll_for_input(c, c->local_rfd.fd);
		s_poll_wait(c->fds, (int)((deadline - now) / 1000), (int)((deadline - now) % 1000));
		n = 1;
	} while (n > 0 && total < PLAIN_MAX && now < deadline);
}

/* Tells a user who has forgotten the s of https. Does not return. */
static void answer_plain(CLI *c)
{
	char bytes[HTTP_REPLY_MAX];
	struct out out = out_of(bytes, sizeof bytes);

	s_log(LOG_ERR, "SSL_accept: The client does not speak TLS");
	forward_new(c);
	forward_begin_http(c);
	h1_fail(&c->forward->h1, ERR_PLAIN_HTTP);
	forward_put_answer(c, &out);
	if (send(c->local_wfd.fd, out.p, out.len, 0) == (ssize_t)out.len &&
	    !shutdown(c->local_wfd.fd, SHUT_WR))
		read_plain(c);
	forward_abort(c);
}

/* SSL_accept() is called repeatedly, and a server name may change c->opt after the first call. */
int forward_accept(CLI *c)
{
	if (SSL_in_before(c->ssl))
		take_header(c);
	if (c->opt->forward->needs.http && BIO_number_read(SSL_get_rbio(c->ssl)) == 0 &&
	    is_plain(c))
		answer_plain(c);
	return SSL_accept(c->ssl);
}
