/* SPDX-License-Identifier: ISC */
#ifndef TLS_PSK_H
#define TLS_PSK_H

#include <stdbool.h>

#include "tls/fault.h"
#include "tls/settings.h"

/*
 * Keys that both ends have (RFC 4279, RFC 8446 2.2), from a file of lines IDENTITY:KEY. The context
 * that uses them owns them, and wipes them with it.
 */

struct ssl_ctx_st;
struct ssl_st;
struct evp_md_ctx_st;

/* Reads settings->psk_secrets, if there is one, for the context. False after a fault, told. */
bool tls_psk_use(struct ssl_ctx_st *ctx, const struct tls_settings *settings,
		 const struct tls_fault_to *to);

/* Has a connection look its keys up in the context that it was moved to. */
void tls_psk_switch(const struct ssl_ctx_st *ctx, struct ssl_st *ssl);

/* Has a client prove itself with the first key of the server's context, if that has any. */
void tls_psk_offer(struct ssl_st *client, const struct ssl_ctx_st *server);

/* Digests all identities and keys of the context. */
bool tls_psk_digest(const struct ssl_ctx_st *ctx, struct evp_md_ctx_st *md);

#endif
