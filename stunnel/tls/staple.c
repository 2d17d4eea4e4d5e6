/* SPDX-License-Identifier: ISC */
#include "tls/staple.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "tls/cache.h"
#include "tls/clock.h"
#include "tls/file.h"
#include "tls/verify.h"

/* No section has this name: the cache is one for all services. */
#define CACHE_NAME "]staples"
#define CACHE_SIZE 1024

#define OWN_MAX 8	    /* certificates of a service; OpenSSL has one a kind of key */
#define AGAIN_MAX 3600	    /* seconds between two questions about a good certificate */
#define AGAIN_FAILURE 60    /* seconds, after a question that brought no good answer */
#define UNTOLD_LIFE 600	    /* seconds that an answer counts which names no end */
#define KEEP_TRIES 200	    /* to put an answer into the cache */
#define KEEP_PAUSE 10000000 /* nanoseconds between two */

/* A certificate of ours whose issuer is known. */
struct tls_staple_own {
	STACK_OF(X509) * chain; /* the certificate, its issuer */
	unsigned char id[TLS_CACHE_ID_MAX];
	struct tls_cache *cache;
};

struct staples {
	struct tls_cache *cache;
	bool asked; /* responders are */
	size_t count;
	struct tls_staple_own own[OWN_MAX];
};

/* --- what hangs on a context ------------------------------------------------------------------ */

static void free_own(struct staples *s)
{
	for (size_t i = 0; i < s->count; i++)
		sk_X509_pop_free(s->own[i].chain, X509_free);
	s->count = 0;
}

static void free_staples(void *parent, void *p, CRYPTO_EX_DATA *data, int index, long argl,
			 void *argp)
{
	struct staples *s = p;

	(void)parent, (void)data, (void)index, (void)argl, (void)argp;
	if (!s)
		return;
	free_own(s);
	tls_cache_drop(s->cache);
	OPENSSL_free(s);
}

static int staples_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_staples);
	return index;
}

static struct staples *staples_of(const SSL_CTX *ctx)
{
	return SSL_CTX_get_ex_data(ctx, staples_index());
}

static bool name_certificate(const X509 *cert, unsigned char id[static TLS_CACHE_ID_MAX])
{
	unsigned len;

	_Static_assert(TLS_CACHE_ID_MAX == 32, "as long as a SHA-256");
	return X509_digest(cert, EVP_sha256(), id, &len) == 1;
}

/* --- in a handshake --------------------------------------------------------------------------- */

/* OpenSSL has chosen the certificate by now, and frees what it is given. */
static int on_status(SSL *ssl, void *arg)
{
	const struct staples *s = staples_of(SSL_get_SSL_CTX(ssl));
	const X509 *cert = SSL_get_certificate(ssl);
	unsigned char id[TLS_CACHE_ID_MAX], bytes[TLS_CACHE_BYTES_MAX], *copy;
	size_t len;

	(void)arg;
	if (!s || !cert || !name_certificate(cert, id))
		return SSL_TLSEXT_ERR_NOACK;
	len = tls_cache_get(s->cache, id, sizeof id, tls_clock_seconds(), bytes);
	copy = len != 0 ? OPENSSL_memdup(bytes, len) : NULL;
	if (!copy)
		return SSL_TLSEXT_ERR_NOACK;
	SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)len);
	return SSL_TLSEXT_ERR_OK;
}

/* --- answers ---------------------------------------------------------------------------------- */

static int64_t life_of(const struct tls_ocsp_answer *answer)
{
	return answer->valid > 0 ? answer->valid : UNTOLD_LIFE;
}

/* An answer that proves nothing leaves an older one, which has an end of its own. */
static bool try_to_keep(const struct tls_staple_own *own, const struct tls_ocsp_answer *answer,
			const struct tls_ocsp_der *der)
{
	if (answer->verdict == TLS_OCSP_GOOD)
		return tls_cache_put(own->cache, own->id, sizeof own->id,
				     tls_clock_seconds() + life_of(answer), der->p, der->len);
	if (answer->verdict == TLS_OCSP_REVOKED)
		return tls_cache_remove(own->cache, own->id, sizeof own->id);
	return true;
}

/*
 * The cache waits for no lock, since a handshake can do without a staple. Who brings an answer
 * does: the next may be an hour away, and the staple of a certificate that was revoked must go.
 */
