/* SPDX-License-Identifier: ISC */
#ifndef WAITING_H
#define WAITING_H

#include <stdbool.h>

/* Somebody's place in a list of those who wait; zeroed but for wake and owner: in none. */
struct waiting {
	struct waiting *next, **at;
	void (*wake)(void *owner);
	void *owner;
};

/* Takes a place, at the head of the list; *w is in none, and stays where it is meanwhile. */
void waiting_enter(struct waiting **list, struct waiting *w);

/* Gives the place up, if there is one; may be called at any time. */
void waiting_leave(struct waiting *w);

/* Gives the place up, and calls wake(), which may free *w. */
void waiting_wake(struct waiting *w);

static inline bool waiting_is(const struct waiting *w)
{
	return w->at;
}

#endif
