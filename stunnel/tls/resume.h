/* SPDX-License-Identifier: ISC */
#ifndef TLS_RESUME_H
#define TLS_RESUME_H

#include <stdbool.h>

struct ssl_ctx_st;
struct ssl_st;
struct tls_settings;

/*
 * What a client remembers of servers: the last session with each, in memory that all workers share.
 * A session counts for as many seconds as the settings say from the handshake that showed the
 * server's certificate, however often it is resumed, and for no other context: after a reload each
 * server is judged anew.
 */

/* To be called in the master. False if memory or randomness cannot be had. */
bool tls_resume_use(struct ssl_ctx_st *ctx, const struct tls_settings *settings);

/*
 * Before a handshake with a server, of which `peer` is an address as text: its last session is
 * offered, if there is one, and what comes of the handshake is kept. Without memory, or in a
 * context that remembers nothing, this does nothing.
 */
void tls_resume_offer(struct ssl_st *ssl, const char *peer);

#endif
