/* SPDX-License-Identifier: ISC */
#ifndef REQUESTS_H
#define REQUESTS_H

#include <stdint.h>
#include <uv.h>

#include "conn/backends.h"
#include "conn/tally.h"
#include "core/h1.h"

/*
 * The requests of one connection, counted by what they were answered with: each one for which
 * exchange.h has a line, and at the same moment. It watches the conversation and passes on to the
 * access log, if there is one, what it sees.
 */

#define REQUESTS_MAX (H1_PIPELINE_MAX + 1) /* that are let through, and one that is refused */

/* Zeroed: none is counted, and requests_end() has nothing to do. */
struct requests {
	struct tally *tally;
	struct backend *backend;     /* set by the owner: whose answers come; NULL: not counted */
	const struct h1_watch *next; /* NULL: nobody else watches */
	void *next_owner;
	const uv_loop_t *loop;	      /* whose clock is read */
	unsigned waiting;	      /* for the end of their answer */
	int status;		      /* of the oldest one's answer; 0: none has come */
	uint32_t begun[REQUESTS_MAX]; /* when they came, in milliseconds; from `first` on */
	unsigned first;
};

/* Watches h1 from here on, beside whoever does already. All that is pointed to outlives *r. */
void requests_begin(struct requests *r, struct tally *tally, const uv_loop_t *loop, struct h1 *h1);

/* Our answer to `error` is the next response that the client gets. */
void requests_answer(struct requests *r, enum error error);

/* The connection is over: requests without an answer are counted as well. */
void requests_end(struct requests *r);

#endif
