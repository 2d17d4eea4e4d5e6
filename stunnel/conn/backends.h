/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_H
#define BACKENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conn/tally.h"
#include "sys/net.h"

/*
 * What has happened at each address of a service that has several, which tells the slow one from
 * the others: counters in memory that all workers share, kept as tallies are. All workers add to
 * the same ones.
 */

#define BACKENDS_MAX 32 /* addresses of a service that are told apart */

/* Zeroed: none. */
struct backend {
	char text[NET_TEXT_MAX];
	bool used; /* the newest configuration has the address; the master's */
	tally_counter connected, failed;
	struct tally_times connect_times, first_byte_times;
};

struct backends {
	struct backend of[BACKENDS_MAX];
};

/*
 * Those of a service of that name: zeroed, or what the program before this one counted if `layout`
 * is the same (sys/shared). NULL without memory.
 */
struct backends *backends_new(const char *service, uint64_t layout);
void backends_free(struct backends *all); /* NULL: nothing */

/* Whether the program before this one has some of that name, which nobody has asked for. */
bool backends_left(const char *service, uint64_t layout);

/* Before the addresses of a configuration are entered: forgets those of the one before. */
void backends_begin(struct backends *all);

/*
 * The counters of an address, new ones in the place of one that is not used any more; NULL: so many
 * are used that this one is not told apart.
 */
struct backend *backends_enter(struct backends *all, const struct net_addr *addr);

#endif
