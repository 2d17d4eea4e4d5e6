/* SPDX-License-Identifier: ISC */
#ifndef ADMIT_H
#define ADMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "sys/board.h"

/*
 * How many connections a worker may hold. What its descriptors allow is a matter of waiting: it
 * accepts nothing more until a connection ends. What maxConnections allows, of a service or of the
 * whole process, is a matter of turning away.
 */
struct admit {
	struct board *board; /* of the generation; this worker has the row `worker` */
	size_t worker;
	uint32_t max;	   /* connections of all workers of all generations; 0: any number */
	size_t room;	   /* connections that this worker's descriptors allow */
	size_t held;	   /* connections of this worker now */
	uv_timer_t second; /* runs for a second after a line on connections that were turned away */
	unsigned untold;   /* connections turned away while `second` runs */
	uint64_t full_told; /* when admit_full() last logged, in milliseconds; 0: never */
};

/* Of one service; the service that accepts counts, whatever a server name leads to. */
struct admit_service {
	uint32_t max;  /* 0: any number */
	size_t column; /* on the board */
};

/* Begins with no room: the caller sets a->room. The board must outlive *a. */
void admit_open(struct admit *a, uv_loop_t *loop, struct board *board, size_t worker, uint32_t max);
void admit_close(struct admit *a);

/*
 * For how many connections RLIMIT_NOFILE leaves descriptors, beside those that this process has
 * open and `spare` more for what comes and goes.
 */
size_t admit_room(size_t spare);

/* Before accept(2): whether there are descriptors for one more. */
bool admit_has_room(const struct admit *a);

/* Logs, once a second at most, that clients wait because the worker has no room. */
void admit_full(struct admit *a);

/* Counts an accepted connection; false: it is one too many, which is logged, and not counted. */
bool admit_enter(struct admit *a, const struct admit_service *service, const char *name);

/* Counts a connection no more, since it has ended; true if the worker had no room until now. */
bool admit_leave(struct admit *a, const struct admit_service *service);

#endif
