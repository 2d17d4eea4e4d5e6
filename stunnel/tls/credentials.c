/* SPDX-License-Identifier: ISC */
#include "tls/credentials.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
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

static bool use_certificates(SSL_CTX *ctx, struct tls_file *file, const char *path,
			     const struct tls_fault_to *to)
{
	char why[TLS_WHY_MAX];
	STACK_OF(X509) *certs = tls_file_certs(file, why);

	if (!certs)
		return tls_fault_refuse_file(to, "cert", "Failed to load certificate from", path,
					     why);
	ERR_clear_error();
	if (SSL_CTX_use_certificate(ctx, sk_X509_value(certs, 0)) != 1)
		return refuse_weak(ctx, to, "Failed to use certificate from", path);
	for (int i = 1; i < sk_X509_num(certs); i++)
		if (SSL_CTX_add1_chain_cert(ctx, sk_X509_value(certs, i)) != 1)
			return refuse_weak(ctx, to, "Failed to use intermediate certificate from",
					   path);
	return true;
}

/* The usual cause of a mismatch is told: a file whose chain does not begin with the leaf. */
static bool refuse_key(const struct tls_fault_to *to, const struct tls_settings *s,
		       STACK_OF(X509) * certs, EVP_PKEY *key)
{
	static const char what[] = "Private key does not match the certificate";
	char why[TLS_WHY_MAX];

	for (int i = 1; i < sk_X509_num(certs); i++) {
		if (X509_check_private_key(sk_X509_value(certs, i), key) != 1)
			continue;
		snprintf(why, sizeof why,
			 "it is the key of certificate %d in %.200s: its own certificate has to "
			 "be the first",
			 i + 1, s->cert);
		return tls_fault_refuse_file(to, "cert", what, s->key ? s->key : s->cert, why);
	}
	return tls_fault_refuse(to, s->key ? "key" : "cert", what, s->key ? s->key : s->cert);
}

static bool use_key(SSL_CTX *ctx, struct tls_file *file, struct tls_file *cert_file,
		    const struct tls_settings *s, const struct tls_fault_to *to)
{
	char why[TLS_WHY_MAX];
	EVP_PKEY *key = tls_file_key(file, why);

	if (!key)
		return tls_fault_refuse_file(to, s->key ? "key" : "cert",
					     "Failed to load private key from",
					     s->key ? s->key : s->cert, why);
	ERR_clear_error();
	if (X509_check_private_key(SSL_CTX_get0_certificate(ctx), key) != 1)
		return refuse_key(to, s, tls_file_certs(cert_file, why), key);
	return SSL_CTX_use_PrivateKey(ctx, key) == 1 ||
	       tls_fault_refuse(to, s->key ? "key" : "cert", "Failed to use private key from",
				s->key ? s->key : s->cert);
}

/* A file with both certificate and key is read once: it may be a pipe, or have a pass phrase. */
static bool use_pair(SSL_CTX *ctx, const struct tls_settings *s, const struct tls_fault_to *to)
{
	bool apart = s->key && s->cert && strcmp(s->key, s->cert) != 0;
	char why[TLS_WHY_MAX];
	struct tls_file *cert, *key;
	bool ok;

	cert = key = tls_file_open(s->cert, why);
	if (!cert)
		return tls_fault_refuse_file(to, "cert", "Failed to load certificate from", s->cert,
					     why);
	ok = use_certificates(ctx, cert, s->cert, to);
	if (ok && apart) {
		key = tls_file_open(s->key, why);
		ok = key || tls_fault_refuse_file(to, "key", "Failed to load private key from",
						  s->key, why);
	}
	ok = ok && use_key(ctx, key, cert, s, to);
	if (key != cert)
		tls_file_close(key);
	tls_file_close(cert);
	return ok;
}

bool tls_credentials_use(SSL_CTX *ctx, const struct tls_settings *s, const struct tls_fault_to *to)
{
	bool ok = s->cert || s->psk_secrets || s->client; /* most servers ask clients for nothing */

	ok = (!s->cert || use_pair(ctx, s, to)) && ok;
	return tls_psk_use(ctx, s, to) && ok;
}
