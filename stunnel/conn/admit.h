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
	uint32_t max;	   /* of all workers of all generations together; 0: any number */
	size_t room;	   /* of this worker */
	size_t held;	   /* now */
	uv_timer_t second; /* runs for a second after a line on connections that were turned away */
	unsigned untold;   /* turned away meanwhile */
	uint64_t full_told;
};

/* Of one service; the service that accepts counts, whatever a server name leads to. */
struct admit_service {
	uint32_t max;  /* 0: any number */
	size_t column; /* on the board */
};

/* room is set later; until then there is none. */
void admit_open(struct admit *a, uv_loop_t *loop, struct board *board, size_t worker, uint32_t max);
void admit_close(struct admit *a);

/*
 * For how many connections descriptors are left, after what this process holds, and `spare` more
 * for what comes and goes.
 */
size_t admit_room(size_t spare);

/* Before accept(2): whether there are descriptors for one more. */
bool admit_has_room(const struct admit *a);

/* Somebody waits, and there is no room: logged, once a second. */
void admit_full(struct admit *a);

/* Counts a connection that was accepted; false: it is one too many, and that was logged. */
bool admit_enter(struct admit *a, const struct admit_service *service, const char *name);

/* It has ended. True if there was no room until now. */
bool admit_leave(struct admit *a, const struct admit_service *service);

#endif
