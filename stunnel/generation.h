/* SPDX-License-Identifier: ISC */
#ifndef GENERATION_H
#define GENERATION_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "bind.h"
#include "conf.h"

/* The workers of one configuration. */
struct generation {
	struct generation *next;
	struct config *config;
	pid_t *worker; /* 0: has ended */
	size_t count;
	bool draining;
	char *log_path; /* of the log file as the master names it */
};

/* All that run, and what each worker is given a part of. */
struct generations {
	struct generation *first;	/* the newest */
	struct bind_address *addresses; /* that are listened on */
	struct conn_shared *shared;
	int lifeline[2];
	time_t last_respawn;
	bool respawn_due;
};

/* None runs yet. Takes over config; NULL without memory, and then it is the caller's still. */
struct generation *generation_new(struct config *config);
void generation_free(struct generation *g);

/* Starts all workers and waits until they accept connections; logs why they do not. */
bool generation_spawn(struct generations *all, struct generation *g);

/* Tells all of them: WORKER_DRAIN, WORKER_REOPEN. */
void generation_signal(const struct generation *g, int number);

/* Ends them, by force if they do not, and returns when they have ended. */
void generation_stop(struct generation *g);

/* After SIGCHLD: logs what ended otherwise than it should, and frees what has ended as a whole. */
void generation_reap(struct generations *all);

/* Replaces workers that have died. True if it is to be called again, after *wait at the latest. */
bool generation_respawn(struct generations *all, struct timespec *wait);

/* Frees all of them, and closes the addresses. */
void generation_forget(struct generations *all);

#endif
