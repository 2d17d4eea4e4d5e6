/* SPDX-License-Identifier: ISC */
/*
 * For a stunnel that was written for OpenSSL 1.0: what OpenSSL 1.1.1 and later have in the place of
 * names that are gone. Where members of objects were used that cannot be seen any more,
 * patches/00-openssl.cocci makes the tree call the functions below.
 *
 * Included before any header of OpenSSL.
 */

#ifndef OPENSSL_PORT_H
#define OPENSSL_PORT_H

/* The tree's own calls are those of 1.0, which it would be warned of by the dozen. */
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

/* ---- what no OpenSSL of today has; asking for it is refused in stunnel's own words */

#ifndef OPENSSL_NO_SSL2
#define OPENSSL_NO_SSL2
#endif

/* Without its methods the protocol cannot be chosen, even where OpenSSL could speak it. */
#if defined(OPENSSL_NO_SSL3_METHOD) && !defined(OPENSSL_NO_SSL3)
#define OPENSSL_NO_SSL3
#endif

/* TLS 1.3 has no compression, and OpenSSL leaves it off in what came before. */
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

/* Threads need no clearing up. */
#undef ERR_remove_state
#define ERR_remove_state(pid) ((void)0)

/* ---- locks */

/* Of a release whose own locks were OpenSSL's; there is none before threads are set up. */
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

/* Whether it did: its type is that of a release. */
#define OPENSSL_PORT_IS_NO_OPTION(value) (!~(value))

/* ---- contexts */

/* What `curve` is where it is not set, as it is shown. */
#define OPENSSL_PORT_CURVES "those of OpenSSL"

/* As SSL_CTX_set_tmp_dh(), and tells of parameters that OpenSSL does not take. */
void openssl_port_set_tmp_dh(SSL_CTX *context, DH *dh);

/*
 * 1 where a context that is ready otherwise could never shake hands, since its sslVersion is one
 * that the level of security rules out, or without memory; what stands in the way is logged. Else
 * 0.
 */
int openssl_port_refuses(SSL_CTX *context);

/* ---- reading */

/*
 * As SSL_read(), also for the tree's other files: an end of the connection without close_notify is
 * told as OpenSSL 1.0 told it, by 0 and SSL_ERROR_SYSCALL, with nothing in the queue of errors.
 */
int openssl_port_read(SSL *ssl, void *into, int most);
#define SSL_read openssl_port_read

/* ---- sessions */

/* The session's identifier, which stays its own, and how long it is in bytes. */
const unsigned char *openssl_port_session_id(const SSL_SESSION *session);
unsigned int openssl_port_session_id_length(const SSL_SESSION *session);

/* ---- certificates and revocation lists */

/* Stands on the stack where an X509_OBJECT stood. */
struct openssl_port_object {
	union {
		X509 *x509;
		X509_CRL *crl;
	} data;
};

/*
 * As X509_STORE_get_by_subject(): 1 if the store has one, which is in `object` then, else 0 or
 * less, and `object` has none. A certificate belongs to the store; a revocation list is to be given
 * back by openssl_port_free_object().
 */
int openssl_port_get_by_subject(X509_STORE_CTX *context, X509_LOOKUP_TYPE type,
				const X509_NAME *subject, struct openssl_port_object *object);
void openssl_port_free_object(struct openssl_port_object *object);

/* To look something up in a store; for X509_STORE_CTX_free(). NULL without memory. */
X509_STORE_CTX *openssl_port_store_context(X509_STORE *store);

#endif
