/* SPDX-License-Identifier: ISC */
#include "tls/renewal.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/stat.h>

#include "sys/siphash.h"
#include "tls/credentials.h"
#include "tls/staple.h"
#include "tls/store.h"

#define PAIRS_MAX 16 /* OpenSSL has one a kind of key */

/* --- the files -------------------------------------------------------------------------------- */

static size_t count_paths(const struct tls_settings *s)
{
	return s->cert.count + s->key.count;
}

static const char *path_of(const struct tls_settings *s, size_t i)
{
	return i < s->cert.count ? s->cert.item[i] : s->key.item[i - s->cert.count];
}

/* A pipe would hold up the process that reads it. */
static const char *obstacle_of(const char *path)
{
	struct stat is;

	if (stat(path, &is) == 0)
		return S_ISREG(is.st_mode) ? NULL : "it is no file";
	return tls_store_is_uri(path) ? "a URI cannot be watched" : NULL;
}

const char *tls_renewal_obstacle(const struct tls_settings *s)
{
	const char *why = NULL;

	for (size_t i = 0; i < count_paths(s) && !why; i++)
		why = obstacle_of(path_of(s, i));
	return why || !tls_staple_file(s) ? why : obstacle_of(tls_staple_file(s));
}

static uint64_t nanoseconds(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_nsec;
}

static uint64_t mark_of(const char *path, uint64_t mark, size_t i)
{
	struct stat is;
	uint64_t word[6] = {0};

	if (stat(path, &is) == 0)
		memcpy(word,
		       (uint64_t[6]){is.st_dev, is.st_ino, (uint64_t)is.st_size, is.st_mode,
				     nanoseconds(&is.st_mtim), nanoseconds(&is.st_ctim)},
		       sizeof word);
	else
		word[0] = (uint64_t)errno;
	return siphash((uint64_t[2]){mark, i}, word, 6);
}

uint64_t tls_renewal_mark(const struct tls_settings *s)
{
	uint64_t mark = 0;

	for (size_t i = 0; i < count_paths(s); i++)
		mark = mark_of(path_of(s, i), mark, i);
	return mark;
}

uint64_t tls_renewal_staple_mark(const struct tls_settings *s)
{
	return tls_staple_file(s) ? mark_of(tls_staple_file(s), 0, 0) : 0;
}

/* --- writing a packet ------------------------------------------------------------------------- */

/*
 * For each pair a key in PKCS#8, the certificate and its chain, in DER one behind the other, each
 * behind its kind and its length; the pair that OpenSSL takes for the current one is the last.
 */
enum kind {
	KIND_KEY = 'K',
	KIND_CERT = 'C',
};

struct head {
	uint32_t kind, len;
};

struct writer {
	unsigned char *p;
	size_t left, len;
};

/* Where len bytes are to be written; NULL: there is no room. */
static unsigned char *reserve(struct writer *w, enum kind kind, int len)
{
	struct head head = {kind, (uint32_t)len};
	unsigned char *place = w->p + sizeof head;

	if (len <= 0 || w->left < sizeof head || w->left - sizeof head < (size_t)len)
		return NULL;
	memcpy(w->p, &head, sizeof head);
	w->p = place + len;
	w->left -= sizeof head + (size_t)len;
	w->len += sizeof head + (size_t)len;
	return place;
}

static bool put_certificate(struct writer *w, X509 *cert)
{
	unsigned char *p = reserve(w, KIND_CERT, i2d_X509(cert, NULL));

	return p && i2d_X509(cert, &p) > 0;
}

static bool put_key(struct writer *w, const EVP_PKEY *key)
{
	PKCS8_PRIV_KEY_INFO *info = key ? EVP_PKEY2PKCS8(key) : NULL;
	unsigned char *p = info ? reserve(w, KIND_KEY, i2d_PKCS8_PRIV_KEY_INFO(info, NULL)) : NULL;
	bool ok = p && i2d_PKCS8_PRIV_KEY_INFO(info, &p) > 0;

	PKCS8_PRIV_KEY_INFO_free(info);
	return ok;
}

/* The pair that is the current one. */
static bool put_pair(struct writer *w, SSL_CTX *ctx)
{
	STACK_OF(X509) *chain = NULL;
	bool ok = put_key(w, SSL_CTX_get0_privatekey(ctx)) &&
		  put_certificate(w, SSL_CTX_get0_certificate(ctx));

	SSL_CTX_get0_chain_certs(ctx, &chain);
	for (int i = 0; ok && i < sk_X509_num(chain); i++)
		ok = put_certificate(w, sk_X509_value(chain, i));
	return ok;
}

static size_t pack(SSL_CTX *ctx, unsigned char *packet, size_t max)
{
	struct writer w = {packet, max, 0};
	X509 *current = SSL_CTX_get0_certificate(ctx);
	bool ok = current != NULL;

	for (long next = SSL_CERT_SET_FIRST; ok && SSL_CTX_set_current_cert(ctx, next) == 1;
	     next = SSL_CERT_SET_NEXT)
		ok = SSL_CTX_get0_certificate(ctx) == current || put_pair(&w, ctx);
	ok = current && SSL_CTX_select_current_cert(ctx, current) == 1 && ok && put_pair(&w, ctx);
	ERR_clear_error();
	return ok ? w.len : 0;
}

size_t tls_renewal_pack(struct tls_ctx *ctx, unsigned char *packet, size_t max)
{
	return pack(tls_ctx_library(ctx), packet, max);
}

/* --- reading a packet ------------------------------------------------------------------------- */

struct pair {
	EVP_PKEY *key;
	X509 *cert;
	STACK_OF(X509) * chain; /* NULL: none; an empty one would keep OpenSSL from making one */
};

