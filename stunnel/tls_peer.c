/* SPDX-License-Identifier: ISC */
#include "tls_peer.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

#define SUBJECT_MAX 512 /* bytes of a name in the log */

/* C=PL, O=Example, CN=name: as stock does, but with what is not ASCII escaped. */
#define LOG_NAME (XN_FLAG_ONELINE & ~XN_FLAG_SPC_EQ)

/* --- judging the client's certificates -------------------------------------------------------- */

static void say(const struct tls *tls, int level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void say(const struct tls *tls, int level, const char *format, ...)
{
	char text[SUBJECT_MAX + 256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	tls->calls->say(tls->owner, level, text);
}

/* "WHAT at depth=N: SUBJECT". */
static void say_certificate(const struct tls *tls, int level, const char *what,
			    X509_STORE_CTX *store)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *subject = NULL;
	long len = 0;

	if (bio &&
	    X509_NAME_print_ex(bio, X509_get_subject_name(X509_STORE_CTX_get_current_cert(store)),
			       0, LOG_NAME) >= 0)
		len = BIO_get_mem_data(bio, &subject);
	say(tls, level, "%s at depth=%d: %.*s", what, X509_STORE_CTX_get_error_depth(store),
	    len < SUBJECT_MAX ? (int)len : SUBJECT_MAX, len > 0 ? subject : "");
	BIO_free(bio);
}

/* Whether one of the trusted certificates has the name and the key of this one. */
static bool is_pinned(X509_STORE_CTX *store, X509 *leaf)
{
	STACK_OF(X509) *found = X509_STORE_CTX_get1_certs(store, X509_get_subject_name(leaf));
	EVP_PKEY *key = X509_get0_pubkey(leaf);
	bool pinned = false;

	for (int i = 0; key && i < sk_X509_num(found); i++) {
		EVP_PKEY *other = X509_get0_pubkey(sk_X509_value(found, i));

		if (other && EVP_PKEY_eq(key, other) == 1)
			pinned = true;
	}
	sk_X509_pop_free(found, X509_free);
	return pinned;
}

static bool host_matches(const struct tls *tls, X509 *leaf, const char *name)
{
	char *pattern = NULL;
	bool ok = X509_check_host(leaf, name, 0, 0, &pattern) == 1;

	if (ok)
		say(tls, LOG_INFO, "CERT: Host name \"%s\" matched with \"%s\"", name,
		    pattern ? pattern : "");
	OPENSSL_free(pattern);
	return ok;
}

static bool is_for_checked_name(const struct tls *tls, const struct tls_verify *v, X509 *leaf)
{
	if (v->host.count + v->email.count + v->ip.count == 0) {
		say(tls, LOG_INFO, "CERT: No subject checks configured");
		return true;
	}
	for (size_t i = 0; i < v->host.count; i++)
		if (host_matches(tls, leaf, v->host.item[i]))
			return true;
	for (size_t i = 0; i < v->email.count; i++) {
		if (X509_check_email(leaf, v->email.item[i], 0, 0) != 1)
			continue;
		say(tls, LOG_INFO, "CERT: Email address \"%s\" matched", v->email.item[i]);
		return true;
	}
	for (size_t i = 0; i < v->ip.count; i++) {
		if (X509_check_ip_asc(leaf, v->ip.item[i], 0) != 1)
			continue;
		say(tls, LOG_INFO, "CERT: IP address \"%s\" matched", v->ip.item[i]);
		return true;
	}
	say(tls, LOG_WARNING, "CERT: Subject checks failed");
	return false;
}

/*
 * Who trusts the leaf itself asks for no issuer; all else that is wrong with the leaf, such as its
 * time, still counts.
 */
static bool pin_makes_up_for(int depth, int error)
{
	return depth > 0 || error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
	       error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
	       error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
}

/* What OpenSSL found nothing wrong with, once for each certificate and the leaf last. */
static bool is_acceptable(const struct tls *tls, const struct tls_verify *v, X509_STORE_CTX *store)
{
	X509 *cert = X509_STORE_CTX_get_current_cert(store);

	if (X509_STORE_CTX_get_error_depth(store) > 0)
		return true;
	if (v->bits & TLS_VERIFY_PEER) {
		if (!is_pinned(store, cert)) {
			say(tls, LOG_WARNING, "CERT: Certificate not found in local repository");
			X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED);
			return false;
		}
		say(tls, LOG_INFO, "CERT: Locally installed certificate matched");
	}
	/* No error is set, so that the client gets the same alert as from stock: internal_error. */
	return is_for_checked_name(tls, v, cert);
}

