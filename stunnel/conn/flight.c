/* SPDX-License-Identifier: ISC */
#include "conn/flight.h"

#include <string.h>

static void on_request(void *owner, struct span line, const struct h1_head *head)
{
	struct flight *f = owner;
	size_t end = head ? head->method.len + 1 + head->target.len : 0;

	if (f->others)
		f->others->request(f->others_owner, line, head);
	if (!head) /* refused: it was not sent on */
		return;
	f->len = end < FLIGHT_MAX ? end : FLIGHT_MAX;
	memcpy(f->text, line.p, f->len);
}

static void on_response(void *owner, int status)
{
	struct flight *f = owner;

	if (f->others)
		f->others->response(f->others_owner, status);
}

static void on_done(void *owner, uint64_t bytes)
{
	struct flight *f = owner;

	if (f->others)
		f->others->done(f->others_owner, bytes);
}

static const struct h1_watch watch = {on_request, on_response, on_done};

void flight_begin(struct flight *f, struct h1 *h1)
{
	*f = (struct flight){.h1 = h1, .others = h1->watch, .others_owner = h1->watch_owner};
	h1->watch = &watch;
	h1->watch_owner = f;
}

/* The query is left out here, and not for each request, of which hardly one is ever listed. */
struct span flight_request(const struct flight *f)
{
	bool known = f->h1 && h1_in_flight(f->h1) != 0;
	size_t len = 0;

	while (known && len < f->len && f->text[len] != '?' && f->text[len] != '#')
		len++;
	return span_of(f->text, len);
}
