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

bool tls_session_use(SSL_CTX *ctx)
{
	SSL_CTX_set_timeout(ctx, SESSION_SECONDS);
	/* A cache in one worker's memory would answer only the share of clients that it gets. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	return SSL_CTX_set_tlsext_ticket_keys(ctx, ticket_key, sizeof ticket_key) == 1;
}
