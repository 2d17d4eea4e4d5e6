/* SPDX-License-Identifier: ISC */
#ifndef ARENA_H
#define ARENA_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Memory of a configuration: blocks that live as long as it does and are freed together. Failure is
 * sticky: after an allocation that failed all others fail, so that a load need ask only once, at
 * its end, whether it had memory. A NULL that is stored until then reads as an unset option.
 */

#define ARENA_LISTS 256

/* Zeroed: empty. */
struct arena {
	struct arena_chunk *chunk;		 /* the newest, from which blocks are cut */
	struct arena_piece *shared[ARENA_LISTS]; /* of arena_share(), by their hashes */
	bool failed;
};

/* A zeroed block, aligned for any type; NULL if the arena has failed. */
void *arena_alloc(struct arena *arena, size_t size);

/* A copy of the text; NULL for NULL, or if the arena has failed. */
const char *arena_text(struct arena *arena, const char *text);

/* What printf() would print; NULL if the arena has failed. */
const char *arena_format(struct arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * A copy of an array of `count` items of `size` bytes each, with room for one more. The array stays
 * as it is for those who share it. NULL if the arena has failed.
 */
void *arena_grown(struct arena *arena, const void *array, size_t count, size_t size);

/* As arena_grown(), for an array that nobody shares: copied only when `count` is a power of two. */
void *arena_grow(struct arena *arena, void *array, size_t count, size_t size);

/*
 * A copy of the block, or that of an earlier call with the same bytes: nobody may write into it.
 * NULL if the arena has failed.
 */
const void *arena_share(struct arena *arena, const void *block, size_t size);

/* Frees all blocks; the arena is empty afterwards, and has not failed. */
void arena_free(struct arena *arena);

#endif
