/* SPDX-License-Identifier: ISC */
#ifndef TLS_SESSION_H
#define TLS_SESSION_H

#include <stdbool.h>

struct ssl_ctx_st;
struct tls_settings;

/*
 * Resumption by ticket, and from a cache by clients without tickets, as the settings say: for so
 * many seconds (0: OpenSSL's default), which begin anew with each ticket; a certificate that the
 * client has shown counts for as long from the handshake in which it did. Whichever worker accepts,
 * now and after a reload, tickets and cache are the same. To be called in the master. False if
 * memory or randomness cannot be had.
 */
bool tls_session_use(struct ssl_ctx_st *ctx, const struct tls_settings *settings);

/*
 * A session is resumed only where it could have been made: a ticket of another service, or from
 * before a change of the configuration, must not carry its cipher past these settings, nor a
 * client that was asked for less. To be called when the context holds whom it trusts, and its keys.
 * A client with pre-shared keys is bound to nothing: it resumes what it has kept itself.
 */
bool tls_session_bind(struct ssl_ctx_st *ctx, const struct tls_settings *settings);

#endif
