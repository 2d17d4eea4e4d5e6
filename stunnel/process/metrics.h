/* SPDX-License-Identifier: ISC */
#ifndef PROCESS_METRICS_H
#define PROCESS_METRICS_H

#include <stdbool.h>

#include "config/config.h"
#include "metrics/figures.h"
#include "process/child.h"

/*
 * The process that serves the figures: it has no keys, no sockets of services, and can only read
 * what workers count.
 */

struct metrics_task {
	struct config *config;
	const struct child_place *place;
	struct figures figures;
	int listener; /* a listening socket, which it closes */
	int lifeline; /* a pipe that becomes readable when the master ends */
};

bool metrics_needed(const struct config *config);

/* The main function of the process; returns the exit status. */
int metrics_run(const struct metrics_task *task);

#endif
