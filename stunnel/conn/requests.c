/* SPDX-License-Identifier: ISC */
#include "conn/requests.h"

/* The loop's time of the event that is handled: no request costs a look at the clock. */
static uint32_t now(const struct requests *r)
{
	return (uint32_t)uv_now(r->loop);
}

static void add(struct requests *r)
{
	if (r->waiting < REQUESTS_MAX)
		r->begun[(r->first + r->waiting++) % REQUESTS_MAX] = now(r);
}

static uint64_t age(const struct requests *r)
{
	return now(r) - r->begun[r->first];
}

static void begin_answer(struct requests *r, int status)
{
	r->status = status;
	tally_time(&r->tally->first_byte_times, age(r));
}

static void finish_first(struct requests *r)
{
	size_t class = r->status >= 100 ? (size_t)r->status / 100 : TALLY_UNANSWERED;

	tally_one(&r->tally->requests[class < TALLY_CLASSES ? class : TALLY_5XX]);
	tally_time(&r->tally->total_times, age(r));
	r->first = (r->first + 1) % REQUESTS_MAX;
	r->waiting--;
	r->status = 0;
}

static void on_request(void *owner, struct span line, const struct h1_head *head)
{
	struct requests *r = owner;

	add(r);
	if (r->next)
		r->next->request(r->next_owner, line, head);
}

static void on_response(void *owner, int status)
{
	struct requests *r = owner;

	if (r->waiting != 0) {
		begin_answer(r, status);
		if (r->backend)
			tally_time(&r->backend->first_byte_times, age(r));
	}
	if (r->next)
		r->next->response(r->next_owner, status);
}

static void on_done(void *owner, uint64_t bytes)
{
	struct requests *r = owner;

	if (r->waiting != 0)
		finish_first(r);
	if (r->next)
		r->next->done(r->next_owner, bytes);
}

void requests_begin(struct requests *r, struct tally *tally, const uv_loop_t *loop, struct h1 *h1)
{
	static const struct h1_watch watch = {on_request, on_response, on_done};

	*r = (struct requests){
		.tally = tally,
		.next = h1->watch,
		.next_owner = h1->watch_owner,
		.loop = loop,
	};
	h1->watch = &watch;
	h1->watch_owner = r;
}

void requests_answer(struct requests *r, enum error error)
{
	if (r->waiting == 0) /* a head that did not come to its end */
		add(r);
	begin_answer(r, errors_info[error].status);
	finish_first(r);
}

void requests_end(struct requests *r)
{
	while (r->waiting != 0)
		finish_first(r);
}
