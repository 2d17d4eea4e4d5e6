/* SPDX-License-Identifier: ISC */
#include "tls/ctx.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/commands.h"
#include "tls/credentials.h"
#include "tls/file.h"
#include "tls/groups.h"
#include "tls/inquiry.h"
#include "tls/psk.h"
#include "tls/store.h"
#include "tls/session.h"
#include "tls/staple.h"

/* The defaults of stunnel 5.75. */
#define DEFAULT_CIPHERS "HIGH:!aNULL:!SSLv2:!DH:!kDHEPSK"
#define DEFAULT_CIPHERSUITES \
	"TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"

struct tls_ctx {
	SSL_CTX *ssl_ctx;
	struct tls_verify verify;
	const char *server_name; /* that a client sends; NULL: none */
	time_t expiry;		 /* 0: of no certificate */
	/* Copies for tls_ctx_switch(): SSL_set_SSL_CTX() takes over none of the lists. */
	char *ciphersuites;
	char *curves;
	struct tls_names commands; /* likewise */
	/* ALPN protocol names, each after its length (RFC 7301 3.1); alpn_len 0: no ALPN */
	unsigned alpn_len;
	unsigned char alpn[256];
	bool alpn_optional;
};

/* --- making a context ------------------------------------------------------------------------- */

static bool set_versions(SSL_CTX *ctx, const struct tls_settings *s, const struct tls_fault_to *to)
{
	if (s->version_max != 0 && s->version_min > s->version_max)
		return tls_fault_refuse(to, "sslVersion", "Invalid protocol version range", "");
	if (SSL_CTX_set_min_proto_version(ctx, s->version_min) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, s->version_max) != 1)
		return tls_fault_refuse(to, "sslVersion", "Failed to set the protocol versions",
					"");
	return true;
}

static bool set_algorithms(struct tls_ctx *ctx, const struct tls_settings *s,
			   const struct tls_fault_to *to)
{
	const char *ciphers = s->ciphers ? s->ciphers : DEFAULT_CIPHERS;
	bool ok = true;

	ctx->ciphersuites = strdup(s->ciphersuites ? s->ciphersuites : DEFAULT_CIPHERSUITES);
	if (!ctx->ciphersuites)
		return tls_fault_refuse(to, NULL, "Out of memory", s->service);
	if (SSL_CTX_set_cipher_list(ctx->ssl_ctx, ciphers) != 1)
		ok = tls_fault_refuse(to, "ciphers", "Invalid cipher list in 'ciphers'", ciphers);
	if (SSL_CTX_set_ciphersuites(ctx->ssl_ctx, ctx->ciphersuites) != 1)
		ok = tls_fault_refuse(to, "ciphersuites", "Invalid list in 'ciphersuites'",
				      ctx->ciphersuites);
	ctx->curves = tls_groups_use(ctx->ssl_ctx, s, to);
	ok = ctx->curves && ok;
	if (SSL_CTX_get_security_level(ctx->ssl_ctx) < TLS_LEAST_SECURITY_LEVEL)
		tls_fault_tell(
			to, TLS_TROUBLE_WARNING,
			s->security_level < 0 ? "ciphers" : "securityLevel",
			"At OpenSSL's security level %d weak keys, signatures and versions of "
			"TLS are taken",
			SSL_CTX_get_security_level(ctx->ssl_ctx));
	return ok;
}

static bool encode_alpn(struct tls_ctx *ctx, const struct tls_settings *s,
			const struct tls_fault_to *to)
{
	const char *names = s->alpn;

	while (*names) {
		size_t skip = strspn(names, ", \t"), len = strcspn(names + skip, ", \t");

		names += skip;
		if (ctx->alpn_len + 1 + len > sizeof ctx->alpn)
			return tls_fault_refuse(to, "alpn", "The names of 'alpn' are too long",
						s->service);
		if (len != 0) {
			ctx->alpn[ctx->alpn_len] = (unsigned char)len;
			memcpy(ctx->alpn + ctx->alpn_len + 1, names, len);
			ctx->alpn_len += (unsigned)len + 1;
		}
		names += len;
	}
	return ctx->alpn_len != 0 ||
	       tls_fault_refuse(to, "alpn", "'alpn' names no protocol", s->alpn);
}

