/* SPDX-License-Identifier: ISC */
#ifndef TLS_CTX_H
#define TLS_CTX_H

#include <stdbool.h>
#include <time.h>

#include "tls/fault.h"
#include "tls/settings.h"

struct tls_ctx;

/*
 * A context of a server, or of a client. The files are read now, with the rights of the process.
 * Each fault of the settings is told; of its options, `sslVersion` stands for sslVersionMin and
 * sslVersionMax, too. NULL if any fault was a TLS_TROUBLE_ERROR.
 */
struct tls_ctx *tls_ctx_new(const struct tls_settings *settings, const struct tls_fault_to *to);
void tls_ctx_free(struct tls_ctx *ctx);

struct ssl_st;

/*
 * A new connection of the context, or NULL; on_hello is called when a server has got the
 * ClientHello, before OpenSSL acts on it.
 */
struct ssl_st *tls_ctx_connection(struct tls_ctx *ctx,
				  int (*on_hello)(struct ssl_st *, int *alert, void *));

/*
 * Moves a connection whose ClientHello has just come to another context: its certificate, and each
 * of its settings that OpenSSL copies when a connection begins. False after an error of OpenSSL's.
 */
bool tls_ctx_switch(struct tls_ctx *ctx, struct ssl_st *ssl);

/* OpenSSL's own context, for modules of tls/ that know no struct tls_ctx. */
struct ssl_ctx_st *tls_ctx_library(const struct tls_ctx *ctx);

/* When the first of the context's own certificates ends. 0: it has none, or is NULL. */
time_t tls_ctx_expiry(const struct tls_ctx *ctx);

/* The context has got new certificates. */
void tls_ctx_renewed(struct tls_ctx *ctx);

/* What a context asks of the peer's certificate; it lasts as long as the context. */
const struct tls_verify *tls_ctx_verify(const struct tls_ctx *ctx);

#endif
