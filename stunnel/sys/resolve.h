/* SPDX-License-Identifier: ISC */
#ifndef RESOLVE_H
#define RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "sys/net.h"
#include "sys/waiting.h"

/*
 * The names of backends that one worker looks up for its connections. At most one look-up of a
 * name is under way, in a thread of its own, for all who wait for it; what it found is kept for a
 * few seconds. So a name whose server is silent holds up nobody but its own clients.
 *
 * Old addresses outlive a name service that is silent or failing: they are used until it answers
 * again, be it that there is no such name.
 */

struct resolve_name;
struct resolve_mailbox;

/* The names of one service, or one that a client asks for. */
struct resolve_set;

/* All of one worker. */
struct resolve {
	uv_loop_t *loop;
	uv_async_t mail; /* threads have left answers */
	struct resolve_mailbox *mailbox;
	struct resolve_name *names;
	struct resolve_set *sets;
	size_t threads; /* of look-ups that are under way */
	bool waking;	/* sets are walked over: none may be freed */
};

/* False without memory. */
bool resolve_open(struct resolve *r, uv_loop_t *loop);

/*
 * Waits for no look-up that is under way. The loop must run until the handle is closed, and only
 * then may the rest be freed; nobody may wait then.
 */
void resolve_close(struct resolve *r);
void resolve_free(struct resolve *r);

/* A set of copies of the texts, which lasts as long as r if nobody drops it; NULL without memory.
 */
struct resolve_set *resolve_set(struct resolve *r, const char *const *texts, size_t count);

/* Whether so many look-ups are under way that none should begin for what a client makes up. */
bool resolve_busy(const struct resolve *r);

/* Forgets the set, which nobody waits for, and the names that no other set has. NULL: nothing. */
void resolve_drop(struct resolve_set *set);

/*
 * Whether there is nothing to wait for: every name has an answer that is new enough, or has been
 * asked for long enough while there are other or older addresses. Otherwise wait->wake is called
 * once when that may have changed: it may call anything of this module but close and free. Begins
 * the look-ups that are due.
 */
bool resolve_ready(struct resolve *r, struct resolve_set *set, struct waiting *wait);

/* When waiting should end for the addresses that there are, on uv_now()'s clock; or UINT64_MAX. */
uint64_t resolve_patience(const struct resolve_set *set);

/* Appends all addresses that are known now; false if there is none, with the reason in *why. */
bool resolve_take(const struct resolve_set *set, struct net_addrs *found, const char **why);

#endif
