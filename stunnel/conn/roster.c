/* SPDX-License-Identifier: ISC */
#include "conn/roster.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "conn/conn.h"
#include "conn/listing.h"
#include "sys/board.h"
#include "sys/shared.h"

#define LOOK_MS 10000 /* that a look lasts */
#define STALE_MS 3000 /* after that the worker has ended, or hangs */
#define TRIES 3	      /* to read what is not written meanwhile */

/* A worker's own; the number is odd while it is being written. */
struct sheet {
	_Atomic uint64_t number;
	_Atomic uint64_t written; /* board_now() */
	uint32_t count;
	struct roster_line line[ROSTER_LINES];
};

struct roster {
	size_t workers;
	_Atomic uint64_t until; /* board_now() until which somebody looks */
	struct sheet sheet[];
};

static size_t size_of(size_t workers)
{
	return sizeof(struct roster) + workers * sizeof(struct sheet);
}

struct roster *roster_new(size_t workers)
{
	struct roster *r = shared_new(size_of(workers));

	if (!r)
		return NULL;
	r->workers = workers;
	return r;
}

void roster_free(struct roster *r)
{
	if (r)
		shared_free(r, size_of(r->workers));
}

void roster_look(struct roster *r)
{
	atomic_store(&r->until, board_now() + LOOK_MS);
}

/* --- in a worker ------------------------------------------------------------------------------ */

static void write_line(struct roster_line *to, const struct conn *c)
{
	struct span request = flight_request(&c->flight);

	to->age = (conn_now(c) - c->began) / 1000;
	to->to_backend = c->relay.flow[H1_REQUEST].sent;
	to->to_client = c->relay.flow[H1_RESPONSE].sent;
	snprintf(to->service, sizeof to->service, "%s", c->service->name);
	front_client(&c->front, to->peer);
	snprintf(to->phase, sizeof to->phase, "%s", listing_phase(c));
	snprintf(to->request, sizeof to->request, "%.*s", (int)request.len, request.p);
}

/* The pool's list begins with the newest. */
static size_t find_oldest(const struct conn_pool *pool, const struct conn *oldest[ROSTER_LINES])
{
	size_t n = 0;

	for (const struct conn *c = pool->first; c; c = c->next)
		if (c->end == STEP_WAIT)
			oldest[n++ % ROSTER_LINES] = c;
	return n;
}

void roster_write(struct roster *r, size_t worker, const struct conn_pool *pool)
{
	const struct conn *oldest[ROSTER_LINES];
	struct sheet *sheet;
	size_t n;

	if (!r || board_now() >= atomic_load(&r->until))
		return;
	sheet = &r->sheet[worker];
	n = find_oldest(pool, oldest);
	/* One that was killed while it wrote has left an odd number. */
	atomic_store(&sheet->number, atomic_load(&sheet->number) | 1);
	atomic_thread_fence(memory_order_seq_cst);
	sheet->count = n < ROSTER_LINES ? (uint32_t)n : ROSTER_LINES;
	for (size_t i = 0; i < sheet->count; i++)
		write_line(&sheet->line[i], oldest[(n - 1 - i) % ROSTER_LINES]);
	atomic_store(&sheet->written, board_now());
	atomic_fetch_add(&sheet->number, 1);
}

/* --- in the server of metrics ----------------------------------------------------------------- */

static void end_texts(struct roster_line *line)
{
	line->service[sizeof line->service - 1] = '\0';
	line->peer[sizeof line->peer - 1] = '\0';
	line->phase[sizeof line->phase - 1] = '\0';
	line->request[sizeof line->request - 1] = '\0';
}

/* Whoever has taken over a worker could write anything: no length or end of a text is believed. */
static size_t copy(const struct sheet *sheet, struct roster_line line[static ROSTER_LINES])
{
	size_t count = sheet->count;

	if (count > ROSTER_LINES)
		count = ROSTER_LINES;
	memcpy(line, sheet->line, count * sizeof *line);
	for (size_t i = 0; i < count; i++)
		end_texts(&line[i]);
	return count;
}

bool roster_read(const struct roster *r, size_t worker,
		 struct roster_line line[static ROSTER_LINES], size_t *count)
{
	const struct sheet *sheet = &r->sheet[worker];

	*count = 0;
	if (worker >= r->workers)
		return false;
	for (int i = 0; i < TRIES && *count == 0; i++) {
		uint64_t number = atomic_load(&sheet->number);

		if (number % 2 != 0 || board_now() > atomic_load(&sheet->written) + STALE_MS)
			continue;
		*count = copy(sheet, line);
		atomic_thread_fence(memory_order_seq_cst);
		if (atomic_load(&sheet->number) != number)
			*count = 0;
	}
	return true;
}
