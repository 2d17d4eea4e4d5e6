/* SPDX-License-Identifier: ISC */
/*
 * The least that a front in one process can do with OpenSSL and epoll, to tell what the rest costs:
 *
 *     floor tls|copy|splice PORT BACKEND-PORT CERT KEY
 *
 * tls ends TLS; copy and splice pass on what comes as it is, by read(2) and write(2) or by
 * splice(2). Nothing is checked but what keeps it running, nothing is logged, and a connection ends
 * as soon as one side does. What saves segments is done here, too.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ROOM (64 << 10) /* bytes of a read */
#define EVENTS 256

/* A connection has two in a row, its client's and its backend's. */
struct side {
	int fd; /* 0: not open yet */
	bool is_backend, watched, shaken, gone;
	bool wrote; /* since the last event */
	SSL *ssl;   /* of a client, with TLS */
	uint32_t events;
	char *left; /* what its socket did not take, of len bytes; with splice it is in the pipe */
	size_t len;
	int pipe[2];
};

static int epoll, listener;
static struct sockaddr_in backend;
static SSL_CTX *ctx;
static bool splices;
static char scratch[ROOM];

static struct side *other(struct side *s)
{
	return s->is_backend ? s - 1 : s + 1;
}

static bool is_again(ssize_t n)
{
	return n < 0 && errno == EAGAIN;
}

/* As OpenSSL's own, but no answer is sought before the peer can have what it answers. */
static int on_read(BIO *bio, char *p, int len)
{
	const struct side *s = BIO_get_app_data(bio);
	ssize_t n = -1;

	BIO_clear_retry_flags(bio);
	if (s->wrote)
		errno = EAGAIN;
	else
		n = read(s->fd, p, (size_t)len);
	if (is_again(n))
		BIO_set_retry_read(bio);
	return (int)n;
}

/* As OpenSSL's own, but a ticket goes with the answer, and close_notify with the FIN. */
static int on_write(BIO *bio, const char *p, int len)
{
	struct side *s = BIO_get_app_data(bio);
	bool ticket = SSL_version(s->ssl) == TLS1_3_VERSION &&
		      SSL_get_state(s->ssl) == TLS_ST_SW_SESSION_TICKET;
	ssize_t n = send(s->fd, p, (size_t)len, s->gone || ticket ? MSG_MORE : 0);

	s->wrote = true;
	BIO_clear_retry_flags(bio);
	if (is_again(n))
		BIO_set_retry_write(bio);
	return (int)n;
}

static BIO *new_bio(struct side *s)
{
	static BIO_METHOD *m;
	const BIO_METHOD *own = BIO_s_socket();
	BIO *bio;

	if (!m) {
		m = BIO_meth_new(BIO_TYPE_SOCKET, "socket");
		BIO_meth_set_create(m, BIO_meth_get_create(own));
		BIO_meth_set_destroy(m, BIO_meth_get_destroy(own));
		BIO_meth_set_read(m, on_read);
		BIO_meth_set_ctrl(m, BIO_meth_get_ctrl(own));
		BIO_meth_set_write(m, on_write);
	}
	bio = BIO_new(m);
	BIO_set_fd(bio, s->fd, BIO_NOCLOSE);
	BIO_set_app_data(bio, s);
	return bio;
}

/* Into scratch, or a pipe: bytes, 0 at the end, -1. */
static ssize_t get(struct side *s)
{
	errno = 0;
	if (s->ssl)
		return SSL_read(s->ssl, scratch, ROOM);
	if (splices)
		return splice(s->fd, NULL, other(s)->pipe[1], NULL, ROOM, SPLICE_F_NONBLOCK);
	return read(s->fd, scratch, ROOM);
}

static ssize_t put(struct side *s, const char *p, size_t len)
{
	errno = 0;
	if (s->ssl)
		return SSL_write(s->ssl, p, (int)len);
	if (splices)
		return splice(s->pipe[0], NULL, s->fd, NULL, len, SPLICE_F_NONBLOCK);
	return write(s->fd, p, len);
}

/* What the socket does not take is kept; false if it will never take anything. */
static bool send_on(struct side *s, const char *p, size_t len)
{
	char *left = NULL;

	while (len != 0) {
		ssize_t n = put(s, p, len);

		if (n <= 0 && !is_again(n))
			return false;
		if (n <= 0)
			break;
		p += n;
		len -= (size_t)n;
	}
	if (len != 0 && !splices) {
		left = malloc(len);
		memcpy(left, p, len);
	}
	free(s->left);
	s->left = left;
	s->len = len;
	return true;
}

static bool connect_backend(struct side *s)
{
	int off = 0, on = 1;

	if (s->fd)
		return true;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(s->fd, IPPROTO_TCP, TCP_QUICKACK, &off,
		   sizeof off); /* an ACK with the request */
	return connect(s->fd, (struct sockaddr *)&backend, sizeof backend) == 0 ||
	       errno == EINPROGRESS;
}

