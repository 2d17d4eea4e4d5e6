/* SPDX-License-Identifier: ISC */
#include "tls/session.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tls/cache.h"
#include "tls/facts.h"
#include "tls/inquiry.h"
#include "tls/psk.h"
#include "tls/resume.h"
#include "tls/settings.h"
#include "tls/tickets.h"

/* Seconds; as SSL_get_default_timeout(), which needs a connection. */
#define DEFAULT_LIFE 7200

/* Bytes of a session in the cache: with a client's certificate, or without. */
#define LARGE TLS_CACHE_BYTES_MAX
#define SMALL 1024

/*
 * CLOCK_BOOTTIME cannot be set, and begins anew only when the ticket keys are gone, too. With fixed
 * ones a session may be of another host, with which only the time of day is common.
 */
static int64_t seconds(const SSL_CTX *ctx)
{
	struct timespec now;

	clock_gettime(tls_tickets_are_fixed(ctx) ? CLOCK_REALTIME : CLOCK_BOOTTIME, &now);
	return now.tv_sec;
}

/*
 * TLS 1.3 answers each ticket with a fresh one, and so a client could resume for ever without its
 * certificate being verified again. Each session therefore carries the end of what its full
 * handshake found out, which OpenSSL passes on from session to session and authenticates with the
 * rest of a ticket.
 */
static int note_handshake(SSL *ssl)
{
	const SSL_CTX *ctx = SSL_get_SSL_CTX(ssl);
	const struct tls_judge *judge = SSL_get_app_data(ssl);
	int64_t until;

	/* After a server name led to another service OpenSSL still has the first one's timeout. */
	SSL_SESSION_set_timeout(SSL_get_session(ssl), SSL_CTX_get_timeout(ctx));
	if (SSL_session_reused(ssl) || !SSL_get0_peer_certificate(ssl))
		return 1;
	until = seconds(ctx) + tls_inquiry_life(judge->inquiry, SSL_CTX_get_timeout(ctx));
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), &until, sizeof until);
}

static int on_new_ticket(SSL *ssl, void *arg)
{
	(void)arg;
	return note_handshake(ssl);
}

/*
 * Whether the certificate that the session's full handshake has shown still counts, which is never
 * for longer than ctx's timeout; true without a certificate.
 */
static bool is_recent(SSL_SESSION *session, const SSL_CTX *ctx)
{
	int64_t until, now = seconds(ctx);
	void *data;
	size_t len;

	if (!SSL_SESSION_get0_peer(session))
		return true;
	if (SSL_SESSION_get0_ticket_appdata(session, &data, &len) != 1 || len != sizeof until)
		return false;
	memcpy(&until, data, sizeof until);
	return now < until && until - now <= SSL_CTX_get_timeout(ctx);
}

static void seek(const SSL *ssl, unsigned how)
{
	struct tls_judge *judge = SSL_get_app_data(ssl); /* a trial has none */

	if (judge)
		judge->sought |= how;
}

/* The full handshake after a refused ticket issues new ones: hence ..._IGNORE_RENEW. */
static SSL_TICKET_RETURN on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *key_name,
				   size_t key_name_len, SSL_TICKET_STATUS status, void *arg)
{
	(void)key_name, (void)key_name_len, (void)arg;
	if (status != SSL_TICKET_EMPTY)
		seek(ssl, TLS_SOUGHT_TICKET);
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (!is_recent(session, SSL_get_SSL_CTX(ssl)))
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

/* --- the cache -------------------------------------------------------------------------------- */

static void drop_cache(void *parent, void *cache, CRYPTO_EX_DATA *data, int index, long argl,
		       void *argp)
{
	(void)parent, (void)data, (void)index, (void)argl, (void)argp;
	tls_cache_drop(cache);
}

/* Where a context keeps its cache; none if its sessions are not resumed. */
static int cache_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, drop_cache);
	return index;
}

/*
 * Where a session keeps the cache that it is in. OpenSSL tells of a removal with the context that
 * accepted, even if a server name has led to another.
 */
static int home_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_SESSION_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return index;
}

/* The cache of the context that the connection has now. */
static struct tls_cache *cache_of(const SSL *ssl)
{
	return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), cache_index());
}

/* Where a context says that its sessions are kept elsewhere, too: there is something, or NULL. */
static int remote_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return index;
}

static char elsewhere; /* what there is */

static bool is_remote(const SSL *ssl)
{
	/* A trial's handshake has nobody who would keep them. */
	return SSL_get_app_data(ssl) &&
	       SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), remote_index()) != NULL;
}

/*
 * Where a session that is kept elsewhere has the struct tls_judge of its connection. Without an
 * internal cache no session outlives that.
 */
