/* SPDX-License-Identifier: ISC */
#include "tls/peer.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>

#include "sys/log.h"

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

/* --- what is told of it ----------------------------------------------------------------------- */

bool tls_peer_facts(struct tls *tls, unsigned texts, bool own, struct facts *facts,
		    char why[static TLS_WHY_MAX])
{
	unsigned bits = tls_ctx_verify(tls->ssl)->bits;
	struct tls_judging judging = {
		.judged = bits & (TLS_VERIFY_CHAIN | TLS_VERIFY_PEER),
		.leads_to_ca = bits & TLS_VERIFY_CHAIN,
	};

	facts->sni = tls_server_name(tls->sni);
	if (own)
		tls_own_facts(tls->ssl, facts, &tls->kept);
	if (!tls_facts(tls->ssl, judging, texts, facts, &tls->kept, why))
		return false;
	if (!facts->cert_in_session && SSL_get_verify_mode(tls->ssl) & SSL_VERIFY_PEER)
		say(tls, LOG_INFO, "No peer certificate received");
	return true;
}

/* --- for the log ------------------------------------------------------------------------------ */

void tls_describe(const struct tls *tls, char text[static 128])
{
	snprintf(text, 128, "%s ciphersuite: %s (%d-bit encryption)", SSL_get_version(tls->ssl),
		 SSL_get_cipher_name(tls->ssl), SSL_get_cipher_bits(tls->ssl, NULL));
}
