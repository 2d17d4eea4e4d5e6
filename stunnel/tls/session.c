/* SPDX-License-Identifier: ISC */
#include "tls/session.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tls/psk.h"
#include "tls/settings.h"

/* Seconds; as SSL_get_default_timeout(), which needs a connection. */
#define DEFAULT_LIFE 7200

/* As SSL_CTX_set_tlsext_ticket_keys() wants it: name, HMAC-SHA256 key, AES-256 key. */
static unsigned char ticket_key[80];
static bool key_made;

bool tls_session_key(void)
{
	if (!key_made)
		key_made = RAND_bytes(ticket_key, sizeof ticket_key) == 1;
	return key_made;
}

/* CLOCK_BOOTTIME cannot be set, and begins anew only when the ticket key is gone, too. */
static int64_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec;
}

/*
 * TLS 1.3 answers each ticket with a fresh one, and so a client could resume for ever without its
 * certificate being verified again. Each ticket therefore carries the time of the full handshake,
 * which OpenSSL passes on from session to session and authenticates with the rest of the ticket.
 */
static int on_new_ticket(SSL *ssl, void *arg)
{
	int64_t shown = seconds();

	(void)arg;
	/* After a server name led to another service OpenSSL still has the first one's timeout. */
	SSL_SESSION_set_timeout(SSL_get_session(ssl), SSL_CTX_get_timeout(SSL_get_SSL_CTX(ssl)));
	if (SSL_session_reused(ssl) || !SSL_get0_peer_certificate(ssl))
		return 1;
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), &shown, sizeof shown);
}

/* Whether the session's full handshake is within ctx's timeout; true without a certificate. */
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

/* The full handshake after a refused ticket issues new ones: hence ..._IGNORE_RENEW. */
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
	/* With a timeout of 0 OpenSSL fails each handshake that issues a ticket. */
	SSL_CTX_set_timeout(ctx, life != 0 ? life : DEFAULT_LIFE);
	/* A cache in one worker's memory misses every client that another worker accepted. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	/* TLS 1.3 has tickets even with SSL_OP_NO_TICKET, as names of entries in the cache. */
	if (SSL_CTX_get_options(ctx) & SSL_OP_NO_TICKET && SSL_CTX_set_num_tickets(ctx, 0) != 1)
		return false;
	if (SSL_CTX_set_session_ticket_cb(ctx, on_new_ticket, on_ticket, NULL) != 1)
		return false;
	return SSL_CTX_set_tlsext_ticket_keys(ctx, ticket_key, sizeof ticket_key) == 1;
}

/* --- what sessions are bound to --------------------------------------------------------------- */

static bool digest_text(EVP_MD_CTX *md, const char *text)
{
	/* The terminating NUL keeps "ab", "c" apart from "a", "bc". */
	return text ? EVP_DigestUpdate(md, text, strlen(text) + 1) == 1
		    : EVP_DigestUpdate(md, "", 1) == 1;
}

static bool digest_names(EVP_MD_CTX *md, const struct tls_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		if (!digest_text(md, names->item[i]))
			return false;
	return digest_text(md, NULL);
}

/* Digests the certificates and CRLs themselves: a reload may find others in files of old names. */
static bool digest_store(EVP_MD_CTX *md, SSL_CTX *ctx)
{
	STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ctx));

	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		const X509_OBJECT *o = sk_X509_OBJECT_value(objects, i);
		const X509_CRL *crl = X509_OBJECT_get0_X509_CRL(o);
		unsigned char digest[EVP_MAX_MD_SIZE];
		unsigned len;
		int ok = crl ? X509_CRL_digest(crl, EVP_sha256(), digest, &len)
			     : X509_digest(X509_OBJECT_get0_X509(o), EVP_sha256(), digest, &len);

		if (ok != 1 || EVP_DigestUpdate(md, digest, len) != 1)
			return false;
	}
	return true;
}

/*
 * CApath and CRLpath are read as clients come, and their content cannot be digested: a random
 * number bars sessions from before a reload. Workers are forked later, and so share the number.
 */
static bool digest_folders(EVP_MD_CTX *md, const struct tls_verify *v)
{
	unsigned char load[16];

	if (!(v->bits & TLS_VERIFY_REQUEST) || (!v->ca_path && !v->crl_path))
		return true;
	return RAND_bytes(load, sizeof load) == 1 && EVP_DigestUpdate(md, load, sizeof load) == 1;
}

static bool digest_settings(EVP_MD_CTX *md, SSL_CTX *ctx, const struct tls_settings *s)
{
	const struct tls_verify *v = &s->verify;
	const char *texts[] = {s->service, s->ciphers, s->ciphersuites, s->curves,  s->alpn,
			       v->ca_file, v->ca_path, v->crl_file,	v->crl_path};
	char numbers[128];

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (!digest_text(md, texts[i]))
			return false;
	snprintf(numbers, sizeof numbers, "%d %d %llx %llx %x", s->version_min, s->version_max,
		 (unsigned long long)s->options_set, (unsigned long long)s->options_clear, v->bits);
	return digest_text(md, numbers) && digest_names(md, &v->host) &&
	       digest_names(md, &v->email) && digest_names(md, &v->ip) && digest_store(md, ctx) &&
	       digest_folders(md, v) && tls_psk_digest(ctx, md);
}

bool tls_session_bind(SSL_CTX *ctx, const struct tls_settings *s)
{
	EVP_MD_CTX *md;
	unsigned char id[EVP_MAX_MD_SIZE];
	unsigned id_len;
	bool ok;

	/* A client's OpenSSL calls its key of TLS 1.3 a session, one that is bound to nothing. */
	if (s->client && s->psk_secrets)
		return true;
	md = EVP_MD_CTX_new();
	ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 && digest_settings(md, ctx, s) &&
	     EVP_DigestFinal_ex(md, id, &id_len) == 1 &&
	     SSL_CTX_set_session_id_context(ctx, id, id_len) == 1;

	EVP_MD_CTX_free(md);
	return ok;
}
