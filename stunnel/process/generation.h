/* SPDX-License-Identifier: ISC */
#ifndef GENERATION_H
#define GENERATION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "process/bind.h"
#include "sys/board.h"
#include "config/conf.h"

enum generation_state {
	GENERATION_STARTING = 0, /* nobody relies on it yet: one that dies is not replaced */
	GENERATION_SERVING,
	GENERATION_DRAINING, /* ends with its last connection */
};

struct generation_worker {
	pid_t pid;	   /* 0: there is none */
	unsigned failures; /* in a row: how often it ended as soon as it was there */
	uint64_t retry_at; /* on board_now()'s clock: not to be replaced before */
};

/* The workers of one configuration. */
struct generation {
	struct generation *next;
	enum generation_state state;
	struct config *config;
	struct generation_worker *worker;
	size_t count;
	struct board *board;
};

/* All that run, and what each worker is given a part of. */
struct generations {
	struct generation *first;	/* the newest */
	struct bind_address *addresses; /* that are listened on */
	struct conn_shared *shared;
	int lifeline[2];
	char **name; /* of every section that there ever was; its place is its column on the boards
		      */
	size_t names;
};

/* None runs yet. Takes over config; NULL without memory, and then it is the caller's still. */
struct generation *generation_new(struct generations *all, struct config *config);
void generation_free(struct generation *g);

/*
 * Starts all workers and waits until they accept connections; then those of the generations before
 * accept no more. False if one could not start, or if a signal that ends the daemon is pending:
 * what had started is ended again, and g is the caller's still.
 */
bool generation_start(struct generations *all, struct generation *g);

/* Whether a signal that ends the daemon is pending, which is why a start may have been given up. */
bool generation_told_to_end(void);

/* Tells all of them something, as WORKER_REOPEN. */
void generation_signal(const struct generation *g, int number);

/* Ends all workers of all generations, by force if they do not; returns when they have ended. */
void generation_stop(struct generations *all);

/* After SIGCHLD: logs what ended otherwise than it should, and frees what has ended as a whole. */
void generation_reap(struct generations *all);

/*
 * Replaces workers that have died: at once, but one that ends again and again as soon as it is
 * there only after a pause, which grows. Returns after how many milliseconds there is one to
 * replace, or -1; does not wait for it.
 */
int generation_replace(struct generations *all);

/* Frees all of them, and closes the addresses. */
void generation_forget(struct generations *all);

#endif
