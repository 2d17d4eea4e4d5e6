/* SPDX-License-Identifier: ISC */
#include "sys/board.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sys/shared.h"

#define CACHE_LINE 64
#define NAME_BEGINS "board " /* among names of shared memory */

/*
 * Connections by key: a word a key, which has the key's high bits, and in place of the low ones the
 * number of connections; 0: free. A key's word is anywhere in the bucket that the low bits choose.
 * With a fourth of the words in use a bucket has 8 of them, and one that is full is a matter of
 * 10^-10. Only the row's worker writes, so that no word has to be locked, and a crashed one's are
 * wiped with the row.
 */
#define BUCKET 32 /* words */
#define BUCKETS_MAX 32768
#define NUMBER_BITS 20
#define NUMBER_MASK ((UINT64_C(1) << NUMBER_BITS) - 1)

typedef _Atomic uint64_t word;

/* A worker writes its own row only; rows share no cache line, so that no worker slows another. */
struct row {
	_Atomic uint64_t since;	  /* board_now() when the worker began to serve; 0: none does */
	_Atomic uint64_t room;	  /* connections that the worker can hold */
	_Atomic uint64_t beaten;  /* board_now() when the worker was last known to be alive */
	_Atomic unsigned asked;	  /* requests that the master waits for the worker to answer */
	_Atomic uint32_t count[]; /* open connections, by column */
};

