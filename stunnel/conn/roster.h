/* SPDX-License-Identifier: ISC */
#ifndef ROSTER_H
#define ROSTER_H

#include <stddef.h>
#include <stdint.h>

#include "conn/flight.h"
#include "sys/board.h"
#include "sys/net.h"

/*
 * What the workers' connections do at the moment, for whoever looks at it: on the sheet that each
 * of them has on the board. A worker writes it again and again, but only while somebody looks, and
 * no more than its oldest connections.
 */

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

/* What a board needs for it. */
struct board_sheet roster_sheet(void);

/* Tells all workers of the board, and of older ones, that somebody looks, for some seconds. */
void roster_look(const struct board *b);

struct conn_pool;

/* In a worker, each second: writes its connections if somebody looks. */
void roster_write(const struct board *b, size_t worker, const struct conn_pool *pool);

/*
 * Copies what the worker, one of board_workers(), has written lately, the oldest connection first;
 * how many lines, 0 if that was nothing.
 */
size_t roster_read(const struct board *b, size_t worker,
		   struct roster_line line[static ROSTER_LINES]);

#endif
