/* SPDX-License-Identifier: ISC */
#include "tls/resume.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "tls/cache.h"
#include "tls/settings.h"

/* What a context remembers. */
struct memory {
	struct tls_cache *cache;
	unsigned char key[16]; /* random: ids of one context are not those of another */
};

/* The id of the server that a connection is with, in the cache. */
struct peer {
	unsigned char id[TLS_CACHE_ID_MAX];
};

/* The server's certificate was shown before a reboot only if the cache is gone, too. */
static int64_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec;
}

/* --- what hangs on OpenSSL's structs ---------------------------------------------------------- */

static void free_memory(void *parent, void *p, CRYPTO_EX_DATA *data, int index, long argl,
			void *argp)
{
	struct memory *m = p;

	(void)parent, (void)data, (void)index, (void)argl, (void)argp;
	if (m)
		tls_cache_drop(m->cache);
	OPENSSL_free(m);
}

static int memory_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_memory);
	return index;
}

static void free_peer(void *parent, void *p, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
	(void)parent, (void)data, (void)index, (void)argl, (void)argp;
	OPENSSL_free(p);
}

static int peer_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_peer);
	return index;
}

static const struct memory *memory_of(const SSL *ssl)
{
	return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), memory_index());
}

/* --- sessions --------------------------------------------------------------------------------- */

/*
 * When the session's full handshake was, which OpenSSL passes on from a session to those that are
 * made of it; now, for one that is of no other. -1 without memory.
 */
static int64_t shown_at(SSL_SESSION *session)
{
	int64_t shown = seconds();
	void *data;
	size_t len;

	if (SSL_SESSION_get0_ticket_appdata(session, &data, &len) == 1 && len == sizeof shown) {
		memcpy(&shown, data, sizeof shown);
		return shown;
	}
	return SSL_SESSION_set1_ticket_appdata(session, &shown, sizeof shown) == 1 ? shown : -1;
}

/* Always 0: OpenSSL's reference to the session is not kept. */
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
	const struct peer *peer = SSL_get_ex_data(ssl, peer_index());
	unsigned char bytes[TLS_CACHE_BYTES_MAX], *end = bytes;
	int64_t shown;
	int len;

	if (!peer || !SSL_SESSION_is_resumable(session))
		return 0;
	shown = shown_at(session);
	len = i2d_SSL_SESSION(session, NULL);
	if (shown < 0 || len <= 0 || (size_t)len > sizeof bytes)
		return 0;
	i2d_SSL_SESSION(session, &end);
	tls_cache_put(memory_of(ssl)->cache, peer->id, sizeof peer->id,
		      shown + SSL_CTX_get_timeout(SSL_get_SSL_CTX(ssl)), bytes, (size_t)len);
	OPENSSL_cleanse(bytes, (size_t)len);
	return 0;
}

static bool name_peer(struct peer *peer, const struct memory *m, const char *text)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char digest[EVP_MAX_MD_SIZE];
	bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
		  EVP_DigestUpdate(md, m->key, sizeof m->key) == 1 &&
		  EVP_DigestUpdate(md, text, strlen(text)) == 1 &&
		  EVP_DigestFinal_ex(md, digest, NULL) == 1;

	EVP_MD_CTX_free(md);
	if (ok)
		memcpy(peer->id, digest, sizeof peer->id);
	return ok;
}

void tls_resume_offer(SSL *ssl, const char *text)
{
	const struct memory *m = memory_of(ssl);
	struct peer *peer = m ? OPENSSL_zalloc(sizeof *peer) : NULL;
	unsigned char bytes[TLS_CACHE_BYTES_MAX];
	const unsigned char *at = bytes;
	SSL_SESSION *session;
	size_t len;

	if (!peer || !name_peer(peer, m, text) || SSL_set_ex_data(ssl, peer_index(), peer) != 1) {
		OPENSSL_free(peer);
		return;
	}
	len = tls_cache_get(m->cache, peer->id, sizeof peer->id, seconds(), bytes);
	session = len != 0 ? d2i_SSL_SESSION(NULL, &at, (long)len) : NULL;
	OPENSSL_cleanse(bytes, len);
	if (session)
		SSL_set_session(ssl, session);
	SSL_SESSION_free(session);
}

/* --- the context ------------------------------------------------------------------------------ */

bool tls_resume_use(SSL_CTX *ctx, const struct tls_settings *s)
{
	bool unlimited = s->session_size == 0 || s->session_size > TLS_CACHE_SIZE_MAX;
	struct memory *m = OPENSSL_zalloc(sizeof *m);

	if (!m || RAND_bytes(m->key, sizeof m->key) != 1 ||
	    SSL_CTX_set_ex_data(ctx, memory_index(), m) != 1) {
		OPENSSL_free(m);
		return false;
	}
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_new_session);
	m->cache =
		tls_cache_hold(s->service, unlimited ? TLS_CACHE_SIZE_MAX : (size_t)s->session_size,
			       TLS_CACHE_BYTES_MAX);
	return m->cache != NULL;
}
