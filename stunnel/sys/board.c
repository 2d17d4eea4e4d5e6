/* SPDX-License-Identifier: ISC */
#include "sys/board.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define CACHE_LINE 64

/* A worker writes its own row only; rows share no cache line, so that no worker slows another. */
struct row {
	_Atomic uint64_t since;	  /* board_now() when the worker began to serve; 0: none does */
	_Atomic uint64_t room;	  /* connections that the worker can hold */
	_Atomic uint64_t beaten;  /* board_now() when the worker was last known to be alive */
	_Atomic bool asked;	  /* the master waits for the worker's answer */
	_Atomic uint32_t count[]; /* open connections, by column */
};

struct board {
	const struct board *older;
	size_t workers, columns;
	size_t size; /* bytes from one row to the next */
	char *rows;
};

static struct row *row_of(const struct board *b, size_t worker)
{
	return (struct row *)(void *)(b->rows + worker * b->size);
}

uint64_t board_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

struct board *board_new(size_t workers, size_t columns)
{
	struct board *b = calloc(1, sizeof *b);
	size_t size = sizeof(struct row) + columns * sizeof(_Atomic uint32_t);

	if (!b)
		return NULL;
	b->workers = workers;
	b->columns = columns;
	b->size = (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	b->rows = mmap(NULL, workers * b->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (b->rows != MAP_FAILED)
		return b;
	free(b);
	return NULL;
}

void board_free(struct board *b)
{
	if (!b)
		return;
	munmap(b->rows, b->workers * b->size);
	free(b);
}

void board_link(struct board *b, const struct board *older)
{
	b->older = older;
}

void board_serve(struct board *b, size_t worker, size_t room)
{
	atomic_store(&row_of(b, worker)->room, room);
	atomic_store(&row_of(b, worker)->since, board_now());
}

bool board_served(const struct board *b, size_t worker)
{
	return atomic_load(&row_of(b, worker)->since) != 0;
}

size_t board_room(const struct board *b, size_t worker)
{
	return atomic_load(&row_of(b, worker)->room);
}

uint64_t board_vacate(struct board *b, size_t worker)
{
	struct row *row = row_of(b, worker);
	uint64_t since = atomic_exchange(&row->since, 0);

	atomic_store(&row->asked, false);
	for (size_t i = 0; i < b->columns; i++)
		atomic_store(&row->count[i], 0);
	return since != 0 ? board_now() - since : 0;
}

void board_ask(struct board *b, size_t worker)
{
	atomic_store(&row_of(b, worker)->asked, true);
}

void board_answer(struct board *b, size_t worker)
{
	atomic_store(&row_of(b, worker)->asked, false);
}

size_t board_unanswered(const struct board *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->workers; i++)
		n += atomic_load(&row_of(b, i)->asked);
	return n;
}

void board_beat(struct board *b, size_t worker)
{
	atomic_store(&row_of(b, worker)->beaten, board_now());
}

uint64_t board_beaten(const struct board *b, size_t worker)
{
	return atomic_load(&row_of(b, worker)->beaten);
}

void board_add(struct board *b, size_t worker, size_t column, int connections)
{
	atomic_fetch_add(&row_of(b, worker)->count[column], (uint32_t)connections);
}

uint64_t board_sum(const struct board *b, size_t column)
{
	uint64_t sum = 0;

	for (; b; b = b->older)
		for (size_t i = 0; column < b->columns && i < b->workers; i++)
			sum += atomic_load(&row_of(b, i)->count[column]);
	return sum;
}