/*
 * The server's order decides; RFC 7301 3.2 has it refuse a client that shares no protocol, unless
 * what it names besides is all that the server speaks otherwise.
 */
static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		       const unsigned char *in, unsigned in_len, void *arg)
{
	struct tls_ctx *ctx = arg;
	unsigned char *selected;

	(void)ssl;
	if (SSL_select_next_proto(&selected, out_len, ctx->alpn, ctx->alpn_len, in, in_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return ctx->alpn_optional ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = selected;
	return SSL_TLSEXT_ERR_OK;
}

/* Has the server_name extension acknowledged (RFC 6066 3); on_hello has chosen by the name. */
static int acknowledge_name(SSL *ssl, int *alert, void *arg)
{
	(void)ssl, (void)alert, (void)arg;
	return SSL_TLSEXT_ERR_OK;
}

/*
 * Renegotiation could change what the backend was told: neither `options` nor `config` brings it
 * back. Called behind both.
 */
static void forbid_renegotiation(SSL_CTX *c)
{
	SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_clear_options(c, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
}

static void set_behaviour(struct tls_ctx *ctx, const struct tls_settings *s)
{
	SSL_CTX *c = ctx->ssl_ctx;

	/* One read(2) takes a whole record; an idle connection holds no record buffers. */
	SSL_CTX_set_read_ahead(c, 1);
	SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				    SSL_MODE_RELEASE_BUFFERS);
	if (s->security_level >= 0)
		SSL_CTX_set_security_level(c, s->security_level);
	else if (SSL_CTX_get_security_level(c) < TLS_LEAST_SECURITY_LEVEL)
		SSL_CTX_set_security_level(c, TLS_LEAST_SECURITY_LEVEL);
	SSL_CTX_set_options(c, SSL_OP_NO_SSLv3 | SSL_OP_NO_COMPRESSION |
				       SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION);
	SSL_CTX_set_options(c, s->options_set);
	SSL_CTX_clear_options(c, s->options_clear);
	if (s->client)
		return;
	/*
	 * Of a full handshake in TLS 1.3, as of one that resumes: each ticket costs 6 % of it, and
	 * a client that wants a second one gets it with its second connection.
	 */
	SSL_CTX_set_num_tickets(c, 1);
	SSL_CTX_set_dh_auto(c, 1); /* DHE suites are used only if `ciphers` names them */
	SSL_CTX_set_tlsext_servername_callback(c, acknowledge_name);
	if (ctx->alpn_len != 0)
		SSL_CTX_set_alpn_select_cb(c, select_alpn, ctx);
}

static bool offer_alpn(struct tls_ctx *ctx, const struct tls_settings *s,
		       const struct tls_fault_to *to)
{
	return SSL_CTX_set_alpn_protos(ctx->ssl_ctx, ctx->alpn, ctx->alpn_len) == 0 ||
	       tls_fault_refuse(to, "alpn", "'alpn' names no protocol", s->alpn);
}

/* --- whom to trust ---------------------------------------------------------------------------- */

static void tell_folder(const struct tls_fault_to *to, enum tls_trouble trouble, const char *option,
			const char *path, const char *reason)
{
	tls_fault_tell(to, trouble, option, "%sFailed to use directory: %.200s: %s",
		       trouble == TLS_TROUBLE_NOBODY ? "no client gets in: " : "", path, reason);
}

/*
 * Sets *names to the subjects, which a CertificateRequest lists. A file that cannot be read is only
 * a warning where no certificate is verified: it lets nobody in, and stock goes on without it.
 */
static bool load_trusted_file(SSL_CTX *ctx, const struct tls_verify *v,
			      STACK_OF(X509_NAME) * *names, const struct tls_fault_to *to)
{
	bool verified = v->bits & (TLS_VERIFY_CHAIN | TLS_VERIFY_PEER);
	char reason[TLS_WHY_MAX];

	if (X509_STORE_load_file(SSL_CTX_get_cert_store(ctx), v->ca_file) == 1)
		*names = SSL_load_client_CA_file(v->ca_file);
	if (*names)
		return true;
	tls_file_explain(v->ca_file, TLS_FILE_CERT, reason);
	tls_fault_tell(to, verified ? TLS_TROUBLE_ERROR : TLS_TROUBLE_WARNING, "CAfile",
		       "Failed to load trusted certificates from: %.200s: %.250s", v->ca_file,
		       reason);
	return !verified;
}

/*
 * OpenSSL reads CApath only when a client's certificate is verified, and takes a missing folder for
 * an empty one: a missing one is told here. An empty folder is no error, since it may be filled
 * later, or have been emptied to shut every client out.
 */
static bool load_trusted_folder(SSL_CTX *ctx, const struct tls_settings *s,
				STACK_OF(X509_NAME) * names, const struct tls_fault_to *to)
{
	const struct tls_verify *v = &s->verify;
	bool needed = v->bits & (TLS_VERIFY_CHAIN | TLS_VERIFY_PEER) && !sk_X509_NAME_num(names);
	bool inside = strcmp(s->ca_folder, v->ca_path) != 0;
	int files;

	if (X509_STORE_load_path(SSL_CTX_get_cert_store(ctx), v->ca_path) != 1)
		return tls_fault_refuse(to, "CApath", "Failed to use directory", v->ca_path);
	files = tls_file_subjects(s->ca_folder, names);
	if (files < 0) {
		tell_folder(to, needed ? TLS_TROUBLE_ERROR : TLS_TROUBLE_WARNING, "CApath",
			    s->ca_folder, strerror(errno));
		return !needed;
	}
	/* Inside a chroot the hashed links may lead to other files, which cannot be seen yet. */
	if (needed && !sk_X509_NAME_num(names) && (files == 0 || !inside))
		tell_folder(to, TLS_TROUBLE_NOBODY, "CApath", s->ca_folder,
			    "it holds no certificate under a name that openssl-rehash makes");
	return true;
}

/* A URI is read now, and never by a worker, which might have to wait for it. */
static bool load_trusted_store(SSL_CTX *ctx, const struct tls_verify *v,
			       STACK_OF(X509_NAME) * names, const struct tls_fault_to *to)
{
	bool verified = v->bits & (TLS_VERIFY_CHAIN | TLS_VERIFY_PEER);
	STACK_OF(X509) *certs = sk_X509_new_null();
	char why[TLS_WHY_MAX] = "it holds no certificate";
	bool ok = certs && tls_store_load(v->ca_store, certs, NULL, why) && sk_X509_num(certs) != 0;

	for (int i = 0; ok && i < sk_X509_num(certs); i++) {
		X509 *cert = sk_X509_value(certs, i);
		X509_NAME *name = X509_NAME_dup(X509_get_subject_name(cert));

		ok = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert) == 1 && name &&
		     sk_X509_NAME_push(names, name) > 0;
		if (!ok)
			X509_NAME_free(name);
	}
	sk_X509_pop_free(certs, X509_free);
	if (!ok)
		tls_fault_tell(to, verified ? TLS_TROUBLE_ERROR : TLS_TROUBLE_WARNING, "CAstore",
			       "Failed to load trusted certificates from: %.200s: %.250s",
			       v->ca_store, why);
	return ok || !verified;
}

static bool load_trusted(SSL_CTX *ctx, const struct tls_settings *s, const struct tls_fault_to *to)
{
	STACK_OF(X509_NAME) *names = NULL;
	bool ok = !s->verify.ca_file || load_trusted_file(ctx, &s->verify, &names, to);

	if (!names)
		names = sk_X509_NAME_new_null();
	if (!names)
		return tls_fault_refuse(to, NULL, "Out of memory", s->service);
	SSL_CTX_set_client_CA_list(ctx, names);
	ok = (!s->verify.ca_store || load_trusted_store(ctx, &s->verify, names, to)) && ok;
	return (!s->verify.ca_path || load_trusted_folder(ctx, s, names, to)) && ok;
}

static bool load_revoked(SSL_CTX *ctx, const struct tls_settings *s, const struct tls_fault_to *to)
{
	const struct tls_verify *v = &s->verify;
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	X509_LOOKUP *files, *folders;
	char why[TLS_WHY_MAX];

	if (!v->crl_file && !v->crl_path)
		return true;
	files = X509_STORE_add_lookup(store, X509_LOOKUP_file());
	folders = X509_STORE_add_lookup(store, X509_LOOKUP_hash_dir());
	if (v->crl_file &&
	    (!files || X509_load_crl_file(files, v->crl_file, X509_FILETYPE_PEM) < 1)) {
		tls_file_explain(v->crl_file, TLS_FILE_CRL, why);
		return tls_fault_refuse_file(to, "CRLfile", "Failed to load revocation lookup file",
					     v->crl_file, why);
	}
	if (v->crl_path &&
	    (!folders || X509_LOOKUP_add_dir(folders, v->crl_path, X509_FILETYPE_PEM) != 1))
		return tls_fault_refuse(to, "CRLpath", "Failed to use directory", v->crl_path);
	if (v->crl_path && tls_file_subjects(s->crl_folder, NULL) < 0)
		tell_folder(to, TLS_TROUBLE_WARNING, "CRLpath", s->crl_folder, strerror(errno));
	return X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK) == 1 ||
	       tls_fault_refuse(to, NULL, "Failed to initialize TLS context", "revocation lists");
}

