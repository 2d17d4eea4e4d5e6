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

#if OPENSSL_VERSION_NUMBER < 0x10101000L
#error "patch 00-openssl-port is for OpenSSL 1.1.1 and later: leave it out"
#endif

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

/* ---- what no OpenSSL of today has: its options are refused in stunnel's own words --------------
 */

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

#ifdef OPENSSL_NO_EGD
#define RAND_egd(path) ((void)(path), -1)
#endif

/* Threads need no clearing up. */
#undef ERR_remove_state
#define ERR_remove_state(pid) ((void)0)

/* ---- states of a handshake ---------------------------------------------------------------------
 */

#define SSL3_ST_SR_CLNT_HELLO_A TLS_ST_SR_CLNT_HELLO
#define SSL23_ST_SR_CLNT_HELLO_A TLS_ST_SR_CLNT_HELLO

/* ---- options -----------------------------------------------------------------------------------
 */

/* What parse_ssl_option() returns for a name it does not know: 0 is the value of many options now.
 */
#define OPENSSL_PORT_NO_OPTION (-1)

/* Whether it did: its type is that of a release. */
#define OPENSSL_PORT_IS_NO_OPTION(value) (!~(value))

/* ---- reading -----------------------------------------------------------------------------------
 */

/*
 * As SSL_read(), also for the tree's other files: an end of the connection without close_notify is
 * told as OpenSSL 1.0 told it, by 0 and SSL_ERROR_SYSCALL, with nothing in the queue of errors.
 */
int openssl_port_read(SSL *ssl, void *into, int most);
#define SSL_read openssl_port_read

/* ---- sessions ----------------------------------------------------------------------------------
 */

/* The session's identifier, which stays its own, and how long it is in bytes. */
const unsigned char *openssl_port_session_id(const SSL_SESSION *session);
unsigned int openssl_port_session_id_length(const SSL_SESSION *session);

/* ---- certificates and revocation lists ---------------------------------------------------------
 */

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
