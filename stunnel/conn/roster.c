/* SPDX-License-Identifier: ISC */
#include "conn/roster.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "conn/conn.h"
#include "conn/listing.h"
#include "sys/shared.h"

#define LOOK_MS 10000 /* that a look lasts */
#define STALE_MS 3000 /* after that the worker has ended, or hangs */
#define TRIES 3	      /* to read what is not written meanwhile */

/* The number is odd while the worker writes. */
struct sheet {
	_Atomic uint64_t until; /* board_now() until which somebody looks */
	_Atomic uint64_t number;
	_Atomic uint64_t written; /* board_now() */
	uint32_t count;
	struct roster_line line[ROSTER_LINES];
};

static uint64_t layout(void)
{
	const size_t facts[] = {
		sizeof(struct sheet),
		offsetof(struct sheet, line),
		sizeof(struct roster_line),
		offsetof(struct roster_line, age),
		offsetof(struct roster_line, to_backend),
		offsetof(struct roster_line, to_client),
		offsetof(struct roster_line, service),
		offsetof(struct roster_line, peer),
		offsetof(struct roster_line, phase),
		offsetof(struct roster_line, request),
	};

	return shared_layout(0, facts, sizeof facts);
}

struct board_sheet roster_sheet(void)
{
	return (struct board_sheet){sizeof(struct sheet), layout()};
}

void roster_look(const struct board *b)
{
	uint64_t until = board_now() + LOOK_MS, own = layout();

	for (size_t i = 0; i < board_workers(b); i++) {
		struct sheet *sheet = board_sheet(b, i, own);

		if (sheet)
			atomic_store(&sheet->until, until);
	}
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

void roster_write(const struct board *b, size_t worker, const struct conn_pool *pool)
{
	struct sheet *sheet = board_sheet(b, worker, layout());
	const struct conn *oldest[ROSTER_LINES];
	size_t n;

	if (!sheet || board_now() >= atomic_load(&sheet->until))
		return;
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

size_t roster_read(const struct board *b, size_t worker,
		   struct roster_line line[static ROSTER_LINES])
{
	const struct sheet *sheet = board_sheet(b, worker, layout());
	size_t count = 0;

	for (int i = 0; sheet && i < TRIES && count == 0; i++) {
		uint64_t number = atomic_load(&sheet->number);

		if (number % 2 != 0 || board_now() > atomic_load(&sheet->written) + STALE_MS)
			continue;
		count = copy(sheet, line);
		atomic_thread_fence(memory_order_seq_cst);
		if (atomic_load(&sheet->number) != number)
			count = 0;
	}
	return count;
}