static bool check_addresses(const struct tls_verify *v, const struct tls_fault_to *to)
{
	bool ok = true;

	for (size_t i = 0; i < v->ip.count; i++) {
		ASN1_OCTET_STRING *ip = a2i_IPADDRESS(v->ip.item[i]);

		ASN1_OCTET_STRING_free(ip);
		if (!ip)
			ok = tls_fault_refuse(to, "checkIP", "Not an IP address", v->ip.item[i]);
	}
	return ok;
}

static bool set_verification(struct tls_ctx *ctx, const struct tls_settings *s,
			     const struct tls_fault_to *to)
{
	int mode = SSL_VERIFY_NONE;
	bool ok;

	ctx->verify = s->verify;
	if (s->verify.bits & TLS_VERIFY_REQUEST)
		mode |= SSL_VERIFY_PEER;
	if (s->verify.bits & TLS_VERIFY_REQUIRE && !(s->verify.bits & TLS_VERIFY_REDIRECT))
		mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_CTX_set_verify(ctx->ssl_ctx, mode, tls_verify_certificate);
	if ((s->verify.bits & TLS_VERIFY_ASK || s->sessiond) && !tls_inquiry_possible())
		return tls_fault_refuse(to,
					s->sessiond   ? "sessiond"
					: s->ocsp.url ? "OCSP"
						      : "OCSPaia",
					"This system's OpenSSL cannot suspend a handshake", "");
	ok = load_trusted(ctx->ssl_ctx, s, to);
	ok = load_revoked(ctx->ssl_ctx, s, to) && ok;
	return check_addresses(&s->verify, to) && ok;
}