static int keeper_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_SESSION_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return index;
}

static bool keep_remote(SSL *ssl, SSL_SESSION *session)
{
	return SSL_SESSION_set_ex_data(session, keeper_index(), SSL_get_app_data(ssl)) == 1;
}

static void put_remote(SSL *ssl, SSL_SESSION *session, const unsigned char *bytes, size_t len)
{
	struct tls_judge *judge = SSL_get_app_data(ssl);
	unsigned id_len;
	struct tls_remote request = {
		.verb = TLS_REMOTE_NEW,
		.id = SSL_SESSION_get_id(session, &id_len),
		.seconds = SSL_SESSION_get_timeout(session),
		.session = bytes,
		.len = len,
	};

	request.id_len = id_len;
	if (keep_remote(ssl, session))
		judge->inquiry->remote(judge->owner, &request);
}

/*
 * Whoever can send us datagrams can make up a session: one that says who the client is does not
 * count, and none for longer than we would have issued it for.
 */
static bool take_remote(SSL *ssl, SSL_SESSION *session)
{
	return !SSL_SESSION_get0_peer(session) &&
	       SSL_SESSION_set_timeout(session, SSL_CTX_get_timeout(SSL_get_SSL_CTX(ssl))) == 1 &&
	       keep_remote(ssl, session);
}

static SSL_SESSION *get_remote(SSL *ssl, const unsigned char *id, int id_len)
{
	struct tls_judge *judge = SSL_get_app_data(ssl);
	size_t len;
	const unsigned char *bytes = tls_inquiry_get(judge->inquiry, judge->owner, id,
						     (size_t)id_len, &len),
			    *at = bytes;
	SSL_SESSION *session = bytes ? d2i_SSL_SESSION(NULL, &at, (long)len) : NULL;

	if (!bytes)
		return NULL;
	if (session && at == bytes + len && take_remote(ssl, session))
		return session;
	SSL_SESSION_free(session);
	ERR_clear_error();
	return NULL;
}

static void remove_remote(SSL_SESSION *session)
{
	struct tls_judge *judge = SSL_SESSION_get_ex_data(session, keeper_index());
	unsigned id_len;
	struct tls_remote request = {
		.verb = TLS_REMOTE_REMOVE,
		.id = SSL_SESSION_get_id(session, &id_len),
	};

	request.id_len = id_len;
	if (judge)
		judge->inquiry->remote(judge->owner, &request);
}

/* TLS 1.3 makes sessions also for tickets that hold all of the session. */
static bool is_stateful(const SSL *ssl)
{
	return SSL_version(ssl) < TLS1_3_VERSION || SSL_get_options(ssl) & SSL_OP_NO_TICKET;
}

static void put_here(SSL *ssl, SSL_SESSION *session, struct tls_cache *cache,
		     const unsigned char *bytes, size_t len)
{
	unsigned id_len;
	const unsigned char *id = SSL_SESSION_get_id(session, &id_len);

	tls_cache_put(cache, id, id_len,
		      seconds(SSL_get_SSL_CTX(ssl)) + SSL_SESSION_get_timeout(session), bytes, len);
	SSL_SESSION_set_ex_data(session, home_index(), cache);
}

/* Always 0: OpenSSL's reference to the session is not kept. */
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_cache *cache = cache_of(ssl);
	unsigned char bytes[TLS_CACHE_BYTES_MAX], *end = bytes;
	int len;

	if (!cache || !is_stateful(ssl) || note_handshake(ssl) != 1)
		return 0;
	len = i2d_SSL_SESSION(session, NULL);
	if (len <= 0 || (size_t)len > sizeof bytes)
		return 0;
	i2d_SSL_SESSION(session, &end);
	put_here(ssl, session, cache, bytes, (size_t)len);
	if (is_remote(ssl))
		put_remote(ssl, session, bytes, (size_t)len);
	OPENSSL_cleanse(bytes, (size_t)len);
	return 0;
}

static SSL_SESSION *get_here(SSL *ssl, struct tls_cache *cache, const unsigned char *id, int id_len)
{
	const SSL_CTX *ctx = SSL_get_SSL_CTX(ssl);
	unsigned char bytes[TLS_CACHE_BYTES_MAX];
	const unsigned char *at = bytes;
	SSL_SESSION *session;
	size_t len = tls_cache_get(cache, id, (size_t)id_len, seconds(ctx), bytes);

	if (len == 0)
		return NULL;
	session = d2i_SSL_SESSION(NULL, &at, (long)len);
	OPENSSL_cleanse(bytes, len);
	if (session && is_recent(session, ctx) &&
	    SSL_SESSION_set_ex_data(session, home_index(), cache) == 1)
		return session;
	SSL_SESSION_free(session);
	return NULL;
}

