/* SPDX-License-Identifier: ISC */
#ifndef COUNTS_H
#define COUNTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/errors.h"

/*
 * How often each row of errors.h came up since the daemon started, in memory that all workers
 * share: what ends with a worker or a configuration is no part of it.
 */

/* Zeroed: nothing has come up. */
struct counts {
	_Atomic uint64_t of[ERR_COUNT];
};

void counts_add(struct counts *counts, enum error error);

/* Logs a line for each row that has come up, or nothing; whether there was any. */
bool counts_tell(const struct counts *counts);

#endif
