/* SPDX-License-Identifier: ISC */
#include "tls/verify.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>

#include "sys/log.h"
#include "tls/inquiry.h"

#define SUBJECT_MAX 512 /* bytes of a name in the log */

/* "C=PL, O=Example, CN=name" as in stock's log, but escaped where it is not ASCII. */
#define LOG_NAME (XN_FLAG_ONELINE & ~XN_FLAG_SPC_EQ)

static void say(const struct tls_judge *judge, int level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void say(const struct tls_judge *judge, int level, const char *format, ...)
{
	char text[SUBJECT_MAX + 256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	judge->say(judge->owner, level, text);
}

void tls_verify_name(const X509_NAME *name, char *text, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *printed = NULL;
	long len = 0;

	if (bio && X509_NAME_print_ex(bio, name, 0, LOG_NAME) >= 0)
		len = BIO_get_mem_data(bio, &printed);
	snprintf(text, size, "%.*s", (int)len, len > 0 ? printed : "");
	BIO_free(bio);
}

/* Logs "WHAT at depth=N: SUBJECT". */
static void say_subject(const struct tls_judge *judge, int level, const char *what,
			const X509 *cert, int depth)
{
	char subject[SUBJECT_MAX + 1];

	tls_verify_name(X509_get_subject_name(cert), subject, sizeof subject);
	say(judge, level, "%s at depth=%d: %s", what, depth, subject);
}

/* Likewise of the certificate that is being verified. */
static void say_certificate(const struct tls_judge *judge, int level, const char *what,
			    X509_STORE_CTX *store)
{
	say_subject(judge, level, what, X509_STORE_CTX_get_current_cert(store),
		    X509_STORE_CTX_get_error_depth(store));
}

/* Whether a trusted certificate has the leaf's subject and key. */
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

static bool host_matches(const struct tls_judge *judge, X509 *leaf, const char *name)
{
	char *pattern = NULL;
	bool ok = X509_check_host(leaf, name, 0, 0, &pattern) == 1;

	if (ok)
		say(judge, LOG_INFO, "CERT: Host name \"%s\" matched with \"%s\"", name,
		    pattern ? pattern : "");
	OPENSSL_free(pattern);
	return ok;
}

static bool is_for_checked_name(const struct tls_judge *judge, X509 *leaf)
{
	const struct tls_verify *v = judge->verify;

	if (v->host.count + v->email.count + v->ip.count == 0) {
		say(judge, LOG_INFO, "CERT: No subject checks configured");
		return true;
	}
	for (size_t i = 0; i < v->host.count; i++)
		if (host_matches(judge, leaf, v->host.item[i]))
			return true;
	for (size_t i = 0; i < v->email.count; i++) {
		if (X509_check_email(leaf, v->email.item[i], 0, 0) != 1)
			continue;
		say(judge, LOG_INFO, "CERT: Email address \"%s\" matched", v->email.item[i]);
		return true;
	}
	for (size_t i = 0; i < v->ip.count; i++) {
		if (X509_check_ip_asc(leaf, v->ip.item[i], 0) != 1)
			continue;
		say(judge, LOG_INFO, "CERT: IP address \"%s\" matched", v->ip.item[i]);
		return true;
	}
	say(judge, LOG_WARNING, "CERT: Subject checks failed");
	return false;
}

/* With verifyPeer the leaf itself is trusted: errors of its issuers do not count, others do. */
static bool pin_makes_up_for(int depth, int error)
{
	return depth > 0 || error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
	       error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
	       error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
}

/* Decides on a certificate that OpenSSL accepts; OpenSSL calls once for each, the leaf last. */
static bool is_acceptable(const struct tls_judge *judge, X509_STORE_CTX *store)
{
	X509 *cert = X509_STORE_CTX_get_current_cert(store);

	if (X509_STORE_CTX_get_error_depth(store) > 0)
		return true;
	/* No error is set, so that the peer gets the alert that stock sends: internal_error. */
	if (!is_for_checked_name(judge, cert))
		return false;
	if (!(judge->verify->bits & TLS_VERIFY_PEER))
		return true;
	if (!is_pinned(store, cert)) {
		say(judge, LOG_WARNING, "CERT: Certificate not found in local repository");
		X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED);
		return false;
	}
	say(judge, LOG_INFO, "CERT: Locally installed certificate matched");
	return true;
}

/* Else the error is set that makes OpenSSL send the alert that stock's peer gets. */
static bool is_good(const struct tls_judge *judge, const struct tls_ocsp_answer *answer,
		    X509_STORE_CTX *store)
{
	switch (answer->verdict) {
	case TLS_OCSP_GOOD:
		say(judge, LOG_NOTICE, "OCSP: Accepted (good)");
		return true;
	case TLS_OCSP_REVOKED:
		say(judge, LOG_ERR, "OCSP: Rejected (revoked)");
		X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REVOKED);
		return false;
	case TLS_OCSP_INCONCLUSIVE:
		break;
	}
	say(judge, LOG_WARNING, "OCSP: No conclusive answer: %s", answer->why);
	if (!(judge->verify->bits & TLS_VERIFY_ANSWER)) {
		say(judge, LOG_NOTICE, "OCSP: Accepted (OCSPrequire = no)");
		return true;
	}
	say(judge, LOG_ERR, "OCSP: Rejected (OCSPrequire = yes)");
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return false;
}