int tls_peer_verify(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	const struct tls *tls = SSL_get_app_data(ssl);
	const struct tls_verify *v = tls_ctx_verify(ssl);
	int depth = X509_STORE_CTX_get_error_depth(store), error = X509_STORE_CTX_get_error(store);

	if (!(v->bits & (TLS_VERIFY_CHAIN | TLS_VERIFY_PEER)))
		return 1; /* the error stays, for client_verify */
	if (!ok && !(v->bits & TLS_VERIFY_CHAIN) && pin_makes_up_for(depth, error)) {
		X509_STORE_CTX_set_error(store, X509_V_OK);
		return 1;
	}
	if (!ok)
		say(tls, LOG_WARNING, "CERT: Pre-verification error: %s",
		    X509_verify_cert_error_string(error));
	if (!ok || !is_acceptable(tls, v, store)) {
		say_certificate(tls, LOG_WARNING, "Rejected by CERT", store);
		return 0;
	}
	say_certificate(tls, depth == 0 ? LOG_NOTICE : LOG_INFO, "Certificate accepted", store);
	return 1;
}

/* --- texts on the client's certificate -------------------------------------------------------- */

struct tls_peer {
	struct facts_cert cert;
	struct span verify;
	char text[]; /* all of them, one behind the other */
};

static bool is_verified(const SSL *ssl)
{
	return tls_ctx_verify(ssl)->bits & (TLS_VERIFY_CHAIN | TLS_VERIFY_PEER) &&
	       SSL_get_verify_result(ssl) == X509_V_OK;
}

/* A Byte Sequence of RFC 8941 3.3.5, as RFC 9440 2.1 wants it. */
static bool put_byte_sequence(BIO *bio, X509 *cert)
{
	unsigned char *der = NULL, *base64;
	int len = i2d_X509(cert, &der), n;
	bool ok;

	if (len < 0)
		return false;
	base64 = malloc(((size_t)len + 2) / 3 * 4 + 1);
	n = base64 ? EVP_EncodeBlock(base64, der, len) : 0;
	ok = base64 && BIO_write(bio, ":", 1) == 1 && BIO_write(bio, base64, n) == n &&
	     BIO_write(bio, ":", 1) == 1;
	free(base64);
	OPENSSL_free(der);
	return ok;
}

/* RFC 4514's form, where all that is not printable ASCII is escaped. */
static bool put_name(BIO *bio, const X509_NAME *name)
{
	return X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0;
}

static bool put_subject(BIO *bio, const SSL *ssl, X509 *cert)
{
	(void)ssl;
	return put_name(bio, X509_get_subject_name(cert));
}

static bool put_issuer(BIO *bio, const SSL *ssl, X509 *cert)
{
	(void)ssl;
	return put_name(bio, X509_get_issuer_name(cert));
}

static bool put_serial(BIO *bio, const SSL *ssl, X509 *cert)
{
	(void)ssl;
	return i2a_ASN1_INTEGER(bio, X509_get0_serialNumber(cert)) > 0;
}

static bool put_sha256(BIO *bio, const SSL *ssl, X509 *cert)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len;

	(void)ssl;
	if (X509_digest(cert, EVP_sha256(), digest, &len) != 1)
		return false;
	for (unsigned i = 0; i < len; i++)
		if (BIO_printf(bio, "%02x", digest[i]) != 2)
			return false;
	return true;
}