struct board {
	const struct board *older;
	size_t workers, columns, buckets;
	struct board_sheet sheet;
	size_t size;		   /* bytes from one row to the next */
	size_t words_at, sheet_at; /* where in a row they begin */
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

static size_t whole_lines(size_t size)
{
	return (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

static size_t buckets_for(size_t keys)
{
	size_t buckets = keys / (BUCKET / 4) + (keys != 0);

	return buckets < BUCKETS_MAX ? buckets : BUCKETS_MAX;
}

static uint64_t layout(void)
{
	const size_t facts[] = {offsetof(struct row, count), CACHE_LINE, BUCKET, NUMBER_BITS};

	return shared_layout(0, facts, sizeof facts);
}

static void lay_out(struct board *b)
{
	b->words_at = whole_lines(sizeof(struct row) + b->columns * sizeof(_Atomic uint32_t));
	b->sheet_at = b->words_at + whole_lines(b->buckets * BUCKET * sizeof(word));
	b->size = b->sheet_at + whole_lines(b->sheet.size);
}

struct board *board_new(const struct board_plan *plan)
{
	struct board *b = calloc(1, sizeof *b);
	char name[160];

	if (!b)
		return NULL;
	b->workers = plan->workers;
	b->columns = plan->columns;
	b->buckets = buckets_for(plan->keys);
	b->sheet = plan->sheet;
	lay_out(b);
	snprintf(name, sizeof name, NAME_BEGINS "%zu %zu %zu %zu %" PRIx64 " %" PRIx64, b->workers,
		 b->columns, b->buckets, b->sheet.size, b->sheet.layout, plan->meaning);
	b->rows = shared_map(name, layout(), b->workers * b->size);
	if (b->rows)
		return b;
	free(b);
	return NULL;
}

void board_own(const struct board *b)
{
	shared_own(b->rows);
}

void board_free(struct board *b)
{
	if (!b)
		return;
	shared_unmap(b->rows);
	free(b);
}

/* --- of programs before this one -------------------------------------------------------------- */

/* The name is a master's, and what is in the memory may be anybody's. */
static uint64_t read_name(struct board *b, const char *name)
{
	size_t *const number[] = {&b->workers, &b->columns, &b->buckets, &b->sheet.size};
	char *end = (char *)(uintptr_t)name + strlen(NAME_BEGINS);

	for (size_t i = 0; i < sizeof number / sizeof number[0]; i++)
		*number[i] = strtoul(end, &end, 10);
	b->sheet.layout = strtoull(end, &end, 16);
	lay_out(b);
	return strtoull(end, NULL, 16);
}

struct board *board_left(uint64_t (*meaning)(const void *arg, size_t columns), const void *arg)
{
	struct board *left = NULL, *b;
	const char *name;

	while ((name = shared_left_name(NAME_BEGINS, layout()))) {
		size_t size = shared_left(name, layout());
		char *own = strdup(name);

		b = calloc(1, sizeof *b);
		if (!own || !b) {
			free(own);
			free(b);
			break;
		}
		b->rows = shared_map(own, layout(), size);
		if (b->rows && read_name(b, own) == meaning(arg, b->columns) &&
		    size == b->workers * b->size) {
			b->older = left;
			left = b;
		} else {
			board_free(b);
		}
		free(own);
	}
	return left;
}

struct board *board_settle(struct board *left)
{
	struct board *older = left ? board_settle((struct board *)(uintptr_t)left->older) : NULL;

	if (!left)
		return NULL;
	left->older = older;
	if (shared_owner(left->rows) != 0)
		return left;
	for (size_t i = 0; i < left->workers; i++)
		board_vacate(left, i);
	board_free(left);
	return older;
}

void board_forget(struct board *left)
{
	while (left) {
		struct board *older = (struct board *)(uintptr_t)left->older;

		board_free(left);
		left = older;
	}
}

/* The boards of one master follow on one another. */
void board_tell_masters(const struct board *left, int number)
{
	pid_t told = 0;

	for (; left; left = left->older) {
		pid_t owner = shared_owner(left->rows);

		if (owner > 0 && owner != told)
			shared_tell_owner(left->rows, number);
		told = owner;
	}
}

/* --- rows ------------------------------------------------------------------------------------- */

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

static word *words_of(const struct board *b, size_t worker)
{
	return (word *)(void *)((char *)row_of(b, worker) + b->words_at);
}

uint64_t board_vacate(struct board *b, size_t worker)
{
	struct row *row = row_of(b, worker);
	uint64_t since = atomic_exchange(&row->since, 0);

	atomic_store(&row->asked, 0);
	for (size_t i = 0; i < b->columns; i++)
		atomic_store(&row->count[i], 0);
	for (size_t i = 0; i < b->buckets * BUCKET; i++)
		if (atomic_load(&words_of(b, worker)[i]) != 0)
			atomic_store(&words_of(b, worker)[i], 0);
	return since != 0 ? board_now() - since : 0;
}

void board_ask(const struct board *b, enum board_request request)
{
	for (; b; b = b->older)
		for (size_t i = 0; i < b->workers; i++)
			if (board_served(b, i) && board_room(b, i) != 0)
				atomic_fetch_or(&row_of(b, i)->asked, request);
}

bool board_is_asked(const struct board *b, size_t worker, enum board_request request)
{
	return (atomic_load(&row_of(b, worker)->asked) & request) != 0;
}

void board_answer(struct board *b, size_t worker, enum board_request request)
{
	atomic_fetch_and(&row_of(b, worker)->asked, ~(unsigned)request);
}

size_t board_unanswered(const struct board *b, enum board_request request)
{
	size_t n = 0;

	for (; b; b = b->older)
		for (size_t i = 0; i < b->workers; i++)
			n += board_is_asked(b, i, request);
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

/* A worker whose master was killed goes on with a row that board_settle() has vacated. */
uint64_t board_sum(const struct board *b, size_t column)
{
	uint64_t sum = 0;

	for (; b; b = b->older)
		for (size_t i = 0; column < b->columns && i < b->workers; i++)
			if (board_served(b, i))
				sum += atomic_load(&row_of(b, i)->count[column]);
	return sum;
}

size_t board_workers(const struct board *b)
{
	size_t workers = 0;

	for (; b; b = b->older)
		workers += b->workers;
	return workers;
}

void *board_sheet(const struct board *b, size_t worker, uint64_t layout)
{
	for (; b && worker >= b->workers; b = b->older)
		worker -= b->workers;
	if (!b || b->sheet.size == 0 || b->sheet.layout != layout || !board_served(b, worker))
		return NULL;
	return (char *)row_of(b, worker) + b->sheet_at;
}

/* The key's word; else a free one of its bucket if one is wanted; else NULL. */
static word *find(const struct board *b, size_t worker, uint64_t key, bool or_free)
{
	word *at, *free_one = NULL;

	if (b->buckets == 0)
		return NULL;
	at = words_of(b, worker) + (key & NUMBER_MASK) % b->buckets * BUCKET;
	for (word *end = at + BUCKET; at < end; at++) {
		uint64_t value = atomic_load(at);

		if (value != 0 && value >> NUMBER_BITS == key >> NUMBER_BITS)
			return at;
		if (value == 0 && !free_one)
			free_one = at;
	}
	return or_free ? free_one : NULL;
}

uint64_t board_enter(struct board *b, size_t worker, uint64_t key)
{
	word *own = find(b, worker, key, true);
	uint64_t value = own ? atomic_load(own) : NUMBER_MASK, sum = 0;

	if ((value & NUMBER_MASK) == NUMBER_MASK)
		return 0;
	atomic_store(own, value != 0 ? value + 1 : (key & ~NUMBER_MASK) | 1);
	for (const struct board *each = b; each; each = each->older)
		for (size_t i = 0; i < each->workers; i++) {
			const word *found = find(each, i, key, false);

			sum += found ? atomic_load(found) & NUMBER_MASK : 0;
		}
	return sum;
}

void board_leave(struct board *b, size_t worker, uint64_t key)
{
	word *own = find(b, worker, key, false);
	uint64_t value = own ? atomic_load(own) : 0;

	if (own)
		atomic_store(own, (value & NUMBER_MASK) > 1 ? value - 1 : 0);
}
