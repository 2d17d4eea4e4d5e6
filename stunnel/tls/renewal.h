/* SPDX-License-Identifier: ISC */
#ifndef TLS_RENEWAL_H
#define TLS_RENEWAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/ctx.h"
#include "tls/fault.h"
#include "tls/settings.h"

/*
 * Certificates and keys that change while their context serves. One process, which may read the
 * files, takes what they hold, and hands it to others as a packet. Connections have a copy of
 * what the context had when they began; tickets, caches and all else of a context stay.
 */

#define TLS_RENEWAL_MAX 65536 /* bytes of a packet */

/* Why the files of the settings cannot be watched, a text of its own; NULL: they can. */
const char *tls_renewal_obstacle(const struct tls_settings *settings);

/*
 * A number that changes with the files of the settings, and with what their paths lead to; the
 * same for all files that are missing alike. Nothing is read.
 */
uint64_t tls_renewal_mark(const struct tls_settings *settings);
uint64_t tls_renewal_staple_mark(const struct tls_settings *settings); /* of its file, if any */

/*
 * Reads the files, and gives a context that serves the certificates and keys in them. False, told,
 * if any of them is no pair, or cannot be handed on: then the context is as before.
 */
bool tls_renewal_take(struct tls_ctx *ctx, const struct tls_settings *settings,
		      const struct tls_fault_to *to);

/*
 * Writes the context's certificates and keys, which the caller wipes. How many bytes; 0: they are
 * more than max, or their keys are not to be had.
 */
size_t tls_renewal_pack(struct tls_ctx *ctx, unsigned char *packet, size_t max);

/*
 * Gives the context what a packet holds. False for a packet that is none, after which the context
 * is as before, or without memory.
 */
bool tls_renewal_use(struct tls_ctx *ctx, const unsigned char *packet, size_t len);

#endif
