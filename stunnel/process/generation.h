/* SPDX-License-Identifier: ISC */
#ifndef GENERATION_H
#define GENERATION_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "process/bind.h"
#include "process/child.h"

/* One configuration, and the children that serve it. */
struct generation {
	struct generation *next; /* an older one */
	struct generations *all;
	struct config *config;
	struct children children;
	size_t workers; /* of the children: the first ones */
};

/* All that run, and what each child is given a part of. */
struct generations {
	struct generation *first;	/* the newest */
	struct bind_address *addresses; /* that are listened on */
	struct conn_shared *shared;
	int lifeline[2]; /* a pipe that nobody writes to: its end tells children of the master's */
	char **name;	 /* of each section there ever was; its place is its column on the boards */
	size_t names;
};

/* None runs yet. Takes over config; NULL without memory, and then it is the caller's still. */
struct generation *generation_new(struct generations *all, struct config *config);
void generation_free(struct generation *g);

/*
 * Starts all children and waits until they are ready; then those of the generations before are
 * drained. False if one could not start, or if child_told_to_end(): what had started is ended
 * again, and g is the caller's still.
 */
bool generation_start(struct generations *all, struct generation *g);

/* Ends all children of all generations, by force if they do not; returns when they have ended. */
void generation_stop(struct generations *all);

/* After SIGCHLD: child_ended() for all that has, and frees generations that have ended as a whole.
 */
void generation_reap(struct generations *all);

/* Frees all of them, and closes the addresses. */
void generation_forget(struct generations *all);

#endif
