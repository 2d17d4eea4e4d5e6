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
 * daemon ends the look-ups, too, and stays pending.
 *
 * The look-ups run in threads of a child process, which is gone afterwards: the master can have no
 * threads, since it forks.
 */

/* Zeroed but for the arena: no names. */
struct prefetch {
	struct arena *arena; /* of the configuration, and outlives *p */
	struct net_lookup *lookup;
	size_t count;
};

/* Notes an address in net_lookup()'s form, if it takes a look-up. passive: to listen on. */
void prefetch_add(struct prefetch *p, const char *text, bool passive);

/* Looks up all that was added. What fails, as a fork, is logged, and leaves names unanswered. */
void prefetch_run(struct prefetch *p);

/*
 * As net_lookup(), but never blocks for what was added: a name that was not answered in time is
 * NET_NO_ANSWER.
 */
enum net_answer prefetch_resolve(const struct prefetch *p, const char *text, bool passive,
				 struct net_addrs *list, char why[static 256]);

void prefetch_free(struct prefetch *p);

#endif
