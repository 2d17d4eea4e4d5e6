/* SPDX-License-Identifier: ISC */
#ifndef TLS_CREDENTIALS_H
#define TLS_CREDENTIALS_H

#include <stdbool.h>

#include "tls/fault.h"
#include "tls/settings.h"

struct ssl_ctx_st;

/*
 * Gives the context what the settings say that we prove our identity with. The files are read now,
 * with the rights of the process. False after faults, each of which was told, and for a server
 * without any credentials in the settings.
 */
bool tls_credentials_use(struct ssl_ctx_st *ctx, const struct tls_settings *settings,
			 const struct tls_fault_to *to);

/*
 * A context that has nothing but the certificates and keys that the settings' files hold now, at
 * the security level of another; the caller frees it. Each certificate has to have its key: NULL
 * after faults, each of which was told.
 */
struct ssl_ctx_st *tls_credentials_read(const struct ssl_ctx_st *like,
					const struct tls_settings *settings,
					const struct tls_fault_to *to);

#endif