static bool put_verify(BIO *bio, const SSL *ssl, X509 *cert)
{
	long result = SSL_get_verify_result(ssl);

	(void)cert;
	if (is_verified(ssl))
		return BIO_puts(bio, "SUCCESS") > 0;
	return BIO_printf(bio, "FAILED:%s",
			  result == X509_V_OK ? "not verified"
					      : X509_verify_cert_error_string(result)) > 0;
}

static bool put_pem(BIO *bio, const SSL *ssl, X509 *cert)
{
	(void)ssl;
	return PEM_write_bio_X509(bio, cert) == 1;
}

static bool put_rfc9440(BIO *bio, const SSL *ssl, X509 *cert)
{
	(void)ssl;
	return put_byte_sequence(bio, cert);
}

/* RFC 9440 2.3: what is above the leaf, in order; the trust anchor may be left out. */
static bool put_chain(BIO *bio, const SSL *ssl, X509 *cert)
{
	bool built = tls_ctx_verify(ssl)->bits & TLS_VERIFY_CHAIN && is_verified(ssl);
	STACK_OF(X509) *chain = built ? SSL_get0_verified_chain(ssl) : SSL_get_peer_cert_chain(ssl);
	int first = built ? 1 : 0, count = sk_X509_num(chain);

	(void)cert;
	if (count > first && X509_self_signed(sk_X509_value(chain, count - 1), 0) == 1)
		count--;
	for (int i = first; i < count; i++)
		if (BIO_puts(bio, i > first ? ", " : "") < 0 ||
		    !put_byte_sequence(bio, sk_X509_value(chain, i)))
			return false;
	return true;
}

/* The last one, as in haproxy; none is no failure. */
static bool put_cn(BIO *bio, const SSL *ssl, X509 *cert)
{
	X509_NAME *name = X509_get_subject_name(cert);
	int at = -1, last = -1;
	unsigned char *utf8;
	int len;
	bool ok;

	(void)ssl;
	while ((at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0)
		last = at;
	if (last < 0)
		return true;
	len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
	if (len < 0)
		return false;
	ok = len == 0 || BIO_write(bio, utf8, len) == len;
	OPENSSL_free(utf8);
	return ok;
}

static bool put_der(BIO *bio, const SSL *ssl, X509 *cert)
{
	(void)ssl;
	return i2d_X509_bio(bio, cert) == 1;
}

#define CERT(field) offsetof(struct tls_peer, cert.field)

static const struct text {
	unsigned use; /* enum tls_cert_text */
	const char *name;
	size_t offset; /* of a span in struct tls_peer */
	size_t max;
	bool (*put)(BIO *bio, const SSL *ssl, X509 *cert);
} texts[] = {
	{TLS_CERT_NAMES, "subject", CERT(subject), FACTS_DN_MAX, put_subject},
	{TLS_CERT_NAMES, "issuer", CERT(issuer), FACTS_DN_MAX, put_issuer},
	{TLS_CERT_NAMES, "serial number", CERT(serial), FACTS_SERIAL_MAX, put_serial},
	{TLS_CERT_NAMES, "digest", CERT(sha256), 64, put_sha256},
	{TLS_CERT_NAMES, "verification result", offsetof(struct tls_peer, verify), FACTS_VERIFY_MAX,
	 put_verify},
	{TLS_CERT_PEM, "PEM form", CERT(pem), FACTS_PEM_MAX, put_pem},
	{TLS_CERT_RFC9440, "base64 form", CERT(rfc9440), FACTS_PEM_MAX, put_rfc9440},
	{TLS_CERT_CN, "common name", CERT(cn), FACTS_CN_MAX, put_cn},
	{TLS_CERT_DER, "DER form", CERT(der), FACTS_DER_MAX, put_der},
	{TLS_CERT_CHAIN, "chain", CERT(chain), FACTS_CHAIN_MAX, put_chain},
};

#define TEXTS (sizeof texts / sizeof texts[0])

/* A text that was cut would be another one, which somebody may trust. */
static bool write_text(const struct text *t, BIO *bio, const SSL *ssl, X509 *cert, char *why)
{
	size_t before = BIO_ctrl_pending(bio), len;

	if (!t->put(bio, ssl, cert)) {
		snprintf(why, TLS_WHY_MAX, "The client certificate's %s cannot be written",
			 t->name);
		return false;
	}
	len = BIO_ctrl_pending(bio) - before;
	if (len <= t->max)
		return true;
	snprintf(why, TLS_WHY_MAX,
		 "The client certificate's %s has %zu bytes: at most %zu can be passed on", t->name,
		 len, t->max);
	return false;
}

/* All texts in one block; `end` tells where each of them ends in bio. */
static struct tls_peer *assemble(BIO *bio, const size_t end[static TEXTS])
{
	char *written;
	size_t len = (size_t)BIO_get_mem_data(bio, &written), at = 0;
	struct tls_peer *peer = calloc(1, sizeof *peer + len);

	if (!peer)
		return NULL;
	if (len != 0)
		memcpy(peer->text, written, len);
	for (size_t i = 0; i < TEXTS; i++) {
		struct span *span = (struct span *)(void *)((char *)peer + texts[i].offset);

		*span = span_of(peer->text + at, end[i] - at);
		at = end[i];
	}
	return peer;
}

static struct tls_peer *describe_cert(const SSL *ssl, X509 *cert, unsigned uses, char *why)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct tls_peer *peer = NULL;
	size_t end[TEXTS];
	bool ok = bio != NULL;

	snprintf(why, TLS_WHY_MAX, "Out of memory");
	for (size_t i = 0; ok && i < TEXTS; i++) {
		ok = !(texts[i].use & uses) || write_text(&texts[i], bio, ssl, cert, why);
		end[i] = BIO_ctrl_pending(bio);
	}
	if (ok)
		peer = assemble(bio, end);
	BIO_free(bio);
	ERR_clear_error();
	return peer;
}

