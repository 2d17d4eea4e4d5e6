/* SPDX-License-Identifier: ISC */
#ifndef TLS_COMMANDS_H
#define TLS_COMMANDS_H

#include <stdbool.h>

#include "tls/fault.h"
#include "tls/settings.h"

/* OpenSSL's own configuration commands, NAME or NAME:VALUE, as SSL_CONF_cmd(3) has them. */

struct ssl_ctx_st;
struct ssl_st;

/* Applies settings->commands to the context, in order. False after faults, each of which is told.
 */
bool tls_commands_use(struct ssl_ctx_st *ctx, const struct tls_settings *settings,
		      const struct tls_fault_to *to);

/* Applies commands that were taken to a server's connection, except those that name files. */
bool tls_commands_switch(struct ssl_st *ssl, const struct tls_names *commands);

#endif
