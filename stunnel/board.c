/* SPDX-License-Identifier: ISC */
#include "board.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

/* A cache line each: a row is written by its worker alone. */
struct row {
	_Alignas(64) _Atomic uint64_t since; /* when it began to serve; 0: nobody does */
};

struct board {
	size_t size; /* of the mapping */
	struct row *row;
};

uint64_t board_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

struct board *board_new(size_t workers)
{
	struct board *b = calloc(1, sizeof *b);

	if (!b)
		return NULL;
	b->size = workers * sizeof *b->row;
	b->row = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (b->row != MAP_FAILED)
		return b;
	free(b);
	return NULL;
}

void board_free(struct board *b)
{
	if (!b)
		return;
	munmap(b->row, b->size);
	free(b);
}

void board_serve(struct board *b, size_t worker)
{
	atomic_store(&b->row[worker].since, board_now());
}

bool board_served(const struct board *b, size_t worker)
{
	return atomic_load(&b->row[worker].since) != 0;
}

uint64_t board_vacate(struct board *b, size_t worker)
{
	uint64_t since = atomic_exchange(&b->row[worker].since, 0);

	return since != 0 ? board_now() - since : 0;
}
