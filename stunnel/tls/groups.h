/* SPDX-License-Identifier: ISC */
#ifndef TLS_GROUPS_H
#define TLS_GROUPS_H

#include "tls/fault.h"
#include "tls/settings.h"

struct ssl_ctx_st;

/*
 * Gives the context the key exchange groups of the settings, or else those of stock, which a
 * post-quantum one leads where OpenSSL has it. Each group of the settings that OpenSSL does not
 * know is told and left out. The list that was taken, which the caller frees, or NULL after an
 * error.
 */
char *tls_groups_use(struct ssl_ctx_st *ctx, const struct tls_settings *settings,
		     const struct tls_fault_to *to);

#endif
