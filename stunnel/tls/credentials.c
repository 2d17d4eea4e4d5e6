/* SPDX-License-Identifier: ISC */
#include "tls/credentials.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/file.h"
#include "tls/psk.h"

/* Names the least sizes of keys and digests if the certificate fails OpenSSL's security level. */
static bool refuse_weak(SSL_CTX *ctx, const struct tls_fault_to *to, const char *what,
			const char *path)
{
	/* SSL_CTX_set_security_level(3): 80, 112, 128, 192 and 256 bits of security. */
	static const struct {
		int rsa, ec;
		const char *digest;
	} least[] = {
		{0, 0, ""},
		{1024, 160, "SHA-1"},
		{2048, 224, "SHA-256"},
		{3072, 256, "SHA-256"},
		{7680, 384, "SHA-384"},
		{15360, 512, "SHA-512"},
	};
	unsigned long error = ERR_peek_last_error();
	int reason = ERR_GET_REASON(error), level = SSL_CTX_get_security_level(ctx);
	char why[256];

	if (ERR_GET_LIB(error) != ERR_LIB_SSL || level < 0 || level > 5 ||
	    (reason != SSL_R_EE_KEY_TOO_SMALL && reason != SSL_R_CA_KEY_TOO_SMALL &&
	     reason != SSL_R_CA_MD_TOO_WEAK))
		return tls_fault_refuse(to, "cert", what, path);
	snprintf(why, sizeof why,
		 "%s: OpenSSL's security level %d asks for RSA of %d bits, EC of %d bits and "
		 "%s at least",
		 ERR_reason_error_string(error), level, least[level].rsa, least[level].ec,
		 least[level].digest);
	return tls_fault_refuse_file(to, "cert", what, path, why);
}

/* --- pairs of certificate and key ------------------------------------------------------------- */

/* A file that was named: read once, since it may be a pipe, or have a pass phrase. */
struct named {
	const char *path;
	struct tls_file *file; /* NULL: not read yet */
};

struct pairs {
	const struct tls_settings *settings;
	struct named *named; /* a path may stand in several lines, and once here */
	size_t count;
};

static struct tls_file *read_once(struct pairs *p, const char *path, char why[static TLS_WHY_MAX])
{
	struct named *named = p->named;

	while (named->path && strcmp(named->path, path) != 0)
		named++;
	named->path = path;
	if (!named->file)
		named->file = tls_file_open_uri(path, why);
	return named->file;
}

static bool open_pairs(struct pairs *p, const struct tls_settings *s)
{
	*p = (struct pairs){.settings = s, .count = s->cert.count + s->key.count};
	p->named = calloc(p->count + 1, sizeof p->named[0]);
	return p->named != NULL;
}

static void close_pairs(struct pairs *p)
{
	for (size_t i = 0; p->named && i < p->count; i++)
		tls_file_close(p->named[i].file);
	free(p->named);
}

static bool use_certificates(SSL_CTX *ctx, STACK_OF(X509) * certs, const char *path,
			     const struct tls_fault_to *to)
{
	ERR_clear_error();
	if (SSL_CTX_use_certificate(ctx, sk_X509_value(certs, 0)) != 1)
		return refuse_weak(ctx, to, "Failed to use certificate from", path);
	SSL_CTX_clear_chain_certs(ctx); /* of an earlier certificate with a key of the same type */
	for (int i = 1; i < sk_X509_num(certs); i++)
		if (SSL_CTX_add1_chain_cert(ctx, sk_X509_value(certs, i)) != 1)
			return refuse_weak(ctx, to, "Failed to use intermediate certificate from",
					   path);
	return true;
}

/* The usual cause of a mismatch is told: a file whose chain does not begin with the leaf. */
static bool refuse_key(const struct tls_fault_to *to, const char *cert_path, const char *key_path,
		       STACK_OF(X509) * certs, EVP_PKEY *key)
{
	static const char what[] = "Private key does not match the certificate";
	const char *option = key_path == cert_path ? "cert" : "key";
	char why[TLS_WHY_MAX];

	for (int i = 1; i < sk_X509_num(certs); i++) {
		if (X509_check_private_key(sk_X509_value(certs, i), key) != 1)
			continue;
		snprintf(why, sizeof why,
			 "it is the key of certificate %d in %.200s: its own certificate has to "
			 "be the first",
			 i + 1, cert_path);
		return tls_fault_refuse_file(to, "cert", what, key_path, why);
	}
	return tls_fault_refuse(to, option, what, key_path);
}

/* The i-th file in which a certificate's key may be, the last one first; NULL behind the last. */
static const char *place_of_key(const struct tls_settings *s, const char *cert_path, size_t i)
{
	size_t keys = s->key.count;

	if (i < keys)
		return s->key.item[keys - 1 - i];
	/* With one certificate, a key that does not fit is a mistake and not another one's. */
	return i == keys && (keys == 0 || s->cert.count > 1) ? cert_path : NULL;
}

