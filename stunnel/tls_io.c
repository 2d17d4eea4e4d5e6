/* SPDX-License-Identifier: ISC */
/*
 * The trap of non-blocking TLS, explained once: a read may have to write first (its answer to a
 * KeyUpdate), so the owner must then wait for the socket to be writable before it reads again:
 * read_wants_write. The reverse, a write that must read first, needs a renegotiation, which is
 * off. And a record can hold more than was asked for: the rest is inside OpenSSL and no poll event
 * tells of it, so the owner asks tls_pending() before it sleeps.
 */
#include "tls_io.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The host_name of a server_name extension (RFC 6066 3), or NULL. The caller frees it. */
static char *server_name(SSL *ssl)
{
	const unsigned char *p;
	size_t len, name_len;

	if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &len) || len < 5)
		return NULL;
	name_len = (size_t)p[3] << 8 | p[4];
	if ((size_t)(p[0] << 8 | p[1]) != len - 2 || p[2] != TLSEXT_NAMETYPE_host_name)
		return NULL;
	if (name_len != len - 5 || name_len > TLSEXT_MAXLEN_host_name || memchr(p + 5, 0, name_len))
		return NULL; /* OpenSSL refuses these a moment later */
	return strndup((const char *)p + 5, name_len);
}

static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
	struct tls *tls = SSL_get_app_data(ssl);
	struct tls_ctx *ctx;

	(void)arg;
	free(tls->sni); /* a second ClientHello follows a HelloRetryRequest */
	tls->sni = server_name(ssl);
	ctx = tls->calls->choose(tls->owner, tls->sni);
	if (!ctx || tls_ctx_switch(ctx, ssl))
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_INTERNAL_ERROR;
	return SSL_CLIENT_HELLO_ERROR;
}

bool tls_open(struct tls *tls, struct tls_ctx *ctx, int fd, const struct tls_calls *calls,
	      void *owner)
{
	*tls = (struct tls){.calls = calls, .owner = owner};
	tls->ssl = tls_ctx_connection(ctx, on_client_hello);
	if (!tls->ssl || SSL_set_fd(tls->ssl, fd) != 1 || SSL_set_app_data(tls->ssl, tls) != 1) {
		tls_free(tls);
		return false;
	}
	SSL_set_accept_state(tls->ssl);
	return true;
}

void tls_free(struct tls *tls)
{
	SSL_free(tls->ssl);
	free(tls->sni);
	tls_kept_free(&tls->kept);
	*tls = (struct tls){0};
}

/* What an unsuccessful call means; the error queue is empty afterwards. */
static int explain(struct tls *tls, int rc, int saved_errno, const char *call,
		   char why[static TLS_WHY_MAX])
{
	char reason[TLS_WHY_MAX];
	int kind = SSL_get_error(tls->ssl, rc);

	if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
		return TLS_AGAIN;
	if (kind == SSL_ERROR_ZERO_RETURN)
		return TLS_END;
	tls->failed = true;
	if (kind == SSL_ERROR_SSL &&
	    ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		tls_error(reason);
		snprintf(why, TLS_WHY_MAX, "%s: %.400s", call, reason);
		return TLS_CUT;
	}
	if (kind == SSL_ERROR_SYSCALL && saved_errno != 0) {
		snprintf(why, TLS_WHY_MAX, "%s: %s (%d)", call, strerror(saved_errno), saved_errno);
		ERR_clear_error();
		return TLS_FAILED;
	}
	tls_error(reason);
	snprintf(why, TLS_WHY_MAX, "%s: %.400s", call, reason);
	return TLS_FAILED;
}

int tls_accept(struct tls *tls, char why[static TLS_WHY_MAX])
{
	int rc;

	ERR_clear_error();
	errno = 0;
	rc = SSL_accept(tls->ssl);
	if (rc == 1) {
		ERR_clear_error(); /* from here on only failures leave something there */
		return 1;
	}
	return explain(tls, rc, errno, "SSL_accept", why);
}

ssize_t tls_read(struct tls *tls, char *p, size_t len, char why[static TLS_WHY_MAX])
{
	size_t n;
	int rc;

	errno = 0;
	tls->read_wants_write = false;
	if (SSL_read_ex(tls->ssl, p, len, &n) == 1)
		return (ssize_t)n;
	rc = explain(tls, 0, errno, "SSL_read", why);
	tls->read_wants_write = rc == TLS_AGAIN && tls_wants_write(tls);
	return rc;
}

ssize_t tls_write(struct tls *tls, const char *p, size_t len, char why[static TLS_WHY_MAX])
{
	size_t n;
	int rc;

	errno = 0;
	if (SSL_write_ex(tls->ssl, p, len, &n) == 1)
		return (ssize_t)n;
	rc = explain(tls, 0, errno, "SSL_write", why);
	return rc == TLS_END ? TLS_CUT : rc;
}

int tls_shutdown(struct tls *tls)
{
	char why[TLS_WHY_MAX];
	int rc;

	if (tls->failed || !SSL_is_init_finished(tls->ssl))
		return TLS_FAILED;
	if (SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN)
		return 1;
	errno = 0;
	rc = SSL_shutdown(tls->ssl);
	if (rc >= 0)
		return 1;
	return explain(tls, rc, errno, "SSL_shutdown", why) == TLS_AGAIN ? TLS_AGAIN : TLS_FAILED;
}

bool tls_pending(const struct tls *tls)
{
	return SSL_has_pending(tls->ssl) == 1;
}

bool tls_wants_write(const struct tls *tls)
{
	return SSL_want_write(tls->ssl);
}
