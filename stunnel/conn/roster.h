/* SPDX-License-Identifier: ISC */
#ifndef ROSTER_H
#define ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conn/flight.h"
#include "sys/net.h"

/*
 * What the workers' connections do at the moment, for whoever looks at it: memory that the workers
 * of one generation share with the server of metrics. A worker writes it again and again, but only
 * while somebody looks, and no more than its oldest connections.
 */
struct roster;

#define ROSTER_LINES 128 /* of one worker */
#define ROSTER_NAME_MAX 64
#define ROSTER_PHASE_MAX 20

/* Texts end with NUL. */
struct roster_line {
	uint64_t age;			/* seconds */
	uint64_t to_backend, to_client; /* bytes */
	char service[ROSTER_NAME_MAX];	/* cut there */
	char peer[NET_TEXT_MAX];	/* ADDRESS:PORT */
	char phase[ROSTER_PHASE_MAX];	/* what is waited for */
	char request[FLIGHT_MAX + 1];	/* that is not answered; empty: none */
};

/* NULL without memory. */
struct roster *roster_new(size_t workers);
void roster_free(struct roster *r); /* NULL: nothing */

/* Says that somebody looks, for some seconds. */
void roster_look(struct roster *r);

struct conn_pool;

/* In a worker, each second: writes its connections if somebody looks. NULL: nothing. */
void roster_write(struct roster *r, size_t worker, const struct conn_pool *pool);

/*
 * Copies what the worker has written lately, the oldest connection first; how many lines, 0 if that
 * was nothing. False at `worker` = the number of workers.
 */
bool roster_read(const struct roster *r, size_t worker,
		 struct roster_line line[static ROSTER_LINES], size_t *count);

#endif