/* Never 0, which says that it was verified. */
static uint32_t not_verified(const SSL *ssl)
{
	long result = SSL_get_verify_result(ssl);

	return result > 0 ? (uint32_t)result : X509_V_ERR_UNSPECIFIED;
}

static bool cert_facts(struct tls *tls, unsigned uses, struct facts *facts, char *why)
{
	X509 *cert = SSL_get0_peer_certificate(tls->ssl);

	facts->client_verify = SPAN("NONE");
	facts->cert_in_session = cert != NULL;
	facts->cert_on_connection = cert && !facts->session_reused;
	facts->verify_code = is_verified(tls->ssl) ? 0 : not_verified(tls->ssl);
	if (!cert && SSL_get_verify_mode(tls->ssl) & SSL_VERIFY_PEER)
		say(tls, LOG_INFO, "No peer certificate received");
	if (!cert || uses == 0)
		return true;
	tls->peer = describe_cert(tls->ssl, cert, uses, why);
	if (!tls->peer)
		return false;
	facts->client_cert = &tls->peer->cert;
	facts->client_verify = tls->peer->verify;
	return true;
}

/* --- the connection --------------------------------------------------------------------------- */

static struct span bounded(const char *text, size_t max)
{
	size_t len = text ? strlen(text) : 0;

	return span_of(text, len <= max ? len : max);
}

bool tls_facts(struct tls *tls, unsigned cert_texts, struct facts *facts,
	       char why[static TLS_WHY_MAX])
{
	const unsigned char *alpn;
	unsigned len;

	SSL_get0_alpn_selected(tls->ssl, &alpn, &len);
	facts->alpn = span_of((const char *)alpn, len);
	facts->sni = bounded(tls->sni, FACTS_NAME_MAX);
	facts->tls_version = bounded(SSL_get_version(tls->ssl), FACTS_TLS_MAX);
	facts->tls_cipher = bounded(SSL_get_cipher_name(tls->ssl), FACTS_TLS_MAX);
	facts->session_reused = SSL_session_reused(tls->ssl) == 1;
	return cert_facts(tls, cert_texts, facts, why);
}

/* --- what PROXY headers tell of our side ------------------------------------------------------ */