static SSL_SESSION *on_session(SSL *ssl, const unsigned char *id, int id_len, int *copy)
{
	struct tls_cache *cache = cache_of(ssl);
	SSL_SESSION *session = cache ? get_here(ssl, cache, id, id_len) : NULL;

	if (cache)
		seek(ssl, TLS_SOUGHT_CACHE | (session ? TLS_SOUGHT_FOUND : 0));
	*copy = 0; /* the only reference is OpenSSL's */
	if (!is_remote(ssl))
		return session;
	if (!session)
		return get_remote(ssl, id, id_len);
	if (keep_remote(ssl, session))
		return session;
	SSL_SESSION_free(session);
	return NULL;
}

static void on_removed_session(SSL_CTX *ctx, SSL_SESSION *session)
{
	struct tls_cache *cache = SSL_SESSION_get_ex_data(session, home_index());
	unsigned id_len;
	const unsigned char *id = SSL_SESSION_get_id(session, &id_len);

	(void)ctx;
	remove_remote(session);
	if (cache)
		tls_cache_remove(cache, id, id_len);
}

/* A session that is resumed has the leaf certificate, and none of its chain that could be told. */
static bool can_resume(const struct tls_settings *s)
{
	return s->session_resume &&
	       !(s->verify.bits & TLS_VERIFY_REQUEST && s->cert_texts & FACTS_CERT_CHAIN);
}

static bool use_cache(SSL_CTX *ctx, const struct tls_settings *s)
{
	bool unlimited = s->session_size == 0 || s->session_size > TLS_CACHE_SIZE_MAX;
	size_t size = unlimited ? TLS_CACHE_SIZE_MAX : (size_t)s->session_size;
	struct tls_cache *cache = tls_cache_hold(
		s->service, size, s->verify.bits & TLS_VERIFY_REQUEST ? LARGE : SMALL);

	if (cache && SSL_CTX_set_ex_data(ctx, cache_index(), cache) == 1)
		return true;
	tls_cache_drop(cache);
	return false;
}

bool tls_session_use(SSL_CTX *ctx, const struct tls_settings *s)
{
	/* With a timeout of 0 OpenSSL fails each handshake that issues a ticket. */
	SSL_CTX_set_timeout(ctx, s->session_seconds != 0 ? s->session_seconds : DEFAULT_LIFE);
	if (!can_resume(s) || s->sessiond)
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	if (s->client) {
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
		return !can_resume(s) || tls_resume_use(ctx, s);
	}
	/* A cache in one worker's memory misses every client that another worker accepted. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL |
						    SSL_SESS_CACHE_NO_AUTO_CLEAR);
	SSL_CTX_sess_set_new_cb(ctx, on_new_session);
	SSL_CTX_sess_set_get_cb(ctx, on_session);
	SSL_CTX_sess_set_remove_cb(ctx, on_removed_session);
	if (SSL_CTX_set_session_ticket_cb(ctx, on_new_ticket, on_ticket, NULL) != 1 ||
	    !tls_tickets_open() || !tls_tickets_use(ctx, &s->ticket_key, &s->ticket_mac))
		return false;
	if (can_resume(s))
		return use_cache(ctx, s) &&
		       (!s->sessiond || SSL_CTX_set_ex_data(ctx, remote_index(), &elsewhere) == 1);
	/* TLS 1.3 has tickets even with SSL_OP_NO_TICKET, as names of entries in a cache. */
	return SSL_CTX_set_num_tickets(ctx, 0) == 1;
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
	const char *texts[] = {s->service,  s->ciphers,	 s->ciphersuites, s->curves,
			       s->alpn,	    v->ca_file,	 v->ca_path,	  v->ca_store,
			       v->crl_file, v->crl_path, s->ocsp.url};
	char numbers[128];

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (!digest_text(md, texts[i]))
			return false;
	snprintf(numbers, sizeof numbers, "%d %d %llx %llx %x %d %d %x", s->version_min,
		 s->version_max, (unsigned long long)s->options_set,
		 (unsigned long long)s->options_clear, v->bits, SSL_CTX_get_security_level(ctx),
		 s->ocsp.aia, s->ocsp.flags);
	return digest_text(md, numbers) && digest_names(md, &s->commands) &&
	       digest_names(md, &v->host) && digest_names(md, &v->email) &&
	       digest_names(md, &v->ip) && digest_store(md, ctx) && digest_folders(md, v) &&
	       tls_psk_digest(ctx, md);
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
