/* SPDX-License-Identifier: ISC */
#include "conn/spare.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sys/board.h"
#include "sys/log.h"

#define LOOK_MS 1000 /* between two looks for backs that have waited long enough */

/* What is kept of a back from the first time on that it waits. */
struct spare {
	struct spare_set *set;
	struct spares *list;
	struct back *newer, *older; /* in the list */
	struct net_addr target;
	uint64_t first; /* uv_now() of the first time, */
	uint64_t until; /* and until when it may be taken */
};

void spare_open(struct spare_set *set, uv_loop_t *loop, struct watch_set *watches,
		const struct admit *admit)
{
	memset(set, 0, sizeof *set);
	set->loop = loop;
	set->watches = watches;
	set->admit = admit;
	uv_timer_init(loop, &set->timer);
	set->timer.data = set;
}

/* --- lists ------------------------------------------------------------------------------------ */

static void count(struct spares *list, struct spare_set *set, int backs)
{
	list->count += (unsigned)backs;
	set->count += (size_t)backs;
	board_add(set->admit->board, set->admit->worker, list->column, backs);
}

static void link_newest(struct spares *list, struct back *b)
{
	struct spare *s = b->spare;

	s->newer = NULL;
	s->older = list->newest;
	if (s->older)
		s->older->spare->newer = b;
	else
		list->oldest = b;
	list->newest = b;
	count(list, s->set, 1);
}

static void unlink_back(struct back *b)
{
	struct spare *s = b->spare;
	struct spares *list = s->list;

	if (s->newer)
		s->newer->spare->older = s->older;
	else
		list->newest = s->older;
	if (s->older)
		s->older->spare->newer = s->newer;
	else
		list->oldest = s->newer;
	s->newer = s->older = NULL;
	count(list, s->set, -1);
	if (s->set->count == 0)
		uv_timer_stop(&s->set->timer);
}

static void drop(struct back *b)
{
	unlink_back(b);
	back_close(b, END_WHOLE);
	free(b);
}

/* --- waiting ---------------------------------------------------------------------------------- */

/* The backend has ended the connection, as it may at any time, or said what answers no request. */
static void on_event(struct watch *w, bool failed, int events)
{
	struct back *b = w->owner;
	char byte;

	(void)events;
	if (!failed && net_peek(b->end.fd, &byte, 1) > 0)
		log_main(LOG_INFO, "An idle backend connection was sent something unasked: closed");
	drop(b);
}

static void on_timer(uv_timer_t *timer)
{
	struct spare_set *set = timer->data;
	uint64_t now = uv_now(set->loop);

	for (struct spares *list = set->lists; list; list = list->next)
		while (list->oldest && list->oldest->spare->until <= now)
			drop(list->oldest);
}

void spare_stop(struct spare_set *set)
{
	set->stopped = true;
	for (struct spares *list = set->lists; list; list = list->next)
		while (list->oldest)
			drop(list->oldest);
}

void spare_close(struct spare_set *set)
{
	spare_stop(set);
	uv_close((uv_handle_t *)&set->timer, NULL);
}

static void enter(struct spare_set *set, struct spares *list, size_t column)
{
	if (list->listed)
		return;
	list->listed = true;
	list->column = column;
	list->next = set->lists;
	set->lists = list;
}

static bool remember(struct spare_set *set, struct spares *list, struct back *b,
		     const struct net_addr *target)
{
	struct spare *s = calloc(1, sizeof *s);

	if (!s)
		return false;
	*s = (struct spare){
		.set = set, .list = list, .target = *target, .first = uv_now(set->loop)};
	b->spare = s;
	return true;
}

/* Nobody hears of it until the next watch_for(), of which the kernel need not be told. */
static bool hush(struct spare_set *set, struct back *b)
{
	return watch_for(&b->watch, set->watches, b->end.fd, 0, NULL, NULL);
}

bool spare_give(struct spare_set *set, struct spares *list, const struct spare_limits *limits,
		size_t column, struct back *b, const struct net_addr *target)
{
	uint64_t now = uv_now(set->loop);

	assert(!b->end.tls && !*b->at.current);
	if (set->stopped || limits->max == 0 || limits->idle == 0)
		return false;
	if (!b->spare && !remember(set, list, b, target))
		return false;
	assert(b->spare->list == list);
	if (now - b->spare->first >= SPARE_AGE_MS)
		return false;
	if (!hush(set, b) ||
	    !watch_for(&b->watch, set->watches, b->end.fd, WATCH_READ, on_event, b))
		return false;
	free(b->names.found.addr);
	b->names = (struct back_names){0};
	b->spare->until = limits->idle < 0 ? UINT64_MAX : now + (uint64_t)limits->idle * 1000;
	enter(set, list, column);
	if (list->count >= limits->max)
		drop(list->oldest);
	link_newest(list, b);
	if (!uv_is_active((uv_handle_t *)&set->timer))
		uv_timer_start(&set->timer, on_timer, LOOK_MS, LOOK_MS);
	return true;
}

/* Whether it is as it was given: a backend that has said or ended anything owes a request nothing.
 */
static bool is_silent(const struct back *b)
{
	char byte;
	ssize_t n = net_peek(b->end.fd, &byte, 1);

	return n == -EAGAIN || n == -EWOULDBLOCK;
}

struct back *spare_take(struct spare_set *set, struct spares *list, const struct net_addr *target)
{
	uint64_t now = uv_now(set->loop);
	struct back *older;

	for (struct back *b = list->newest; b; b = older) {
		struct spare *s = b->spare;

		older = s->older;
		if (!net_equal(&s->target, target))
			continue;
		if (s->until <= now || now - s->first >= SPARE_AGE_MS || !is_silent(b) ||
		    !hush(set, b)) {
			drop(b);
			continue;
		}
		unlink_back(b);
		return b;
	}
	return NULL;
}
