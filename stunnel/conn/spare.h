/* SPDX-License-Identifier: ISC */
#ifndef SPARE_H
#define SPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "conn/admit.h"
#include "conn/back.h"
#include "conn/watch.h"
#include "sys/net.h"

/*
 * Backs that serve no client now: connections without TLS that owe nothing, and wait for a request
 * of any client. Each is watched: whatever comes while it waits, bytes or an end, closes it.
 */

/* Of a service. */
struct spare_limits {
	unsigned max; /* backs that wait, in one worker, for one route */
	int idle;     /* seconds for which one waits; a negative number: for ever */
	bool first;   /* a client's first request takes one, too: h1_limits.pool_first */
};

/* A back is given up for good so long after its first exchange: names and targets change. */
#define SPARE_AGE_MS 600000

/* Those of one route, the newest first, which is the next to be taken. Zeroed: none. */
struct spares {
	struct back *newest, *oldest;
	struct spares *next; /* in the set's list of all, once there was one */
	size_t column;	     /* on the board, which counts them */
	unsigned count;
	bool listed;
};

/* All of a worker. */
struct spare_set {
	uv_loop_t *loop;
	struct watch_set *watches;
	const struct admit *admit; /* whose board counts */
	struct spares *lists;
	uv_timer_t timer; /* runs while there are any */
	size_t count;
	bool stopped; /* none is kept any more */
};

/* Fills *set, whatever it held; *admit is looked at when the first back is given. */
void spare_open(struct spare_set *set, uv_loop_t *loop, struct watch_set *watches,
		const struct admit *admit);

/* Closes all at once, and keeps none from now on. */
void spare_stop(struct spare_set *set);

/* The same, and no handle of libuv's is left, once its loop has run. */
void spare_close(struct spare_set *set);

/*
 * Keeps a back that is connected to `target`, unless it was kept before, and through its plan: then
 * it is the list's, and nothing that it points to is its connection's. False: it is still the
 * caller's, who closes it. One too many closes the oldest. column: on the board.
 */
bool spare_give(struct spare_set *set, struct spares *list, const struct spare_limits *limits,
		size_t column, struct back *b, const struct net_addr *target);

/*
 * Takes the newest back to the target on which nothing has come, to the moment of this call, and
 * which is then the caller's, watched for nothing; NULL: there is none.
 */
struct back *spare_take(struct spare_set *set, struct spares *list, const struct net_addr *target);

#endif
