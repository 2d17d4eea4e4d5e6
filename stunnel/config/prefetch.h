/* SPDX-License-Identifier: ISC */
#ifndef PREFETCH_H
#define PREFETCH_H

#include <stdbool.h>
#include <stddef.h>

#include "config/arena.h"
#include "sys/net_lookup.h"

/*
 * The names of a whole configuration, looked up together and for two seconds at most: a start or a
 * reload must not wait for a name service as often as there are names. A signal that ends the
 * daemon ends it, too, and stays pending.
 *
 * The look-ups run in threads of a child process, which is gone afterwards: the master forks, so
 * that it can have no threads.
 */

/* Zeroed but for the arena: no names. */
struct prefetch {
	struct arena *arena; /* of the configuration, which outlives it */
	struct net_lookup *lookup;
	size_t count;
};

/* Notes an address in net_lookup()'s form, if it takes a look-up. */
void prefetch_add(struct prefetch *p, const char *text, bool passive);

void prefetch_run(struct prefetch *p);

/*
 * As net_lookup(), but never blocks for what was added: what has not been answered in time is
 * NET_NO_ANSWER.
 */
enum net_answer prefetch_resolve(const struct prefetch *p, const char *text, bool passive,
				 struct net_addrs *list, char why[static 256]);

void prefetch_free(struct prefetch *p);

#endif
