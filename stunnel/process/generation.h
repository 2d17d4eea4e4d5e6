/* SPDX-License-Identifier: ISC */
#ifndef GENERATION_H
#define GENERATION_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "process/bind.h"
#include "process/child.h"
#include "process/helper.h"
#include "process/renewal.h"
#include "process/services.h"

/* One configuration, and the children that serve it. */
struct generation {
	struct generation *next; /* an older one */
	struct generations *all;
	struct config *config;
	struct children children;
	size_t workers;				   /* the first children are the workers */
	struct helper_sockets revocation, libwrap; /* of helpers that there are */
	struct renewal_sockets renewal;
};

/* All generations that run, and what they share. */
struct generations {
	struct generation *first;	/* the newest */
	struct bind_address *addresses; /* listened on for the newest configuration */
	int streams[2]; /* what inetd started us with, to read from and to write to; else -1 */
	struct conn_shared *shared;
	struct tally_daemon *daemon;
	_Atomic uint32_t *listed; /* connections, since a list of them was asked for */
	int lifeline[2]; /* a pipe without data: children read its end when the master ends */
	struct bind_address *metrics; /* where the figures of the newest one are served */
	struct services services;     /* all so far */
	struct board *before; /* of programs before this one, whose workers drain; or NULL */
	/* What the master does while new children start, as child_calls' of this name; or NULL. */
	int (*waiting)(const struct generations *all);
};

/*
 * First of all: the counters, which go on from those that the program before this one left. False
 * without memory.
 */
bool generation_count(struct generations *all);

/* No child runs yet. Takes over config; NULL without memory, and config stays the caller's. */
struct generation *generation_new(struct generations *all, struct config *config);
void generation_free(struct generation *g);

/*
 * Starts all children, waits until they are ready, and drains those of earlier generations, which
 * accept no more when this returns; *all then owns g. False if a child could not start, or if
 * child_told_to_end(): children of g that serve already drain beside an earlier generation's, and
 * if there are any generation_is_owned(). Else no child of g is left, and the caller frees g.
 */
bool generation_start(struct generations *all, struct generation *g);
bool generation_is_owned(const struct generations *all, const struct generation *g);

/*
 * Looks after what programs before this one count; milliseconds until that is to be done again, or
 * -1.
 */
int generation_look_before(struct generations *all);

/* Ends all children of all generations, by force after some seconds; returns without any left. */
void generation_stop(struct generations *all);

/*
 * Closes the listening sockets and drains all generations: when their children have ended there is
 * none any more.
 */
void generation_drain(struct generations *all);

/* After SIGCHLD: calls child_ended() for ended processes, and frees drained generations. */
void generation_reap(struct generations *all);

/*
 * For inetd mode, once the generation runs: only its worker has the streams then, and no child of
 * it is replaced. There is no generation any more when the worker's connection has ended.
 */
void generation_serve_streams(struct generations *all);

/*
 * Has every worker that serves list its connections in the log, also those of programs before this
 * one, whose masters get SIGUSR2 and call generation_list_asked(). generation_unlisted() is how
 * many have not come to the end of that.
 */
void generation_list(struct generations *all);
void generation_list_asked(const struct generations *all);
size_t generation_unlisted(const struct generations *all);

/* Frees all generations and closes the addresses. */
void generation_forget(struct generations *all);

#endif
