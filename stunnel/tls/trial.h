/* SPDX-License-Identifier: ISC */
#ifndef TLS_TRIAL_H
#define TLS_TRIAL_H

#include <stdbool.h>
#include <stddef.h>

#include "tls/ctx.h"

/* Of all in a server's settings and certificates on which it depends whether clients get in. */
struct tls_trial_kind {
	unsigned char digest[32];
};

/* What tls_trial() need not try again, as it told of nothing; grows by the caller. */
struct tls_trial_passed {
	struct tls_trial_kind *kind;
	size_t count;
};

/* False if what it depends on is more than that: then it has to be tried. */
bool tls_trial_kind(struct tls_ctx *ctx, const struct tls_settings *settings,
		    struct tls_trial_kind *kind);
bool tls_trial_has_passed(const struct tls_trial_passed *passed, const struct tls_trial_kind *kind);

/*
 * Whether clients get in at all: settings that OpenSSL takes one by one may leave nothing together,
 * or nothing at its security level. A client in memory that takes everything tries it. Calls told()
 * for each version of TLS that the settings allow and that nobody can use, and once where they
 * allow none: with nobody = true if no other version is left, and the option at fault, or NULL.
 * Returns whether it told of nothing.
 */
bool tls_trial(struct tls_ctx *ctx, const struct tls_settings *settings,
	       void (*told)(void *arg, bool nobody, const char *option, const char *why),
	       void *arg);

#endif