struct pairs {
	struct pair pair[PAIRS_MAX];
	size_t count;
};

static void free_pairs(struct pairs *p)
{
	for (size_t i = 0; i < p->count; i++) {
		EVP_PKEY_free(p->pair[i].key);
		X509_free(p->pair[i].cert);
		sk_X509_pop_free(p->pair[i].chain, X509_free);
	}
}

static EVP_PKEY *read_key(const unsigned char *der, long len)
{
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &der, len);
	EVP_PKEY *key = info ? EVP_PKCS82PKEY(info) : NULL;

	PKCS8_PRIV_KEY_INFO_free(info);
	return key;
}

static bool take_certificate(struct pair *pair, const unsigned char *der, long len)
{
	X509 *cert = d2i_X509(NULL, &der, len);

	if (cert && !pair->cert) {
		pair->cert = cert;
		return true;
	}
	if (!pair->chain)
		pair->chain = sk_X509_new_null();
	if (cert && pair->chain && sk_X509_push(pair->chain, cert) > 0)
		return true;
	X509_free(cert);
	return false;
}

static bool take_item(struct pairs *p, const struct head *head, const unsigned char *der)
{
	struct pair *pair;

	if (head->kind == KIND_CERT)
		return p->count != 0 &&
		       take_certificate(&p->pair[p->count - 1], der, (long)head->len);
	if (head->kind != KIND_KEY || p->count == PAIRS_MAX)
		return false;
	pair = &p->pair[p->count++];
	*pair = (struct pair){.key = read_key(der, (long)head->len)};
	return pair->key != NULL;
}

static bool read_pairs(struct pairs *p, const unsigned char *packet, size_t len)
{
	while (len != 0) {
		struct head head;

		if (len < sizeof head)
			return false;
		memcpy(&head, packet, sizeof head);
		packet += sizeof head;
		len -= sizeof head;
		if (head.len > len || !take_item(p, &head, packet))
			return false;
		packet += head.len;
		len -= head.len;
	}
	for (size_t i = 0; i < p->count; i++)
		if (!p->pair[i].cert ||
		    X509_check_private_key(p->pair[i].cert, p->pair[i].key) != 1)
			return false;
	return p->count != 0;
}

static bool use(SSL_CTX *ctx, const unsigned char *packet, size_t len)
{
	struct pairs p = {.count = 0};
	bool ok = read_pairs(&p, packet, len);

	/* Each connection has its own copy of the certificates that its context had. */
	for (size_t i = 0; ok && i < p.count; i++)
		ok = SSL_CTX_use_cert_and_key(ctx, p.pair[i].cert, p.pair[i].key, p.pair[i].chain,
					      1) == 1;
	free_pairs(&p);
	ERR_clear_error();
	return ok;
}

bool tls_renewal_use(struct tls_ctx *ctx, const unsigned char *packet, size_t len)
{
	return use(tls_ctx_library(ctx), packet, len);
}

/* --- taking what the files hold --------------------------------------------------------------- */

/* Bits: kinds of keys, by OpenSSL's numbers. */
static bool has_kind(SSL_CTX *ctx, int kind)
{
	X509 *current = SSL_CTX_get0_certificate(ctx);
	bool has = false;

	for (long next = SSL_CERT_SET_FIRST; !has && SSL_CTX_set_current_cert(ctx, next) == 1;
	     next = SSL_CERT_SET_NEXT)
		has = EVP_PKEY_get_base_id(SSL_CTX_get0_privatekey(ctx)) == kind;
	SSL_CTX_select_current_cert(ctx, current);
	return has;
}

/*
 * OpenSSL cannot take a certificate from a context: that of a kind of key which is not used any
 * more would stay, and run out.
 */
static bool covers(SSL_CTX *fresh, SSL_CTX *ctx)
{
	X509 *current = SSL_CTX_get0_certificate(ctx);
	bool all = true;

	for (long next = SSL_CERT_SET_FIRST; all && SSL_CTX_set_current_cert(ctx, next) == 1;
	     next = SSL_CERT_SET_NEXT)
		all = has_kind(fresh, EVP_PKEY_get_base_id(SSL_CTX_get0_privatekey(ctx)));
	if (current)
		SSL_CTX_select_current_cert(ctx, current);
	return all;
}

static bool move(SSL_CTX *ctx, SSL_CTX *fresh, const char *path, const struct tls_fault_to *to)
{
	unsigned char packet[TLS_RENEWAL_MAX];
	size_t len = pack(fresh, packet, sizeof packet);
	bool ok = len != 0 && use(ctx, packet, len);

	OPENSSL_cleanse(packet, len);
	if (len == 0)
		return tls_fault_refuse_file(to, "cert", "Failed to use certificate from", path,
					     "it cannot be handed to the workers, or is too large");
	return ok || tls_fault_refuse(to, NULL, "Out of memory", path);
}

bool tls_renewal_take(struct tls_ctx *ctx, const struct tls_settings *settings,
		      const struct tls_fault_to *to)
{
	SSL_CTX *c = tls_ctx_library(ctx), *fresh;
	const char *path = settings->cert.item[0], *why = tls_renewal_obstacle(settings);
	bool ok;

	if (why)
		return tls_fault_refuse_file(to, "cert", "Failed to load certificate from", path,
					     why);
	fresh = tls_credentials_read(c, settings, to);
	if (!fresh)
		return false;
	if (covers(fresh, c))
		ok = move(c, fresh, path, to);
	else
		ok = tls_fault_refuse_file(to, "cert", "Failed to use certificate from", path,
					   "another type of key takes a reload");
	SSL_CTX_free(fresh);
	if (ok)
		tls_ctx_renewed(ctx);
	return ok;
}
