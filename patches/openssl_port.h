/* SPDX-License-Identifier: ISC */
/*
 * Lets a stock written for OpenSSL 1.0 compile with OpenSSL 1.1.1 and later: defines names that are
 * gone, and functions that patches/00-openssl.cocci has the tree call in place of members of
 * structures that are opaque now.
 *
 * Included before any header of OpenSSL.
 */

#ifndef OPENSSL_PORT_H
#define OPENSSL_PORT_H

/* Avoids a warning of deprecation for each of the tree's calls. */
#define OPENSSL_API_COMPAT 0x10000000L

#include <openssl/opensslv.h>

#if OPENSSL_VERSION_NUMBER < 0x1010100fL
#error "patch 00-openssl-port is for OpenSSL 1.1.1 and later: leave it out"
#endif

#include <openssl/crypto.h>
#include <openssl/dh.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

/* ---- what no OpenSSL of today has; stock refuses options for it in its own words */

#ifndef OPENSSL_NO_SSL2
#define OPENSSL_NO_SSL2
#endif

/* Without its methods the protocol cannot be chosen, even where OpenSSL could speak it. */
#if defined(OPENSSL_NO_SSL3_METHOD) && !defined(OPENSSL_NO_SSL3)
#define OPENSSL_NO_SSL3
#endif

/* TLS 1.3 has no compression, and OpenSSL disables that of earlier versions by default. */
#ifndef OPENSSL_NO_COMP
#define OPENSSL_NO_COMP
#endif
#undef COMP_zlib
#define COMP_zlib() NULL
#define COMP_rle() NULL
#define OPENSSL_PORT_COMP_TYPE NID_undef

#ifdef OPENSSL_NO_EGD
#define RAND_egd(path) ((void)(path), -1)
#endif

/* Since 1.1.0 OpenSSL frees a thread's error queue itself. */
#undef ERR_remove_state
#define ERR_remove_state(pid) ((void)0)

/* ---- start and end */

/*
 * OpenSSL 1.0 freed nothing at exit, so that a tree written for it exits while its threads still
 * use OpenSSL. The first call of all decides.
 */
#ifdef OPENSSL_INIT_NO_ATEXIT
#undef SSL_load_error_strings
#undef SSL_library_init
#define SSL_load_error_strings() ((void)openssl_port_begin())
#define SSL_library_init() openssl_port_begin()

static inline int openssl_port_begin(void)
{
	return OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL) && OPENSSL_init_ssl(0, NULL);
}
#endif

/* ---- locks */

/* Releases whose own locks were OpenSSL's; a lock is NULL before threads are set up. */
#define CRYPTO_r_lock(lock) openssl_port_lock((lock), CRYPTO_THREAD_read_lock)
#define CRYPTO_r_unlock(lock) openssl_port_lock((lock), CRYPTO_THREAD_unlock)
#define CRYPTO_w_lock(lock) openssl_port_lock((lock), CRYPTO_THREAD_write_lock)
#define CRYPTO_w_unlock(lock) openssl_port_lock((lock), CRYPTO_THREAD_unlock)

static inline void openssl_port_lock(CRYPTO_RWLOCK *lock, int (*change)(CRYPTO_RWLOCK *))
{
	if (lock)
		change(lock);
}

/* ---- states of a handshake */

#define SSL3_ST_SR_CLNT_HELLO_A TLS_ST_SR_CLNT_HELLO
#define SSL23_ST_SR_CLNT_HELLO_A TLS_ST_SR_CLNT_HELLO

/* ---- options */

/* What parse_ssl_option() returns for an unknown name: 0 is the value of many options now. */
#define OPENSSL_PORT_NO_OPTION (-1)

/* Whether value is OPENSSL_PORT_NO_OPTION in the type of parse_ssl_option(), which varies. */
#define OPENSSL_PORT_IS_NO_OPTION(value) (!~(value))

/* ---- contexts */

/* The default of `curve` as stock shows it. */
#define OPENSSL_PORT_CURVES "those of OpenSSL"

/* SSL_CTX_set_tmp_dh() that logs a failure, as of parameters that OpenSSL refuses. */
void openssl_port_set_tmp_dh(SSL_CTX *context, DH *dh);

/*
 * 1, logged, if no handshake of the complete context could succeed, because its security level
 * rules out its sslVersion, or if memory ran out; else 0.
 */
int openssl_port_refuses(SSL_CTX *context);

/* ---- reading */

/*
 * SSL_read() for all files of the tree: an end without close_notify is told as by OpenSSL 1.0, by 0
 * and SSL_ERROR_SYSCALL, with an empty error queue.
 */
int openssl_port_read(SSL *ssl, void *into, int most);
#define SSL_read openssl_port_read

/* ---- sessions */

/* The session's identifier, which the session owns, and its length in bytes. */
const unsigned char *openssl_port_session_id(const SSL_SESSION *session);
unsigned int openssl_port_session_id_length(const SSL_SESSION *session);

/* ---- certificates and revocation lists */

/* Replaces an X509_OBJECT on the stack, whose type is opaque now. */
struct openssl_port_object {
	union {
		X509 *x509;
		X509_CRL *crl;
	} data;
};

/*
 * As X509_STORE_get_by_subject(): 1 with the store's object in *object, else 0 or less with none. A
 * certificate stays the store's; a revocation list is freed by openssl_port_free_object().
 */
int openssl_port_get_by_subject(X509_STORE_CTX *context, X509_LOOKUP_TYPE type,
				const X509_NAME *subject, struct openssl_port_object *object);
void openssl_port_free_object(struct openssl_port_object *object);

/* For look-ups in a store; freed by X509_STORE_CTX_free(). NULL without memory. */
X509_STORE_CTX *openssl_port_store_context(X509_STORE *store);

#endif
