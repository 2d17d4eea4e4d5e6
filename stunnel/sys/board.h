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
 *
 * A row counts the worker's connections in columns: all of them, and those of each service. A
 * service has the same column in all generations, if the later ones have more.
 */
struct board;

#define BOARD_ALL 0 /* the column of all services together */

/* What has a column for each service; the first column of the one at a place. */
enum board_of_service { BOARD_CONNECTIONS = 0, BOARD_SPARES, BOARD_OF_SERVICE };

static inline size_t board_column(size_t place)
{
	return BOARD_ALL + 1 + place * BOARD_OF_SERVICE;
}

/* Memory of a row for what its worker says in more than numbers. */
struct board_sheet {
	size_t size;	 /* bytes; 0: there is none */
	uint64_t layout; /* another number where it is used in another way */
};

struct board_plan {
	size_t workers, columns;
	size_t keys; /* connections of a worker that are counted by a key as well; 0: none is */
	uint64_t meaning; /* another number where columns, or keys, mean something else */
	struct board_sheet sheet;
};

struct board *board_new(const struct board_plan *plan); /* NULL without memory */
void board_free(struct board *b);			/* NULL: nothing */

/* In the process that stays the master. No fork(2) inherits that; board_settle() looks for it. */
void board_own(const struct board *b);

/*
 * In a program that takes another one's place, before shared_settle(): the boards of that one, and
 * of those before it, linked; NULL: there are none. meaning(arg, columns) is what board_new() would
 * be told of so many columns: boards with another one are left out.
 */
struct board *board_left(uint64_t (*meaning)(const void *arg, size_t columns), const void *arg);

/*
 * Frees those of board_left() whose master has ended, whatever has become of it; their sums are 0
 * then, in workers, too. What is left of them.
 */
struct board *board_settle(struct board *left);
void board_forget(struct board *left); /* frees all; NULL: nothing */

/* Sends the signal once to each master of boards of board_left(), as shared_tell_owner() does. */
void board_tell_masters(const struct board *left, int number);

/* Sums include those of an older generation and of all before it. NULL: there is none. */
void board_link(struct board *b, const struct board *older);

/* In a worker: it accepts connections from now on, at most `room` at once. */
void board_serve(struct board *b, size_t worker, size_t room);

bool board_served(const struct board *b, size_t worker);

/* The `room` of a worker's board_serve(); valid when board_served(). */
size_t board_room(const struct board *b, size_t worker);

/*
 * In the master: the worker has ended, and its connections with it. For how many milliseconds it
 * served; 0: it never did.
 */
uint64_t board_vacate(struct board *b, size_t worker);

/* In a worker: adds to its connections of a column; negative for those that have ended. */
void board_add(struct board *b, size_t worker, size_t column, int connections);

/* Connections of a column, of all workers that serve. */
uint64_t board_sum(const struct board *b, size_t column);

/* Workers, and their places from 0 on: also those of an older generation and of all before it. */
size_t board_workers(const struct board *b);

/*
 * The sheet of a worker that serves, aligned for anything and zeroed at first; NULL: it does not,
 * or has none of that layout. Who reads it believes no number and no end of a text there: it may be
 * anybody's.
 */
void *board_sheet(const struct board *b, size_t worker, uint64_t layout);

/*
 * In a worker: one more connection, or one less, of a key, which is evenly distributed as a hash
 * is. board_enter() tells how many the key has now, of all workers; 0: it was not counted, since
 * the worker's row is full of others.
 */
uint64_t board_enter(struct board *b, size_t worker, uint64_t key);
void board_leave(struct board *b, size_t worker, uint64_t key);

/* What a worker is asked for: to list its connections, and to accept no more of them. */
enum board_request { BOARD_LIST = 1 << 0, BOARD_ACCEPT_NO_MORE = 1 << 1 };

/*
 * The master asks all workers that accept connections for something, also those of older
 * generations; a worker says when it is done. Workers that have yet to say so: one that ends is
 * none of them.
 */
void board_ask(const struct board *b, enum board_request request);
bool board_is_asked(const struct board *b, size_t worker, enum board_request request);
void board_answer(struct board *b, size_t worker, enum board_request request);
size_t board_unanswered(const struct board *b, enum board_request request);

/* In a worker, again and again, and in the master when it starts one: the worker is alive. */
void board_beat(struct board *b, size_t worker);

/* board_now() of the last board_beat(). */
uint64_t board_beaten(const struct board *b, size_t worker);

/* Milliseconds on a clock that nobody sets. */
uint64_t board_now(void);

#endif
