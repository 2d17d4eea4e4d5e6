/* SPDX-License-Identifier: ISC */
#include "tls/trial.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

#include "tls/facts.h"
#include "tls/psk.h"

#define ROUNDS_MAX 20 /* a handshake takes three at most; the limit stops an endless one */

/* The groups that common clients offer. */
#define CLIENT_GROUPS "X25519:P-256:X448:P-521:P-384"
#define GROUPS_BYTES 1024

/* The versions that OpenSSL speaks above security level 0. */
static const struct version {
	int number;
	uint64_t off; /* the SSL_OP_NO_... bit of the version */
	const char *name;
} versions[] = {
	{TLS1_2_VERSION, SSL_OP_NO_TLSv1_2, "TLSv1.2"},
	{TLS1_3_VERSION, SSL_OP_NO_TLSv1_3, "TLSv1.3"},
};

#define VERSIONS (sizeof versions / sizeof versions[0])

/* --- a client that takes everything ----------------------------------------------------------- */

static SSL_CTX *make_client(void)
{
	static const char suites[] =
		"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:"
		"TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256";
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (!ctx)
		return NULL;
	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	if (SSL_CTX_set_cipher_list(ctx, "ALL:COMPLEMENTOFALL") == 1 &&
	    SSL_CTX_set_ciphersuites(ctx, suites) == 1)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* Connects the two by a pair of memory BIOs, of which each connection owns a reference. */
static bool join(SSL *one, SSL *other)
{
	BIO *there = BIO_new(BIO_s_mem()), *back = BIO_new(BIO_s_mem());

	if (!there || !back || BIO_up_ref(there) != 1 || BIO_up_ref(back) != 1) {
		BIO_free(there);
		BIO_free(back);
		return false;
	}
	SSL_set_bio(one, back, there);
	SSL_set_bio(other, there, back);
	return true;
}

static bool step(SSL *ssl, bool *done)
{
	int rc = SSL_do_handshake(ssl);

	*done = rc == 1;
	return rc == 1 || SSL_get_error(ssl, rc) == SSL_ERROR_WANT_READ;
}

static bool shake_hands(SSL *server, SSL *client)
{
	bool server_done = false, client_done = false;

	for (int i = 0; i < ROUNDS_MAX; i++)
		if (!step(client, &client_done) || !step(server, &server_done))
			return false;
		else if (server_done && client_done)
			return true;
	return false;
}

/* Adds to list, which the client offers, those of `more` that OpenSSL knows and list lacks. */
static void offer(SSL *client, char list[static GROUPS_BYTES], const char *more)
{
	while (*more) {
		size_t had = strlen(list), len;

		more += strspn(more, ":/?*"); /* OpenSSL 3.5 groups and marks them */
		len = strcspn(more, ":/");
		snprintf(list + had, GROUPS_BYTES - had, "%s%.*s", had ? ":" : "", (int)len, more);
		if (SSL_set1_groups_list(client, list) != 1)
			list[had] = '\0';
		more += len;
	}
}

/*
 * The client offers the server's groups, those of common clients, and the certificate's curve: up
 * to TLS 1.2 an EC certificate is usable only if its curve is among the groups (RFC 8422 5.1).
 */
static void offer_groups(SSL *client, const struct tls_settings *s, SSL *server)
{
	X509 *cert = SSL_get_certificate(server);
	EVP_PKEY *key = cert ? X509_get0_pubkey(cert) : NULL;
	char list[GROUPS_BYTES] = "", curve[64];

	offer(client, list, CLIENT_GROUPS);
	if (s->curves)
		offer(client, list, s->curves);
	if (key && EVP_PKEY_is_a(key, "EC") &&
	    EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL) == 1)
		offer(client, list, curve);
}

/* Whether a handshake of this version (0: any) succeeds; if not, OpenSSL's error queue says why. */
static bool gets_in(struct tls_ctx *ctx, const struct tls_settings *s, SSL_CTX *client_ctx,
		    int version)
{
	SSL *server = tls_ctx_connection(ctx, NULL), *client = SSL_new(client_ctx);
	bool ok = false;

	if (server && client && join(server, client)) {
		offer_groups(client, s, server);
		if (!SSL_get_certificate(server))
			tls_psk_offer(client, SSL_get_SSL_CTX(server));
		ERR_clear_error();
		SSL_set_verify(server, SSL_VERIFY_NONE, NULL);
		SSL_set_accept_state(server);
		SSL_set_connect_state(client);
		ok = SSL_set_min_proto_version(client, version) == 1 &&
		     SSL_set_max_proto_version(client, version) == 1 && shake_hands(server, client);
	}
	SSL_free(server);
	SSL_free(client);
	return ok;
}

/* --- what that means -------------------------------------------------------------------------- */

static bool in_range(const struct tls_settings *s, const struct version *v)
{
	return v->number >= s->version_min && (s->version_max == 0 || v->number <= s->version_max);
}

/* Whether `options`, the range of versions or OpenSSL's own configuration leaves the version out.
 */
static bool switched_off(struct tls_ctx *ctx, const struct version *v)
{
	SSL *ssl = tls_ctx_connection(ctx, NULL);
	long max = ssl ? SSL_get_max_proto_version(ssl) : 0;
	bool off = ssl &&
		   (SSL_get_options(ssl) & v->off || v->number < SSL_get_min_proto_version(ssl) ||
		    (max != 0 && v->number > max));

	SSL_free(ssl);
	return off;
}

