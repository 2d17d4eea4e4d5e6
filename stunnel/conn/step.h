/* SPDX-License-Identifier: ISC */
#ifndef STEP_H
#define STEP_H

#include <stddef.h>
#include <stdint.h>

/*
 * A connection's life is a plan that is compiled from the configuration: an array of steps for its
 * front, and one for each of its backs. A step runs at every event until it says that the next one
 * may begin.
 */

struct conn;

enum step_result {
	STEP_WAIT = 0, /* for an event or the deadline */
	STEP_NEXT,     /* this step is done */
	STEP_AGAIN,    /* run what is the current step now: the plan went on elsewhere */
	STEP_CLOSE,    /* the connection has ended as it should */
	STEP_CUT,      /* in the middle: neither side is to take what it got for the whole of it */
	STEP_RESET,    /* the same, and nothing that is under way needs to arrive */
};

/* A step that never waits has `run` alone. */
struct step {
	enum step_result (*run)(struct conn *c, unsigned events); /* enum conn_event */
	uint64_t (*deadline)(const struct conn *c); /* on conn_now()'s clock; UINT64_MAX: none */
	enum step_result (*expired)(struct conn *c);
};

#define STEP_PLAN_MAX 8

/* Each half ends with NULL. */
struct step_plan {
	const struct step *front[STEP_PLAN_MAX]; /* the front's way, and the relay at its end */
	const struct step *back[STEP_PLAN_MAX];	 /* one back's way */
};

/* Where a half of a connection stands. */
struct step_at {
	const struct step *const *current; /* in its plan; points to NULL: it is through */
	uint64_t since;			   /* when this step began */
};

#endif
