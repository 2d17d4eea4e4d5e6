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
	STEP_AGAIN,    /* run the current step at once, after a jump or for another try */
	STEP_CLOSE,    /* the connection has ended as it should */
	STEP_CUT,   /* ended in the middle: neither side may take what it got for a whole message */
	STEP_RESET, /* as STEP_CUT, and bytes under way need not arrive */
	STEP_LEAVE, /* as STEP_CUT, but a plain side gets a FIN, not a reset */
};

/* A step that never waits has `run` alone. */
struct step {
	const char *name; /* in lists of connections: what the connection does now */
	enum step_result (*run)(struct conn *c, unsigned events); /* bits of enum conn_event */
	uint64_t (*deadline)(const struct conn *c);  /* on conn_now()'s clock; UINT64_MAX: none */
	enum step_result (*expired)(struct conn *c); /* called once the deadline is over */
};

#define STEP_PLAN_MAX 14 /* steps, with the NULL behind the last one */

/* One half's plan, which ends with NULL. */
struct step_plan {
	const struct step *step[STEP_PLAN_MAX];
};

/* How far a front, or a back, has come in its plan. */
struct step_at {
	const struct step *const *current; /* in the plan; at the NULL: it is through */
	uint64_t since;			   /* conn_now() when this step began */
};

#endif
