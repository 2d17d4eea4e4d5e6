/* SPDX-License-Identifier: ISC */
#ifndef LISTING_H
#define LISTING_H

#include <uv.h>

#include "conn/conn.h"

/*
 * Lists a worker's connections in the log, some at a time: a worker with many goes on serving them
 * meanwhile. One that begins after the list did is not in it.
 */
struct listing {
	struct conn_pool *pool;
	uv_timer_t timer;
	void (*done)(struct listing *l); /* all are listed */
	uint32_t listed;		 /* lines so far */
};

/* What the connection waits for, in a word or two. */
const char *listing_phase(const struct conn *c);

/* pool must outlive *l; done is called once for each listing_begin() that was heard. */
void listing_open(struct listing *l, struct conn_pool *pool, void (*done)(struct listing *l));

/* Begins a list; one that is under way begins anew. */
void listing_begin(struct listing *l);

/* Ends a list that is under way, without done(). *l must stay until the loop has closed handles. */
void listing_close(struct listing *l);

#endif
