/* SPDX-License-Identifier: ISC */
#ifndef WRAPPER_H
#define WRAPPER_H

#include <stdbool.h>

#include "process/helper.h"

/*
 * The process that has the rules of hosts_access(5) asked about workers' clients, each in a process
 * of its own that ends with the answer: a name server that is slow holds up nobody else, and the
 * library, which has global state and follows whatever the rules say, has nothing to spoil.
 */

/* Whether any section asks. */
bool wrapper_needed(const struct config *config);

/* The main function of the process; returns the exit status. */
int wrapper_run(const struct helper_task *task);

#endif
