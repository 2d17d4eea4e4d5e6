/* SPDX-License-Identifier: ISC */
#include "tls/resume.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <string.h>

#include "tls/cache.h"
#include "tls/clock.h"
#include "tls/inquiry.h"
#include "tls/settings.h"

#define KEPT_MAX 16 /* sessions a worker */

/* A session as OpenSSL's object. */
struct kept {
	unsigned char id[TLS_CACHE_ID_MAX];
	SSL_SESSION *session; /* NULL: none */
	int64_t until;
	int64_t shared; /* the second in which this worker last put one of this id into the cache */
};

/*
 * What a context remembers. To read a session out of the cache costs as much as to resume it, since
 * its certificate comes with it: so each worker keeps some of them ready, by the id's first byte.
 */
struct memory {
	struct tls_cache *cache;
	unsigned char key[16]; /* random: ids of one context are not those of another */
	struct kept kept[KEPT_MAX];
};

/* The id of the server that a connection is with, in the cache. */
struct peer {
	unsigned char id[TLS_CACHE_ID_MAX];
};

/* --- what hangs on OpenSSL's structs ---------------------------------------------------------- */

static void free_memory(void *parent, void *p, CRYPTO_EX_DATA *data, int index, long argl,
			void *argp)
{
	struct memory *m = p;

	(void)parent, (void)data, (void)index, (void)argl, (void)argp;
	if (!m)
		return;
	for (size_t i = 0; i < KEPT_MAX; i++)
		SSL_SESSION_free(m->kept[i].session);
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

static struct memory *memory_of(const SSL *ssl)
{
	return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), memory_index());
}

/* --- sessions --------------------------------------------------------------------------------- */

/*
 * Until when the session counts: the end of what its full handshake found out, which OpenSSL passes
 * on from a session to those that are made of it. -1 without memory.
 */
static int64_t counts_until(const SSL *ssl, SSL_SESSION *session)
{
	const struct tls_judge *judge = SSL_get_app_data(ssl);
	int64_t until = tls_clock_seconds() +
			tls_inquiry_life(judge->inquiry, SSL_CTX_get_timeout(SSL_get_SSL_CTX(ssl)));
	void *data;
	size_t len;

	if (SSL_SESSION_get0_ticket_appdata(session, &data, &len) == 1 && len == sizeof until) {
		memcpy(&until, data, sizeof until);
		return until;
	}
	return SSL_SESSION_set1_ticket_appdata(session, &until, sizeof until) == 1 ? until : -1;
}

/* Takes over the caller's reference to the session. */
static struct kept *keep(struct memory *m, const struct peer *peer, SSL_SESSION *session,
			 int64_t until)
{
	struct kept *kept = &m->kept[peer->id[0] % KEPT_MAX];

	SSL_SESSION_free(kept->session);
	if (memcmp(kept->id, peer->id, sizeof kept->id) != 0)
		kept->shared = 0;
	memcpy(kept->id, peer->id, sizeof kept->id);
	kept->session = session;
	kept->until = until;
	return kept;
}

/* The session that this worker has ready, whose reference stays here; NULL: none. */
static SSL_SESSION *kept_ready(const struct memory *m, const struct peer *peer)
{
	const struct kept *kept = &m->kept[peer->id[0] % KEPT_MAX];
	bool same = memcmp(kept->id, peer->id, sizeof kept->id) == 0;

	return same && kept->until > tls_clock_seconds() ? kept->session : NULL;
}

/* Puts the session into the cache, for other workers. */
static void share(struct memory *m, const struct kept *kept)
{
	unsigned char bytes[TLS_CACHE_BYTES_MAX], *end = bytes;
	int len = i2d_SSL_SESSION(kept->session, NULL);

	if (len <= 0 || (size_t)len > sizeof bytes)
		return;
	i2d_SSL_SESSION(kept->session, &end);
	tls_cache_put(m->cache, kept->id, sizeof kept->id, kept->until, bytes, (size_t)len);
	OPENSSL_cleanse(bytes, (size_t)len);
}

/*
 * 1: OpenSSL's reference to the session is kept. A server sends two tickets a handshake or more,
 * and to write one out is 2 % of a resumed connection: so one a second is shared.
 */
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
	const struct peer *peer = SSL_get_ex_data(ssl, peer_index());
	struct memory *m = memory_of(ssl);
	int64_t until, now = tls_clock_seconds();
	struct kept *kept;

	if (!peer || !SSL_SESSION_is_resumable(session))
		return 0;
	until = counts_until(ssl, session);
	if (until < 0)
		return 0;
	kept = keep(m, peer, session, until);
	if (kept->shared != now)
		share(m, kept);
	kept->shared = now;
	return 1;
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

/* Makes ready what a worker put into the cache, if there is anything. */
static SSL_SESSION *take_ready(SSL *ssl, struct memory *m, const struct peer *peer)
{
	unsigned char bytes[TLS_CACHE_BYTES_MAX];
	const unsigned char *at = bytes;
	size_t len = tls_cache_get(m->cache, peer->id, sizeof peer->id, tls_clock_seconds(), bytes);
	SSL_SESSION *session = len != 0 ? d2i_SSL_SESSION(NULL, &at, (long)len) : NULL;

	OPENSSL_cleanse(bytes, len);
	if (session)
		keep(m, peer, session, counts_until(ssl, session));
	return session;
}

void tls_resume_offer(SSL *ssl, const char *text)
{
	struct tls_judge *judge = SSL_get_app_data(ssl);
	struct memory *m = memory_of(ssl);
	struct peer *peer = m ? OPENSSL_zalloc(sizeof *peer) : NULL;
	SSL_SESSION *session;

	if (!peer || !name_peer(peer, m, text) || SSL_set_ex_data(ssl, peer_index(), peer) != 1) {
		OPENSSL_free(peer);
		return;
	}
	session = kept_ready(m, peer);
	if (!session)
		session = take_ready(ssl, m, peer);
	judge->sought |= TLS_SOUGHT_CACHE | (session ? TLS_SOUGHT_FOUND : 0);
	if (session)
		SSL_set_session(ssl, session);
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