/* These, and the two below, are false if the connection is to end. */
static bool pass(struct side *from)
{
	struct side *to = other(from);

	do {
		ssize_t n = get(from);

		if (n <= 0)
			return is_again(n);
		if (!connect_backend(from->is_backend ? from : to) ||
		    !send_on(to, scratch, (size_t)n))
			return false;
	} while (from->ssl && to->len == 0 && SSL_has_pending(from->ssl));
	return true;
}

static bool shake_hands(struct side *s)
{
	int rc = SSL_accept(s->ssl), on = 1;

	s->shaken = rc == 1;
	if (!s->shaken)
		return SSL_get_error(s->ssl, rc) == SSL_ERROR_WANT_READ;
	if (SSL_has_pending(s->ssl))
		return pass(s);
	if (SSL_version(s->ssl) == TLS1_3_VERSION) /* the ticket is not to wait any more */
		setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return true;
}

static bool run(struct side *s, uint32_t events)
{
	s->wrote = false;
	if (s->ssl && !s->shaken)
		return shake_hands(s);
	if (s->len != 0) {
		if (!send_on(s, s->left, s->len))
			return false;
		if (s->len == 0 && other(s)->ssl && SSL_has_pending(other(s)->ssl))
			return pass(other(s));
	}
	return !(events & ~(uint32_t)EPOLLOUT) || other(s)->len != 0 || pass(s);
}

/* Nothing is read for a side that has something left. */
static void watch(struct side *s)
{
	uint32_t events = (other(s)->len != 0 ? 0 : EPOLLIN) | (s->len != 0 ? EPOLLOUT : 0);
	struct epoll_event event = {.events = events, .data.ptr = s};

	if (!s->fd || (s->watched && events == s->events))
		return;
	epoll_ctl(epoll, s->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->fd, &event);
	s->watched = true;
	s->events = events;
}

static void begin(void)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	struct side *s = fd < 0 ? NULL : calloc(2, sizeof *s);

	if (!s)
		return;
	s[0].fd = fd;
	s[1].is_backend = true;
	if (ctx) {
		BIO *bio = new_bio(s);

		s->ssl = SSL_new(ctx);
		SSL_set_bio(s->ssl, bio, bio);
	}
	if (splices && (pipe2(s[0].pipe, O_NONBLOCK) != 0 || pipe2(s[1].pipe, O_NONBLOCK) != 0))
		exit(1);
	watch(s);
}

static void end(struct side *s)
{
	if (s->ssl) {
		ERR_clear_error();
		SSL_shutdown(s->ssl);
		SSL_free(s->ssl);
		ERR_clear_error();
	}
	for (int i = 0; i < 2; i++) {
		close(s[i].fd ? s[i].fd : -1);
		if (splices)
			close(s[i].pipe[0]), close(s[i].pipe[1]);
		free(s[i].left);
	}
}

/* What has ended is freed last, as other events may name it. */
static void run_all(struct epoll_event *events, int count)
{
	struct side *gone[EVENTS];
	int ended = 0;

	for (int i = 0; i < count; i++) {
		struct side *s = events[i].data.ptr, *client;

		if (!s) {
			begin();
			continue;
		}
		client = s->is_backend ? s - 1 : s;
		if (client->gone)
			continue;
		client->gone = !run(s, events[i].events);
		if (client->gone) {
			end(client);
			gone[ended++] = client;
		} else {
			watch(client);
			watch(client + 1);
		}
	}
	while (ended > 0)
		free(gone[--ended]);
}

static SSL_CTX *context(const char *cert, const char *key)
{
	SSL_CTX *made = SSL_CTX_new(TLS_server_method());

	if (SSL_CTX_use_certificate_chain_file(made, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(made, key, SSL_FILETYPE_PEM) != 1)
		exit(1);
	SSL_CTX_set_read_ahead(made, 1);
	SSL_CTX_set_num_tickets(made, 1);
	SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				       SSL_MODE_RELEASE_BUFFERS);
	return made;
}

static struct sockaddr_in loopback(const char *port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS] = {{.events = EPOLLIN}};
	struct sockaddr_in own;
	int on = 1;

	if (argc != 6)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	splices = strcmp(argv[1], "splice") == 0;
	ctx = strcmp(argv[1], "tls") == 0 ? context(argv[4], argv[5]) : NULL;
	own = loopback(argv[2]);
	backend = loopback(argv[3]);
	epoll = epoll_create1(0);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on,
		   sizeof on); /* which clients' have then */
	if (bind(listener, (struct sockaddr *)&own, sizeof own) || listen(listener, 1024))
		return 1;
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, events);
	for (;;)
		run_all(events, epoll_wait(epoll, events, EVENTS, -1));
}
