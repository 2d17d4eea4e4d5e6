/* SPDX-License-Identifier: ISC */
#include "tls/facts.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- texts on the client's certificate -------------------------------------------------------- */

struct tls_cert_block {
	struct facts_cert cert;
	struct span verify;
	char text[]; /* that the spans of cert and verify point into */
};

/* The connection and client certificate that the texts are made of. */
struct source {
	const SSL *ssl;
	X509 *cert;
	struct tls_judging judging;
};

static bool is_of_issuers(long result)
{
	return result == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
	       result == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
	       result == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
}

static bool is_verified(const struct source *from)
{
	long result = SSL_get_verify_result(from->ssl);

	return from->judging.judged &&
	       (result == X509_V_OK || (from->judging.pinned && is_of_issuers(result)));
}

/* Writes the DER as a Byte Sequence (RFC 8941 3.3.5), the encoding that RFC 9440 2.1 uses. */
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

/* RFC 4514's string form; escaping all but printable ASCII keeps it safe in a header field. */
static bool put_name(BIO *bio, const X509_NAME *name)
{
	return X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0;
}

static bool put_subject(BIO *bio, const struct source *from)
{
	return put_name(bio, X509_get_subject_name(from->cert));
}

static bool put_issuer(BIO *bio, const struct source *from)
{
	return put_name(bio, X509_get_issuer_name(from->cert));
}

static bool put_serial(BIO *bio, const struct source *from)
{
	return i2a_ASN1_INTEGER(bio, X509_get0_serialNumber(from->cert)) > 0;
}

static bool put_sha256(BIO *bio, const struct source *from)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len;

	if (X509_digest(from->cert, EVP_sha256(), digest, &len) != 1)
		return false;
	for (unsigned i = 0; i < len; i++)
		if (BIO_printf(bio, "%02x", digest[i]) != 2)
			return false;
	return true;
}

static bool put_verify(BIO *bio, const struct source *from)
{
	long result = SSL_get_verify_result(from->ssl);

	if (is_verified(from))
		return BIO_puts(bio, "SUCCESS") > 0;
	return BIO_printf(bio, "FAILED:%s",
			  result == X509_V_OK ? "not verified"
					      : X509_verify_cert_error_string(result)) > 0;
}

static bool put_pem(BIO *bio, const struct source *from)
{
	return PEM_write_bio_X509(bio, from->cert) == 1;
}

static bool put_rfc9440(BIO *bio, const struct source *from)
{
	return put_byte_sequence(bio, from->cert);
}

/* RFC 9440 2.3: the certificates above the leaf, in order, without the trust anchor. */
static bool put_chain(BIO *bio, const struct source *from)
{
	STACK_OF(X509) *verified = SSL_get0_verified_chain(from->ssl);
	/* A resumed session, of which stock keeps some, has what the client had sent. */
	bool built = verified && from->judging.leads_to_ca && is_verified(from);
	STACK_OF(X509) *chain = built ? verified : SSL_get_peer_cert_chain(from->ssl);
	int first = built ? 1 : 0, count = sk_X509_num(chain);

	if (count > first) {
		X509 *top = sk_X509_value(chain, count - 1);

		if (X509_check_issued(top, top) == X509_V_OK)
			count--;
	}
	for (int i = first; i < count; i++)
		if (BIO_puts(bio, i > first ? ", " : "") < 0 ||
		    !put_byte_sequence(bio, sk_X509_value(chain, i)))
			return false;
	return true;
}

