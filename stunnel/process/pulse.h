/* SPDX-License-Identifier: ISC */
#ifndef PULSE_H
#define PULSE_H

#include <uv.h>

#include "process/child.h"

/* Of how many parts of the watchdog's time a child beats once, and the master looks once. */
#define PULSE_PARTS 4

/*
 * In a child: says on the board, as often as a service manager's watchdog needs it, that its loop
 * still turns. Without a watchdog it does nothing.
 */
struct pulse {
	uv_timer_t timer;
	const struct child_place *place; /* NULL: it does not beat */
};

void pulse_start(struct pulse *p, uv_loop_t *loop, const struct child_place *place);
void pulse_stop(struct pulse *p); /* its timer closes with the loop's next turn */

#endif
