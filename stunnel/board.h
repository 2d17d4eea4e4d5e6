/* SPDX-License-Identifier: ISC */
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the workers of one generation and the master know of one another: memory that they share, a
 * row for each worker. Made before the first of them is forked. The row outlives its worker, and
 * the one that takes its place has it.
 */
struct board;

/* NULL without memory. */
struct board *board_new(size_t workers);
void board_free(struct board *b); /* NULL: nothing */

/* In a worker: it accepts connections from now on. */
void board_serve(struct board *b, size_t worker);

bool board_served(const struct board *b, size_t worker);

/* In the master: the worker has ended. For how many milliseconds it served; 0: it never did. */
uint64_t board_vacate(struct board *b, size_t worker);

/* Milliseconds on a clock that nobody sets. */
uint64_t board_now(void);

#endif
