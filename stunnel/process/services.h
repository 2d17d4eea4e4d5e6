/* SPDX-License-Identifier: ISC */
#ifndef SERVICES_H
#define SERVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "metrics/figures.h"

/* The services that there have been since the daemon began, and what they count. Zeroed: none. */
struct services {
	struct figures_service *service; /* place i has board_column(i) */
	size_t count;
	void *by_name, *by_label; /* trees of tsearch(3) */
	uint64_t layout;	  /* figures_layout(), which reads the whole table */
};

/* First of all: adds those that the program before this one counted for. False without memory. */
bool services_find_left(struct services *all);

/*
 * Gives each section its place, adding those that are new. A section keeps its column and its
 * counters through reloads: its limits count connections of old workers, too. False without memory.
 */
bool services_place(struct services *all, struct config *config, size_t workers);

/* For board_new() and board_left(): tells apart what so many columns of a board are of. */
uint64_t services_meaning(const void *services, size_t columns);

void services_free(struct services *all);

#endif