/* Of several common names the last, as haproxy's PROXY header has it; nothing if there is none. */
static bool put_cn(BIO *bio, const struct source *from)
{
	X509_NAME *name = X509_get_subject_name(from->cert);
	int at = -1, last = -1;
	unsigned char *utf8;
	int len;
	bool ok;

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

static bool put_der(BIO *bio, const struct source *from)
{
	return i2d_X509_bio(bio, from->cert) == 1;
}

#define CERT(field) offsetof(struct tls_cert_block, cert.field)

static const struct text {
	unsigned use; /* enum facts_cert_text */
	const char *name;
	size_t offset; /* of the text's span in struct tls_cert_block */
	size_t max;
	bool (*put)(BIO *bio, const struct source *from);
} texts[] = {
	{FACTS_CERT_NAMES, "subject", CERT(subject), FACTS_DN_MAX, put_subject},
	{FACTS_CERT_NAMES, "issuer", CERT(issuer), FACTS_DN_MAX, put_issuer},
	{FACTS_CERT_NAMES, "serial number", CERT(serial), FACTS_SERIAL_MAX, put_serial},
	{FACTS_CERT_NAMES, "digest", CERT(sha256), 64, put_sha256},
	{FACTS_CERT_NAMES, "verification result", offsetof(struct tls_cert_block, verify),
	 FACTS_VERIFY_MAX, put_verify},
	{FACTS_CERT_PEM, "PEM form", CERT(pem), FACTS_PEM_MAX, put_pem},
	{FACTS_CERT_RFC9440, "base64 form", CERT(rfc9440), FACTS_PEM_MAX, put_rfc9440},
	{FACTS_CERT_CN, "common name", CERT(cn), FACTS_CN_MAX, put_cn},
	{FACTS_CERT_DER, "DER form", CERT(der), FACTS_DER_MAX, put_der},
	{FACTS_CERT_CHAIN, "chain", CERT(chain), FACTS_CHAIN_MAX, put_chain},
};

#define TEXTS (sizeof texts / sizeof texts[0])

/* Too long a text fails: cut short, a name could become another name that a backend trusts. */
static bool write_text(const struct text *t, BIO *bio, const struct source *from, char *why)
{
	size_t before = BIO_ctrl_pending(bio), len;

	if (!t->put(bio, from)) {
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

/* Copies bio's content into one block; text i ends at byte end[i]. The caller frees the block. */
static struct tls_cert_block *assemble(BIO *bio, const size_t end[static TEXTS])
{
	char *written;
	size_t len = (size_t)BIO_get_mem_data(bio, &written), at = 0;
	struct tls_cert_block *block = calloc(1, sizeof *block + len);

	if (!block)
		return NULL;
	if (len != 0)
		memcpy(block->text, written, len);
	for (size_t i = 0; i < TEXTS; i++) {
		struct span *span = (struct span *)(void *)((char *)block + texts[i].offset);

		*span = span_of(block->text + at, end[i] - at);
		at = end[i];
	}
	return block;
}

static struct tls_cert_block *describe_cert(const struct source *from, unsigned uses, char *why)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct tls_cert_block *block = NULL;
	size_t end[TEXTS];
	bool ok = bio != NULL;

	snprintf(why, TLS_WHY_MAX, "Out of memory");
	for (size_t i = 0; ok && i < TEXTS; i++) {
		ok = !(texts[i].use & uses) || write_text(&texts[i], bio, from, why);
		end[i] = BIO_ctrl_pending(bio);
	}
	if (ok)
		block = assemble(bio, end);
	BIO_free(bio);
	ERR_clear_error();
	return block;
}

/* For the PROXY header's verify field, where 0 would mean that the certificate was verified. */
static uint32_t not_verified(const SSL *ssl)
{
	long result = SSL_get_verify_result(ssl);

	return result > 0 ? (uint32_t)result : X509_V_ERR_UNSPECIFIED;
}

static bool cert_facts(const struct source *from, unsigned uses, struct facts *facts,
		       struct tls_kept *kept, char *why)
{
	facts->client_verify = SPAN("NONE");
	facts->cert_in_session = from->cert != NULL;
	facts->cert_on_connection = from->cert && !facts->session_reused;
	facts->verify_code = is_verified(from) ? 0 : not_verified(from->ssl);
	if (!from->cert || uses == 0)
		return true;
	kept->cert = describe_cert(from, uses, why);
	if (!kept->cert)
		return false;
	facts->client_cert = &kept->cert->cert;
	facts->client_verify = kept->cert->verify;
	return true;
}

void tls_facts_free(struct tls_kept *kept)
{
	free(kept->cert);
	*kept = (struct tls_kept){0};
}

/* --- the connection --------------------------------------------------------------------------- */

static struct span bounded(const char *text, size_t max)
{
	size_t len = text ? strlen(text) : 0;

	return span_of(text, len <= max ? len : max);
}

struct span tls_facts_server_name(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	return span_of(name, len <= FACTS_NAME_MAX ? len : 0);
}

/* Empty before OpenSSL 3, which first tells the group that was negotiated. */
static struct span key_group(SSL *ssl)
{
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
	return bounded(SSL_group_to_name(ssl, (int)SSL_get_negotiated_group(ssl)), FACTS_TLS_MAX);
#else
	(void)ssl;
	return span_of(NULL, 0);
#endif
}

bool tls_facts(SSL *ssl, struct tls_judging judging, unsigned uses, struct facts *facts,
	       struct tls_kept *kept, char why[static TLS_WHY_MAX])
{
	struct source from = {ssl, SSL_get_peer_certificate(ssl), judging};
	const unsigned char *alpn;
	unsigned len;
	bool ok;

	SSL_get0_alpn_selected(ssl, &alpn, &len);
	facts->alpn = span_of((const char *)alpn, len);
	facts->tls_version = bounded(SSL_get_version(ssl), FACTS_TLS_MAX);
	facts->tls_cipher = bounded(SSL_get_cipher_name(ssl), FACTS_TLS_MAX);
	facts->group = key_group(ssl);
	facts->session_reused = SSL_session_reused(ssl) == 1;
	ok = cert_facts(&from, uses, facts, kept, why);
	X509_free(from.cert);
	ERR_clear_error();
	return ok;
}

/* --- what PROXY headers tell of our side ------------------------------------------------------ */

/* Names of RFC 8446 4.2.3, by the key type and the digest that OpenSSL gives for a signature. */
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

/* Empty where the server signed nothing: in a resumed session, and with RSA key exchange, for which
   OpenSSL has chosen a scheme nevertheless. */
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

/* Names the key's type and bits as haproxy does: RSA2048, EC256. */
static struct span key_algorithm(X509 *cert, char text[static 32])
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	int id = key ? EVP_PKEY_base_id(key) : NID_undef;
	const char *kind = id == EVP_PKEY_RSA	    ? "RSA"
			   : id == EVP_PKEY_RSA_PSS ? "RSA-PSS"
			   : id == EVP_PKEY_EC	    ? "EC"
						    : OBJ_nid2sn(id);

	if (id <= NID_undef || !kind)
		return span_of(NULL, 0);
	snprintf(text, 32, "%.20s%d", kind, EVP_PKEY_bits(key));
	return bounded(text, FACTS_TLS_MAX);
}

void tls_facts_own(SSL *ssl, struct facts *facts, struct tls_kept *kept)
{
	X509 *cert = SSL_get_certificate(ssl);

	if (cert) {
		facts->sig_alg = bounded(OBJ_nid2sn(X509_get_signature_nid(cert)), FACTS_TLS_MAX);
		facts->key_alg = key_algorithm(cert, kept->key_alg);
	}
	facts->sig_scheme = signature_scheme(ssl);
	ERR_clear_error();
}