static bool keep(const struct tls_staple_own *own, const struct tls_ocsp_answer *answer,
		 const struct tls_ocsp_der *der)
{
	const struct timespec pause = {.tv_nsec = KEEP_PAUSE};

	for (int i = 0; i < KEEP_TRIES; i++) {
		if (try_to_keep(own, answer, der))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

bool tls_staple_asks(const SSL_CTX *ctx)
{
	const struct staples *s = staples_of(ctx);

	return s && s->asked;
}

size_t tls_staple_count(const SSL_CTX *ctx)
{
	return tls_staple_asks(ctx) ? staples_of(ctx)->count : 0;
}

struct tls_staple_own *tls_staple_hold(const SSL_CTX *ctx, size_t index)
{
	const struct staples *s = staples_of(ctx);
	struct tls_staple_own *own =
		index < tls_staple_count(ctx) ? OPENSSL_zalloc(sizeof *own) : NULL;

	if (!own)
		return NULL;
	*own = s->own[index];
	own->chain = X509_chain_up_ref(own->chain);
	if (own->chain)
		return own;
	OPENSSL_free(own);
	return NULL;
}

void tls_staple_drop(struct tls_staple_own *own)
{
	if (own)
		sk_X509_pop_free(own->chain, X509_free);
	OPENSSL_free(own);
}

void tls_staple_fetch(const struct tls_staple_own *own, int seconds, struct tls_staple_news *news)
{
	struct tls_ocsp_der der = {0};

	tls_verify_name(X509_get_subject_name(sk_X509_value(own->chain, 0)), news->about,
			sizeof news->about);
	tls_ocsp_fetch(own->chain, seconds, &news->answer, &der);
	if (!keep(own, &news->answer, &der) && news->answer.verdict == TLS_OCSP_GOOD)
		news->answer = (struct tls_ocsp_answer){.why = "there is no place for it"};
	news->life = life_of(&news->answer);
	news->again = AGAIN_FAILURE;
	if (news->answer.verdict == TLS_OCSP_GOOD)
		news->again = news->life / 2 < AGAIN_MAX ? news->life / 2 : AGAIN_MAX;
	OPENSSL_free(der.p);
}

/* --- a file with an answer -------------------------------------------------------------------- */

static void use_answer(const struct staples *s, const struct tls_ocsp_der *der, const char *path,
		       const struct tls_fault_to *to)
{
	struct tls_ocsp_answer answer = {.why = "no certificate has an issuer that is known"};

	for (size_t i = 0; i < s->count; i++) {
		tls_ocsp_read(s->own[i].chain, der, &answer);
		keep(&s->own[i], &answer, der);
		if (answer.verdict == TLS_OCSP_GOOD)
			return;
	}
	tls_fault_tell(
		to, TLS_TROUBLE_WARNING, "OCSPstaple", "It is not sent: %.200s: %.250s", path,
		answer.verdict == TLS_OCSP_REVOKED ? "the certificate was revoked" : answer.why);
}

static bool use_file(const struct staples *s, const char *path, const struct tls_fault_to *to)
{
	unsigned char bytes[TLS_CACHE_BYTES_MAX];
	struct tls_ocsp_der der = {.p = bytes};
	BIO *file = BIO_new_file(path, "rb");
	int len = file ? BIO_read(file, bytes, sizeof bytes) : -1;
	bool whole = len > 0 && BIO_eof(file);

	BIO_free(file);
	if (len <= 0)
		return tls_fault_refuse(to, "OCSPstaple", "Failed to load OCSP response from",
					path);
	der.len = (size_t)len;
	if (!whole || !tls_ocsp_is_response(&der))
		return tls_fault_refuse_file(to, "OCSPstaple", "Failed to load OCSP response from",
					     path,
					     "it holds no answer in DER of at most 8192 bytes");
	use_answer(s, &der, path, to);
	return true;
}

/* --- our certificates ------------------------------------------------------------------------- */

/* The issuer is in the chain that is sent, or else among those whom the service trusts. */
static X509 *issuer_of(SSL_CTX *ctx, X509 *cert, STACK_OF(X509) * chain)
{
	X509_STORE_CTX *store = X509_STORE_CTX_new();
	X509 *issuer = NULL;

	for (int i = 0; i < sk_X509_num(chain) && !issuer; i++)
		if (X509_check_issued(sk_X509_value(chain, i), cert) == X509_V_OK &&
		    X509_up_ref(sk_X509_value(chain, i)) == 1)
			issuer = sk_X509_value(chain, i);
	if (!issuer && store &&
	    X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(ctx), cert, NULL) == 1 &&
	    X509_STORE_CTX_get1_issuer(&issuer, store, cert) != 1)
		issuer = NULL;
	X509_STORE_CTX_free(store);
	ERR_clear_error();
	return issuer;
}

static bool add_own(struct staples *s, X509 *cert, X509 *issuer)
{
	struct tls_staple_own *own = &s->own[s->count];

	own->cache = s->cache;
	own->chain = sk_X509_new_null();
	if (!own->chain)
		return false;
	s->count++; /* from now on it is freed */
	return X509_add_cert(own->chain, cert, X509_ADD_FLAG_UP_REF) == 1 &&
	       X509_add_cert(own->chain, issuer, X509_ADD_FLAG_UP_REF) == 1 &&
	       name_certificate(cert, own->id);
}

/* Not every authority has responders: a certificate without one is as good. */
static bool take_certificate(struct staples *s, SSL_CTX *ctx, X509 *cert,
			     const struct tls_fault_to *to)
{
	STACK_OF(X509) *chain = NULL;
	X509 *issuer;
	bool ok = true;

	if (s->count == OWN_MAX || (s->asked && !tls_ocsp_is_named(cert)))
		return true;
	SSL_CTX_get0_chain_certs(ctx, &chain);
	issuer = issuer_of(ctx, cert, chain);
	if (issuer)
		ok = add_own(s, cert, issuer);
	else
		tls_fault_tell(to, TLS_TROUBLE_WARNING, "OCSPstaple",
			       "Its responder is not asked: neither 'cert' nor 'CAfile' holds the "
			       "certificate's issuer");
	X509_free(issuer);
	return ok;
}

static bool take_certificates(struct staples *s, SSL_CTX *ctx, const struct tls_fault_to *to)
{
	for (long next = SSL_CERT_SET_FIRST; SSL_CTX_set_current_cert(ctx, next) == 1;
	     next = SSL_CERT_SET_NEXT)
		if (!take_certificate(s, ctx, SSL_CTX_get0_certificate(ctx), to))
			return tls_fault_refuse(to, NULL, "Out of memory", "OCSPstaple");
	return true;
}

/* What is left of another context's certificates in *s is the caller's. */
static bool fill(struct staples *s, SSL_CTX *ctx, const struct tls_settings *settings,
		 const struct tls_fault_to *to)
{
	X509 *current = SSL_CTX_get0_certificate(ctx);
	bool ok = take_certificates(s, ctx, to);

	if (current)
		SSL_CTX_select_current_cert(ctx, current);
	return ok && (s->asked || use_file(s, settings->staple, to));
}

const char *tls_staple_file(const struct tls_settings *settings)
{
	const char *staple = settings->staple;

	return staple && strcasecmp(staple, "no") != 0 && strcasecmp(staple, "yes") != 0 ? staple
											 : NULL;
}

bool tls_staple_use(SSL_CTX *ctx, const struct tls_settings *settings,
		    const struct tls_fault_to *to)
{
	struct staples *s;

	if (!settings->staple || !strcasecmp(settings->staple, "no"))
		return true;
	s = OPENSSL_zalloc(sizeof *s);
	if (s)
		s->cache = tls_cache_hold(CACHE_NAME, CACHE_SIZE, TLS_CACHE_BYTES_MAX);
	if (!s || !s->cache || SSL_CTX_set_ex_data(ctx, staples_index(), s) != 1) {
		free_staples(NULL, s, NULL, 0, 0, NULL);
		return tls_fault_refuse(to, NULL, "Out of memory", "OCSPstaple");
	}
	s->asked = !tls_staple_file(settings);
	SSL_CTX_set_tlsext_status_cb(ctx, on_status);
	return fill(s, ctx, settings, to);
}

/* --- other certificates ----------------------------------------------------------------------- */

static struct staples without_own(const struct staples *s)
{
	return (struct staples){.cache = s->cache, .asked = s->asked};
}

static void replace_own(struct staples *s, const struct staples *fresh)
{
	free_own(s);
	*s = *fresh;
}

bool tls_staple_renew(SSL_CTX *ctx, const struct tls_settings *settings,
		      const struct tls_fault_to *to)
{
	struct staples *s = staples_of(ctx), fresh;

	if (!s)
		return true;
	fresh = without_own(s);
	if (!fill(&fresh, ctx, settings, to)) {
		free_own(&fresh);
		return false;
	}
	replace_own(s, &fresh);
	return true;
}

/* Each certificate and its issuer, one behind the other. */
size_t tls_staple_pack(const SSL_CTX *ctx, unsigned char *packet, size_t max)
{
	const struct staples *s = staples_of(ctx);
	unsigned char *p = packet;

	for (size_t i = 0; i < tls_staple_count(ctx); i++)
		for (int j = 0; j < sk_X509_num(s->own[i].chain); j++) {
			X509 *cert = sk_X509_value(s->own[i].chain, j);
			int len = i2d_X509(cert, NULL);

			if (len <= 0 || (size_t)len > max - (size_t)(p - packet) ||
			    i2d_X509(cert, &p) != len)
				return 0;
		}
	return (size_t)(p - packet);
}

static bool add_packed(struct staples *s, const unsigned char **p, const unsigned char *end)
{
	X509 *cert = d2i_X509(NULL, p, end - *p), *issuer = d2i_X509(NULL, p, end - *p);
	bool ok = cert && issuer && s->count < OWN_MAX && add_own(s, cert, issuer);

	X509_free(cert);
	X509_free(issuer);
	return ok;
}

bool tls_staple_unpack(SSL_CTX *ctx, const unsigned char *packet, size_t len)
{
	const unsigned char *end = packet + len;
	struct staples *s = staples_of(ctx), fresh;
	bool ok = s && s->asked;

	if (!ok)
		return false;
	fresh = without_own(s);
	while (ok && packet < end)
		ok = add_packed(&fresh, &packet, end);
	if (ok)
		replace_own(s, &fresh);
	else
		free_own(&fresh);
	ERR_clear_error();
	return ok;
}
