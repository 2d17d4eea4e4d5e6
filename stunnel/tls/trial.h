/* SPDX-License-Identifier: ISC */
#ifndef TLS_TRIAL_H
#define TLS_TRIAL_H

#include <stdbool.h>

#include "tls/ctx.h"

/*
 * Whether clients get in at all: settings that OpenSSL takes one by one may leave nothing together,
 * or nothing at its security level. A client in memory that takes everything tries it. Calls told()
 * for each version of TLS that the settings allow and that nobody can use, and once where they
 * allow none: with nobody = true if no other version is left, and the option at fault, or NULL.
 */
void tls_trial(struct tls_ctx *ctx, const struct tls_settings *settings,
	       void (*told)(void *arg, bool nobody, const char *option, const char *why),
	       void *arg);

#endif
