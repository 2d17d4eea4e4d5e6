/* SPDX-License-Identifier: ISC */
#ifndef TLS_SESSION_H
#define TLS_SESSION_H

#include <stdbool.h>

struct ssl_ctx_st;
struct tls_settings;

/*
 * Makes the ticket key if there is none yet; false if there is no randomness. Called before the
 * first context, in the master: workers forked from it, now and after a reload, then all open each
 * other's tickets.
 */
bool tls_session_key(void);

/*
 * Resumption by tickets under that key, for `life` seconds (0: OpenSSL's default), which begin anew
 * with each ticket; a certificate that the client has shown counts for as long from the handshake
 * in which it did. Without tickets where SSL_OP_NO_TICKET is set: to be called behind the other
 * options.
 */
bool tls_session_use(struct ssl_ctx_st *ctx, int life);

/*
 * A session is resumed only where it could have been made: a ticket of another service, or from
 * before a change of the configuration, must not carry its cipher past these settings, nor a
 * client that was asked for less. To be called when the context holds whom it trusts, and its keys.
 * A client with pre-shared keys is bound to nothing: it resumes what it has kept itself.
 */
bool tls_session_bind(struct ssl_ctx_st *ctx, const struct tls_settings *settings);

#endif