/* --- the context ------------------------------------------------------------------------------ */

static bool fill(struct tls_ctx *ctx, const struct tls_settings *s, const struct tls_fault_to *to)
{
	bool ok;

	ctx->ssl_ctx = SSL_CTX_new(s->client ? TLS_client_method() : TLS_server_method());
	if (!ctx->ssl_ctx)
		return tls_fault_refuse(to, NULL, "Failed to initialize TLS context", s->service);
	/* All settings are tried even after a fault, so that one start tells every fault. */
	ctx->server_name = s->server_name;
	ctx->alpn_optional = s->alpn_optional;
	ok = !s->alpn || (encode_alpn(ctx, s, to) && (!s->client || offer_alpn(ctx, s, to)));
	set_behaviour(ctx, s);
	ok = set_versions(ctx->ssl_ctx, s, to) && ok;
	ok = set_algorithms(ctx, s, to) && ok;
	ctx->commands = s->commands;
	ok = tls_commands_use(ctx->ssl_ctx, s, to) && ok;
	if (!s->renegotiates)
		forbid_renegotiation(ctx->ssl_ctx);
	ok = tls_credentials_use(ctx->ssl_ctx, s, to) && ok;
	ok = set_verification(ctx, s, to) && ok;
	ok = ok && (s->client || tls_staple_use(ctx->ssl_ctx, s, to));
	if (!ok)
		return false;
	return (tls_session_use(ctx->ssl_ctx, s) && tls_session_bind(ctx->ssl_ctx, s)) ||
	       tls_fault_refuse(to, NULL, "Failed to initialize TLS context", s->service);
}

