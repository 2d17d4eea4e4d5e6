/* SPDX-License-Identifier: ISC */
#ifndef HEALTH_H
#define HEALTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sys/net.h"

/*
 * Which addresses of backends failed a short while ago, as all workers know it. Shared memory, no
 * lock: an address is one word. A table that is full forgets the oldest, and what is not in it
 * counts as good. Times are milliseconds of the monotonic clock, which all processes share.
 */

/* For which a failed address is avoided, before one connection tries it again. */
#define HEALTH_HOLD_SECONDS 10

#define HEALTH_BUCKETS 64
#define HEALTH_WAYS 8 /* addresses a bucket */

/* Zeroed: nothing has failed. */
struct health {
	_Atomic uint64_t word[HEALTH_BUCKETS][HEALTH_WAYS];
};

/*
 * Whether an address is to be tried before those that failed. Of all who ask after the time of one
 * that failed is over, one is told yes, and to the others its time begins anew.
 */
bool health_try(struct health *h, const struct net_addr *addr, uint64_t now);

/* Note how a connect ended; true if the last one to this address had ended otherwise. */
bool health_failed(struct health *h, const struct net_addr *addr, uint64_t now);
bool health_works(struct health *h, const struct net_addr *addr);

#endif
