/* SPDX-License-Identifier: ISC */
#include "tls_session.h"

#include <openssl/rand.h>
#include <openssl/ssl.h>

#define SESSION_SECONDS 300

/* Name, HMAC-SHA256 and AES-256 key, in OpenSSL's layout. */
static unsigned char ticket_key[80];
static bool key_made;

bool tls_session_key(void)
{
	if (!key_made)
		key_made = RAND_bytes(ticket_key, sizeof ticket_key) == 1;
	return key_made;
}

/*
 * OpenSSL 3.0 has TLS 1.3 answer a ticket with a younger one, so that a session could outlive by
 * any time the certificate that was verified for it: there it ends with the tickets that it began
 * with.
 */
static SSL_TICKET_RETURN on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *key_name,
				   size_t key_name_len, SSL_TICKET_STATUS status, void *arg)
{
	(void)session, (void)key_name, (void)key_name_len, (void)arg;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER)
		SSL_set_num_tickets(ssl, 0);
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

bool tls_session_use(SSL_CTX *ctx)
{
	SSL_CTX_set_timeout(ctx, SESSION_SECONDS);
	/* A cache in one worker's memory would answer only the share of clients that it gets. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_set_session_ticket_cb(ctx, NULL, on_ticket, NULL) != 1)
		return false;
	return SSL_CTX_set_tlsext_ticket_keys(ctx, ticket_key, sizeof ticket_key) == 1;
}
