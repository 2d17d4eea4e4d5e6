/* SPDX-License-Identifier: ISC */
#include "tls/bio.h"

#include <errno.h>
#include <openssl/bio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/net.h"

/* Returns the bytes written, or -errno. EPIPE comes without a signal: workers ignore SIGPIPE. */
static ssize_t write_to(const struct tls_bio *b, const char *p, size_t len)
{
	ssize_t n;

	if (b->last)
		return net_write_last(b->out, p, len);
	do
		n = write(b->out, p, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static bool is_again(ssize_t n)
{
	return n == -EAGAIN || n == -EWOULDBLOCK;
}

/* Most flights are no longer, and may be held for a while. */
#define FLIGHT_ROOM 4096

static bool make_room(struct tls_bio *b, unsigned len)
{
	unsigned cap = len <= FLIGHT_ROOM ? FLIGHT_ROOM : TLS_BIO_MAX;
	char *grown;

	if (len <= b->cap)
		return true;
	grown = len <= cap ? realloc(b->kept, cap) : NULL;
	if (!grown)
		return false;
	b->kept = grown;
	b->cap = cap;
	return true;
}

/* Appends all len bytes to what is kept; false if memory or TLS_BIO_MAX would not hold them. */
static bool keep(struct tls_bio *b, const char *p, unsigned len)
{
	if (b->at != 0)
		memmove(b->kept, b->kept + b->at, b->len - b->at);
	b->len -= b->at;
	b->at = 0;
	if (len > TLS_BIO_MAX || !make_room(b, b->len + len))
		return false;
	memcpy(b->kept + b->len, p, len);
	b->len += len;
	return true;
}

bool tls_bio_keeps(const struct tls_bio *b)
{
	return b->len != 0 && !b->holds;
}

int tls_bio_flush(struct tls_bio *b)
{
	b->holds = false;
	while (b->at < b->len) {
		ssize_t n = write_to(b, b->kept + b->at, b->len - b->at);

		if (n < 0)
			return is_again(n) ? -EAGAIN : (int)n;
		b->at += (unsigned)n;
	}
	free(b->kept);
	b->kept = NULL;
	b->at = b->len = b->cap = 0;
	return 0;
}

void tls_bio_drop_copy(struct tls_bio *b)
{
	free(b->copy);
	b->copy = NULL;
	b->copied = 0;
	b->copies = false;
}

/* A copy that cannot be whole is none. */
static void add_to_copy(struct tls_bio *b, const char *p, size_t len)
{
	char *grown =
		len <= TLS_BIO_COPY_MAX - b->copied ? realloc(b->copy, b->copied + len) : NULL;

	if (!grown) {
		tls_bio_drop_copy(b);
		return;
	}
	memcpy(grown + b->copied, p, len);
	b->copy = grown;
	b->copied += (unsigned)len;
}

/* --- OpenSSL's side --------------------------------------------------------------------------- */

/* n is -errno. OpenSSL tells a retry from an error by the BIO's retry flags, not by errno. */
static int failed(BIO *bio, ssize_t n, int retry)
{
	if (is_again(n))
		BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
	errno = (int)-n;
	return -1;
}

static int on_write(BIO *bio, const char *p, int len)
{
	struct tls_bio *b = BIO_get_data(bio);
	bool behind;
	ssize_t n;

	BIO_clear_retry_flags(bio);
	if (b->state == TLS_BIO_REFUSES)
		return failed(bio, -ECONNABORTED, 0);
	if (b->state == TLS_BIO_GATHERS && keep(b, p, (unsigned)len))
		return len;
	behind = b->holds && keep(b, p, (unsigned)len);
	n = tls_bio_flush(b);
	if (behind)
		return n == 0 || is_again(n) ? len : failed(bio, n, 0);
	if (n == 0)
		n = write_to(b, p, (size_t)len);
	if (b->state == TLS_BIO_KEEPS && is_again(n))
		n = 0;
	if (n < 0)
		return failed(bio, n, BIO_FLAGS_WRITE);
	if (n == len || b->state == TLS_BIO_GATHERS)
		return (int)n;
	if (keep(b, p + n, (unsigned)(len - n)))
		return len;
	/* A part that has gone out must not be sent twice: OpenSSL offers only the rest again. */
	return n > 0 ? (int)n : failed(bio, -EAGAIN, BIO_FLAGS_WRITE);
}

static int on_read(BIO *bio, char *p, int len)
{
	struct tls_bio *b = BIO_get_data(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	if (b->state == TLS_BIO_REFUSES)
		return failed(bio, -ECONNABORTED, 0);
	/* A peer that has not got the flight has not answered it. */
	if (b->reads == 0 || (b->state == TLS_BIO_GATHERS && tls_bio_keeps(b)))
		return failed(bio, -EAGAIN, BIO_FLAGS_READ);
	b->reads--;
	do
		n = read(b->in, p, (size_t)len);
	while (n < 0 && errno == EINTR);
	b->ended = n == 0;
	if (b->first == 0 && n > 0)
		b->first = (unsigned char)p[0];
	if (b->copies && n > 0)
		add_to_copy(b, p, (size_t)n);
	/* OpenSSL takes an end without close_notify for fatal, and would not write either. */
	if (b->ended && b->state == TLS_BIO_KEEPS)
		return failed(bio, -EAGAIN, BIO_FLAGS_READ);
	return n < 0 ? failed(bio, -errno, BIO_FLAGS_READ) : (int)n;
}

static long on_ctrl(BIO *bio, int command, long number, void *pointer)
{
	const struct tls_bio *b = BIO_get_data(bio);

	(void)number, (void)pointer;
	if (command == BIO_CTRL_EOF)
		return b->ended;
	return command == BIO_CTRL_FLUSH; /* kept bytes are flushed by tls_bio_flush() only */
}

static const BIO_METHOD *method(void)
{
	static BIO_METHOD *made;
	BIO_METHOD *m;

	if (made)
		return made;
	m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
	if (!m || BIO_meth_set_write(m, on_write) != 1 || BIO_meth_set_read(m, on_read) != 1 ||
	    BIO_meth_set_ctrl(m, on_ctrl) != 1) {
		BIO_meth_free(m);
		return NULL;
	}
	made = m;
	return made;
}

BIO *tls_bio_open(struct tls_bio *b, int in, int out)
{
	const BIO_METHOD *m = method();
	BIO *bio = m ? BIO_new(m) : NULL;

	*b = (struct tls_bio){.in = in, .out = out};
	if (!bio)
		return NULL;
	BIO_set_data(bio, b);
	BIO_set_init(bio, 1);
	return bio;
}

void tls_bio_close(struct tls_bio *b)
{
	free(b->kept);
	free(b->copy);
	*b = (struct tls_bio){0};
}
