/* SPDX-License-Identifier: ISC */
#ifndef FETCHER_H
#define FETCHER_H

#include <stdbool.h>

#include "process/helper.h"

/*
 * The process that asks OCSP responders for all workers: it may wait for them, each in a thread of
 * its own, and keeps their answers; those about our own certificates are left where workers find
 * them.
 */

/* Whether any section has a responder to ask. */
bool fetcher_needed(const struct config *config);

/* The main function of the process; returns the exit status. */
int fetcher_run(const struct helper_task *task);

#endif