struct tls_ctx *tls_ctx_new(const struct tls_settings *settings, const struct tls_fault_to *to)
{
	struct tls_ctx *ctx = calloc(1, sizeof *ctx);

	ERR_clear_error();
	if (!ctx)
		tls_fault_refuse(to, NULL, "Out of memory", settings->service);
	if (!ctx || !fill(ctx, settings, to)) {
		tls_ctx_free(ctx);
		return NULL;
	}
	tls_ctx_renewed(ctx);
	return ctx;
}

void tls_ctx_free(struct tls_ctx *ctx)
{
	if (!ctx)
		return;
	SSL_CTX_free(ctx->ssl_ctx);
	free(ctx->ciphersuites);
	free(ctx->curves);
	free(ctx);
}

struct ssl_st *tls_ctx_connection(struct tls_ctx *ctx,
				  int (*on_hello)(struct ssl_st *, int *alert, void *))
{
	char name[FACTS_NAME_MAX + 1]; /* OpenSSL's macro wants one that is not const */
	SSL *ssl;

	SSL_CTX_set_client_hello_cb(ctx->ssl_ctx, on_hello, NULL);
	ssl = SSL_new(ctx->ssl_ctx);
	if (!ssl || !ctx->server_name)
		return ssl;
	snprintf(name, sizeof name, "%s", ctx->server_name);
	if (SSL_set_tlsext_host_name(ssl, name) == 1)
		return ssl;
	SSL_free(ssl);
	return NULL;
}

bool tls_ctx_switch(struct tls_ctx *ctx, struct ssl_st *ssl)
{
	SSL_CTX *c = ctx->ssl_ctx;

	if (!SSL_set_SSL_CTX(ssl, c) || SSL_set_ciphersuites(ssl, ctx->ciphersuites) != 1 ||
	    SSL_set1_groups_list(ssl, ctx->curves) != 1 ||
	    !tls_commands_switch(ssl, &ctx->commands))
		return false;
	/* What follows the context has as all its options and commands together have left it. */
	SSL_clear_options(ssl, SSL_get_options(ssl));
	SSL_set_options(ssl, SSL_CTX_get_options(c));
	SSL_set_security_level(ssl, SSL_CTX_get_security_level(c));
	SSL_set_verify(ssl, SSL_CTX_get_verify_mode(c), SSL_CTX_get_verify_callback(c));
	tls_psk_switch(c, ssl);
	return SSL_set_num_tickets(ssl, SSL_CTX_get_num_tickets(c)) == 1 &&
	       SSL_set_min_proto_version(ssl, (int)SSL_CTX_get_min_proto_version(c)) == 1 &&
	       SSL_set_max_proto_version(ssl, (int)SSL_CTX_get_max_proto_version(c)) == 1;
}

struct ssl_ctx_st *tls_ctx_library(const struct tls_ctx *ctx)
{
	return ctx->ssl_ctx;
}

/* 0: unknown */
static time_t end_of(const X509 *cert)
{
	struct tm tm;

	if (!cert || ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1)
		return 0;
	return timegm(&tm);
}

/* SSL_CTX_set_current_cert() writes, which a master that only asks would pay with a page. */
static time_t first_end(SSL_CTX *library)
{
	X509 *current = SSL_CTX_get0_certificate(library);
	long next = SSL_CERT_SET_FIRST;
	time_t first = 0;

	for (; SSL_CTX_set_current_cert(library, next) == 1; next = SSL_CERT_SET_NEXT) {
		time_t end = end_of(SSL_CTX_get0_certificate(library));

		if (end != 0 && (first == 0 || end < first))
			first = end;
	}
	if (current)
		SSL_CTX_select_current_cert(library, current);
	return first;
}

void tls_ctx_renewed(struct tls_ctx *ctx)
{
	ctx->expiry = first_end(ctx->ssl_ctx);
}

time_t tls_ctx_expiry(const struct tls_ctx *ctx)
{
	return ctx ? ctx->expiry : 0;
}

const struct tls_verify *tls_ctx_verify(const struct tls_ctx *ctx)
{
	return &ctx->verify;
}