static bool use_key(SSL_CTX *ctx, struct pairs *p, const char *cert_path, STACK_OF(X509) * certs,
		    const struct tls_fault_to *to)
{
	const char *path, *wrong_path = NULL;
	EVP_PKEY *wrong = NULL;

	for (size_t i = 0; (path = place_of_key(p->settings, cert_path, i)) != NULL; i++) {
		const char *option = path == cert_path ? "cert" : "key";
		char why[TLS_WHY_MAX];
		struct tls_file *file = read_once(p, path, why);
		EVP_PKEY *key = file ? tls_file_key(file, why) : NULL;

		if (!key && wrong && path == cert_path)
			break; /* it need not hold one */
		if (!key)
			return tls_fault_refuse_file(to, option, "Failed to load private key from",
						     path, why);
		if (X509_check_private_key(sk_X509_value(certs, 0), key) == 1)
			return SSL_CTX_use_PrivateKey(ctx, key) == 1 ||
			       tls_fault_refuse(to, option, "Failed to use private key from", path);
		ERR_clear_error();
		wrong = wrong ? wrong : key;
		wrong_path = wrong_path ? wrong_path : path;
	}
	X509_check_private_key(sk_X509_value(certs, 0), wrong);
	return refuse_key(to, cert_path, wrong_path, certs, wrong);
}

static bool use_pair(SSL_CTX *ctx, struct pairs *p, const char *path, const struct tls_fault_to *to)
{
	char why[TLS_WHY_MAX];
	struct tls_file *file = read_once(p, path, why);
	STACK_OF(X509) *certs = file ? tls_file_certs(file, why) : NULL;

	if (!certs)
		return tls_fault_refuse_file(to, "cert", "Failed to load certificate from", path,
					     why);
	return use_certificates(ctx, certs, path, to) && use_key(ctx, p, path, certs, to);
}

/* --- finite-field groups ---------------------------------------------------------------------- */

static bool has_dh(SSL_CTX *ctx)
{
	STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(ctx);

	for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
		int exchange = SSL_CIPHER_get_kx_nid(sk_SSL_CIPHER_value(ciphers, i));

		if (exchange == NID_kx_dhe || exchange == NID_kx_dhe_psk)
			return true;
	}
	return false;
}

/* Those of the last file that has any, in place of the group that OpenSSL would choose. */
static void use_dh_parameters(SSL_CTX *ctx, struct pairs *p, const struct tls_fault_to *to)
{
	for (size_t i = p->count; i-- != 0;) {
		struct named *named = &p->named[i];
		EVP_PKEY *group = named->file ? tls_file_dh_parameters(named->file) : NULL;
		const char *reason;

		ERR_clear_error();
		if (!group)
			continue;
		if (SSL_CTX_set0_tmp_dh_pkey(ctx, group) == 1) {
			SSL_CTX_set_dh_auto(ctx, 0);
			return;
		}
		EVP_PKEY_free(group);
		reason = ERR_reason_error_string(ERR_peek_last_error());
		tls_fault_tell(to, TLS_TROUBLE_WARNING, "cert",
			       "OpenSSL's own DH group is used, and not that of %.200s: %s",
			       named->path, reason ? reason : "it cannot be used");
	}
}

/* --- all of it -------------------------------------------------------------------------------- */

/* Stock takes the last pair only: what is wrong with an earlier one does not keep it from that. */
static void tell_mildly(void *arg, enum tls_trouble trouble, const char *option, const char *why)
{
	const struct tls_fault_to *to = arg;

	to->told(to->arg, trouble == TLS_TROUBLE_ERROR ? TLS_TROUBLE_WARNING : trouble, option,
		 why);
}

static bool use_pairs(SSL_CTX *ctx, const struct tls_settings *s, const struct tls_fault_to *to)
{
	struct tls_fault_to as_given = *to, mild = {tell_mildly, &as_given};
	struct pairs p;
	bool ok;

	if (!open_pairs(&p, s))
		return tls_fault_refuse(to, NULL, "Out of memory", s->service);
	for (size_t i = 0; i + 1 < s->cert.count; i++)
		use_pair(ctx, &p, s->cert.item[i], &mild);
	ok = use_pair(ctx, &p, s->cert.item[s->cert.count - 1], to);
	if (ok && !s->client && has_dh(ctx))
		use_dh_parameters(ctx, &p, to);
	close_pairs(&p);
	return ok;
}

bool tls_credentials_use(SSL_CTX *ctx, const struct tls_settings *s, const struct tls_fault_to *to)
{
	bool some = s->cert.count != 0;
	/* Most servers ask clients for nothing. */
	bool ok = some || s->psk_secrets || s->client;

	ok = (!some || use_pairs(ctx, s, to)) && ok;
	return tls_psk_use(ctx, s, to) && ok;
}

struct ssl_ctx_st *tls_credentials_read(const struct ssl_ctx_st *like, const struct tls_settings *s,
					const struct tls_fault_to *to)
{
	SSL_CTX *ctx = SSL_CTX_new(s->client ? TLS_client_method() : TLS_server_method());
	struct pairs p = {0};
	bool ok = ctx && open_pairs(&p, s);

	if (!ok)
		tls_fault_refuse(to, NULL, "Out of memory", s->service);
	else
		SSL_CTX_set_security_level(ctx, SSL_CTX_get_security_level(like));
	for (size_t i = 0; ok && i < s->cert.count; i++)
		ok = use_pair(ctx, &p, s->cert.item[i], to);
	close_pairs(&p);
	if (ok)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}