/* RFC 8446 4.2.3: the name of a scheme by OpenSSL's two halves of it. */
static const struct scheme {
	int type, digest; /* NIDs */
	const char *name;
} schemes[] = {
	{EVP_PKEY_RSA, NID_sha1, "rsa_pkcs1_sha1"},
	{EVP_PKEY_RSA, NID_sha256, "rsa_pkcs1_sha256"},
	{EVP_PKEY_RSA, NID_sha384, "rsa_pkcs1_sha384"},
	{EVP_PKEY_RSA, NID_sha512, "rsa_pkcs1_sha512"},
	{EVP_PKEY_RSA_PSS, NID_sha256, "rsa_pss_rsae_sha256"},
	{EVP_PKEY_RSA_PSS, NID_sha384, "rsa_pss_rsae_sha384"},
	{EVP_PKEY_RSA_PSS, NID_sha512, "rsa_pss_rsae_sha512"},
	{EVP_PKEY_EC, NID_sha1, "ecdsa_sha1"},
	{EVP_PKEY_EC, NID_sha256, "ecdsa_secp256r1_sha256"},
	{EVP_PKEY_EC, NID_sha384, "ecdsa_secp384r1_sha384"},
	{EVP_PKEY_EC, NID_sha512, "ecdsa_secp521r1_sha512"},
	{EVP_PKEY_ED25519, NID_undef, "ed25519"},
	{EVP_PKEY_ED448, NID_undef, "ed448"},
};

/* None where nothing was signed: in a resumed session, and where RSA has moved the key. OpenSSL has
   chosen one there, too. */
static struct span signature_scheme(const SSL *ssl)
{
	int type, digest = NID_undef;

	if (SSL_CIPHER_get_kx_nid(SSL_get_current_cipher(ssl)) == NID_kx_rsa ||
	    SSL_get_signature_type_nid(ssl, &type) != 1)
		return span_of(NULL, 0);
	SSL_get_signature_nid((SSL *)(uintptr_t)ssl, &digest);
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
		if (schemes[i].type == type &&
		    (schemes[i].digest == digest || schemes[i].digest == NID_undef))
			return bounded(schemes[i].name, FACTS_TLS_MAX);
	return span_of(NULL, 0);
}

/* As haproxy names it: RSA2048, EC256. */
static struct span key_algorithm(struct tls *tls, X509 *cert)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	const char *kind = !key					  ? NULL
			   : EVP_PKEY_is_a(key, "RSA")		  ? "RSA"
			   : EVP_PKEY_is_a(key, "RSA-PSS")	  ? "RSA-PSS"
			   : EVP_PKEY_is_a(key, "EC")		  ? "EC"
			   : EVP_PKEY_get0_type_name(key) != NULL ? EVP_PKEY_get0_type_name(key)
								  : NULL;

	if (!kind)
		return span_of(NULL, 0);
	snprintf(tls->key_alg, sizeof tls->key_alg, "%.20s%d", kind, EVP_PKEY_get_bits(key));
	return bounded(tls->key_alg, FACTS_TLS_MAX);
}

void tls_own_facts(struct tls *tls, struct facts *facts)
{
	X509 *cert = SSL_get_certificate(tls->ssl);
	int group = (int)SSL_get_negotiated_group(tls->ssl);

	if (cert) {
		facts->sig_alg = bounded(OBJ_nid2sn(X509_get_signature_nid(cert)), FACTS_TLS_MAX);
		facts->key_alg = key_algorithm(tls, cert);
	}
	facts->group = bounded(SSL_group_to_name(tls->ssl, group), FACTS_TLS_MAX);
	facts->sig_scheme = signature_scheme(tls->ssl);
	ERR_clear_error();
}

/* --- for the log ------------------------------------------------------------------------------ */

void tls_describe(const struct tls *tls, char text[static 128])
{
	snprintf(text, 128, "%s ciphersuite: %s (%d-bit encryption)", SSL_get_version(tls->ssl),
		 SSL_get_cipher_name(tls->ssl), SSL_get_cipher_bits(tls->ssl, NULL));
}
