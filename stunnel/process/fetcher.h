/* SPDX-License-Identifier: ISC */
#ifndef FETCHER_H
#define FETCHER_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "process/child.h"

/*
 * The process that asks OCSP responders for all workers: it may wait for them, each in a thread of
 * its own, and keeps their answers; those about our own certificates are left where workers find
 * them.
 */

struct fetcher_task {
	const struct config *config;
	const struct child_place *place;
	const int *asked; /* a socket to each worker */
	size_t workers;
	int lifeline; /* a pipe that becomes readable when the master ends */
};

/* Whether any section has a responder to ask. */
bool fetcher_needed(const struct config *config);

/* The main function of the process; returns the exit status. */
int fetcher_run(const struct fetcher_task *task);

#endif