/* The option that most likely made the handshake of an allowed version fail, or NULL. */
static const char *option_at_fault(const struct tls_settings *s, const struct version *v,
				   unsigned long error)
{
	int reason = ERR_GET_REASON(error);

	if (reason == SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM)
		return "cert";
	if (v->number == TLS1_2_VERSION)
		return s->ciphers ? "ciphers" : s->curves ? s->curves_option : NULL;
	if (reason == SSL_R_NO_SUITABLE_KEY_SHARE)
		return s->curves ? s->curves_option : NULL;
	return s->ciphersuites ? "ciphersuites" : NULL;
}

static const char *reason_of(unsigned long error)
{
	const char *reason = ERR_reason_error_string(error);

	return reason ? reason : "the handshake fails";
}

/* Tells that the settings leave no version that OpenSSL speaks above security level 0. */
static void tell_versions(const struct tls_settings *s,
			  void (*told)(void *arg, bool nobody, const char *option, const char *why),
			  void *arg)
{
	char why[TLS_WHY_MAX];
	bool ranged = true;

	for (size_t i = 0; i < VERSIONS; i++)
		ranged &= !in_range(s, &versions[i]);
	snprintf(why, sizeof why,
		 "no client gets in: above security level 0 OpenSSL speaks TLSv1.2 and TLSv1.3 "
		 "only, "
		 "and %s: write \"%s\" instead",
		 ranged ? "neither is in this range" : "both are switched off",
		 ranged ? "sslVersionMin = TLSv1.2" : "options = -NO_TLSv1_2");
	told(arg, true, ranged ? "sslVersion" : "options", why);
}

/* --- what need not be tried again --------------------------------------------------------------
 */

static bool add(EVP_MD_CTX *md, const void *bytes, size_t len)
{
	return EVP_DigestUpdate(md, bytes, len) == 1;
}

static bool add_text(EVP_MD_CTX *md, const char *text)
{
	return text ? add(md, text, strlen(text) + 1) : add(md, "\1", 2);
}

/* Of a certificate: key, strength and signature, which ciphers, groups and levels are held to. */
static bool add_cert(EVP_MD_CTX *md, X509 *cert)
{
	const EVP_PKEY *key = X509_get0_pubkey(cert);
	const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL;
	char group[64] = "";
	int numbers[] = {X509_get_signature_nid(cert), key ? EVP_PKEY_get_bits(key) : 0};

	if (key)
		EVP_PKEY_get_group_name(key, group, sizeof group, NULL);
	return add_text(md, type) && add_text(md, group) && add(md, numbers, sizeof numbers);
}

static bool add_chains(EVP_MD_CTX *md, SSL *ssl)
{
	bool ok = true;

	for (long at = SSL_CERT_SET_FIRST; ok && SSL_set_current_cert(ssl, at) == 1;
	     at = SSL_CERT_SET_NEXT) {
		X509 *cert = SSL_get_certificate(ssl);
		STACK_OF(X509) *chain = NULL;

		ok = cert && add_cert(md, cert);
		SSL_get0_chain_certs(ssl, &chain);
		for (int i = 0; ok && i < sk_X509_num(chain); i++)
			ok = add_cert(md, sk_X509_value(chain, i));
	}
	return ok;
}

static bool add_settings(EVP_MD_CTX *md, const struct tls_settings *s)
{
	const int numbers[] = {s->version_min, s->version_max, s->security_level};
	const uint64_t options[] = {s->options_set, s->options_clear};
	bool ok = add_text(md, s->ciphers) && add_text(md, s->ciphersuites) &&
		  add_text(md, s->curves) && add(md, numbers, sizeof numbers) &&
		  add(md, options, sizeof options);

	for (size_t i = 0; ok && i < s->commands.count; i++)
		ok = add_text(md, s->commands.item[i]);
	return ok;
}

bool tls_trial_kind(struct tls_ctx *ctx, const struct tls_settings *s, struct tls_trial_kind *kind)
{
	SSL *ssl = s->psk_secrets ? NULL : tls_ctx_connection(ctx, NULL);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = ssl && md && EVP_DigestInit(md, EVP_sha256()) == 1 && add_settings(md, s) &&
		  add_chains(md, ssl) && EVP_DigestFinal(md, kind->digest, NULL) == 1;

	EVP_MD_CTX_free(md);
	SSL_free(ssl);
	return ok;
}

bool tls_trial_has_passed(const struct tls_trial_passed *passed, const struct tls_trial_kind *kind)
{
	for (size_t i = 0; i < passed->count; i++)
		if (memcmp(&passed->kind[i], kind, sizeof *kind) == 0)
			return true;
	return false;
}

/* --- all of it -------------------------------------------------------------------------------- */

bool tls_trial(struct tls_ctx *ctx, const struct tls_settings *settings,
	       void (*told)(void *arg, bool nobody, const char *option, const char *why), void *arg)
{
	const struct version *failed[VERSIONS];
	unsigned long error[VERSIONS];
	size_t failures = 0, tried = 0;
	SSL_CTX *client = make_client();

	for (size_t i = 0; i < VERSIONS && client; i++) {
		if (switched_off(ctx, &versions[i]))
			continue;
		tried++;
		if (gets_in(ctx, settings, client, versions[i].number))
			continue;
		error[failures] = ERR_peek_error();
		failed[failures++] = &versions[i];
	}
	for (size_t i = 0; i < failures; i++) {
		char why[TLS_WHY_MAX];

		snprintf(why, sizeof why, "no client gets in by %s: %s", failed[i]->name,
			 reason_of(error[i]));
		told(arg, failures == tried, option_at_fault(settings, failed[i], error[i]), why);
	}
	if (client && tried == 0 && !gets_in(ctx, settings, client, 0)) {
		tell_versions(settings, told, arg);
		failures++;
	}
	ERR_clear_error();
	SSL_CTX_free(client);
	return client && failures == 0;
}
