/* SPDX-License-Identifier: ISC */
#include "tls_session.h"

#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <string.h>
#include <time.h>

/* SSL_get_default_timeout(), which cannot be asked without a connection. */
#define DEFAULT_LIFE 7200

/* Name, HMAC-SHA256 and AES-256 key, in OpenSSL's layout. */
static unsigned char ticket_key[80];
static bool key_made;

bool tls_session_key(void)
{
	if (!key_made)
		key_made = RAND_bytes(ticket_key, sizeof ticket_key) == 1;
	return key_made;
}

/* On a clock that nobody sets, and that the key does not outlive. */
static int64_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec;
}

/*
 * TLS 1.3 answers each ticket with a younger one, so that a session could outlive by any time the
 * certificate that was verified for it. Its tickets therefore carry when that was, on from the
 * session that is resumed to all that follow; OpenSSL authenticates it with the rest of the ticket.
 */
static int on_new_ticket(SSL *ssl, void *arg)
{
	int64_t shown = seconds();

	(void)arg;
	/* OpenSSL goes by the service that accepted, where a server name has led to another one. */
	SSL_SESSION_set_timeout(SSL_get_session(ssl), SSL_CTX_get_timeout(SSL_get_SSL_CTX(ssl)));
	if (SSL_session_reused(ssl) || !SSL_get0_peer_certificate(ssl))
		return 1;
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), &shown, sizeof shown);
}

/* Whether the certificate of a session, if there is one, was shown recently enough for a service.
 */
static bool is_recent(SSL_SESSION *session, const SSL_CTX *ctx)
{
	int64_t shown, now = seconds();
	void *data;
	size_t len;

	if (!SSL_SESSION_get0_peer(session))
		return true;
	if (SSL_SESSION_get0_ticket_appdata(session, &data, &len) != 1 || len != sizeof shown)
		return false;
	memcpy(&shown, data, sizeof shown);
	return now >= shown && now - shown < SSL_CTX_get_timeout(ctx);
}

/* A client whose ticket is not taken gets new ones with the handshake that follows. */
static SSL_TICKET_RETURN on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *key_name,
				   size_t key_name_len, SSL_TICKET_STATUS status, void *arg)
{
	(void)key_name, (void)key_name_len, (void)arg;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (!is_recent(session, SSL_get_SSL_CTX(ssl)))
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

bool tls_session_use(SSL_CTX *ctx, int life)
{
	/* OpenSSL fails a handshake that is to end in a ticket of no time at all. */
	SSL_CTX_set_timeout(ctx, life != 0 ? life : DEFAULT_LIFE);
	/* A cache in one worker's memory would answer only the share of clients that it gets. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	/* In TLS 1.3 the option means tickets that name an entry of that cache. */
	if (SSL_CTX_get_options(ctx) & SSL_OP_NO_TICKET && SSL_CTX_set_num_tickets(ctx, 0) != 1)
		return false;
	if (SSL_CTX_set_session_ticket_cb(ctx, on_new_ticket, on_ticket, NULL) != 1)
		return false;
	return SSL_CTX_set_tlsext_ticket_keys(ctx, ticket_key, sizeof ticket_key) == 1;
}