/* Asks about the whole chain, when the leaf is being verified. */
static bool is_not_revoked(const struct tls_judge *judge, X509_STORE_CTX *store)
{
	const STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
	const struct tls_ocsp_answer *answer =
		tls_inquiry_make(judge->inquiry, judge->owner, chain);

	if (is_good(judge, answer, store))
		return true;
	say_subject(judge, LOG_WARNING, "Rejected by OCSP", sk_X509_value(chain, answer->depth),
		    answer->depth);
	return false;
}

static int judge_certificate(int ok, const struct tls_judge *judge, X509_STORE_CTX *store)
{
	unsigned bits = judge->verify->bits;
	int depth = X509_STORE_CTX_get_error_depth(store), error = X509_STORE_CTX_get_error(store);

	if (!(bits & (TLS_VERIFY_CHAIN | TLS_VERIFY_PEER)))
		return 1; /* SSL_get_verify_result() keeps the error, for client_verify */
	if (!ok && !(bits & TLS_VERIFY_CHAIN) && pin_makes_up_for(depth, error)) {
		say(judge, LOG_INFO, "CERT: Pre-verification error ignored: %s",
		    X509_verify_cert_error_string(error));
		X509_STORE_CTX_set_error(store, X509_V_OK);
		ok = 1;
	}
	if (!ok)
		say(judge, LOG_WARNING, "CERT: Pre-verification error: %s",
		    X509_verify_cert_error_string(error));
	if (!ok || !is_acceptable(judge, store)) {
		say_certificate(judge, LOG_WARNING, "Rejected by CERT", store);
		return 0;
	}
	if (depth == 0 && bits & TLS_VERIFY_ASK && !is_not_revoked(judge, store))
		return 0;
	say_certificate(judge, depth == 0 ? LOG_NOTICE : LOG_INFO, "Certificate accepted", store);
	return 1;
}

/*
 * The handshake goes on, but the first fault stays the result, also where OpenSSL accepts the rest
 * of the chain: sessions keep it, so that a resumed one is as little authenticated.
 */
static int note_fault(int accepted, struct tls_judge *judge, X509_STORE_CTX *store)
{
	int error = X509_STORE_CTX_get_error(store);

	if (!accepted && judge->fault == 0)
		judge->fault = error != X509_V_OK ? error : X509_V_ERR_APPLICATION_VERIFICATION;
	if (judge->fault != 0)
		X509_STORE_CTX_set_error(store, judge->fault);
	return 1;
}

int tls_verify_certificate(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_judge *judge = SSL_get_app_data(ssl);
	int accepted = judge->fault == 0 ? judge_certificate(ok, judge, store) : 0;

	if (judge->verify->bits & TLS_VERIFY_REDIRECT)
		return note_fault(accepted, judge, store);
	return accepted;
}
