/* SPDX-License-Identifier: ISC */
#include "process/drain.h"

#include "sys/log.h"
#include "sys/title.h"

#define LOOK_MS 100 /* between two looks for clients that are idle */

void drain_open(struct drain *d, struct conn_pool *pool, size_t number, void (*over)(void *owner),
		void *owner)
{
	*d = (struct drain){.pool = pool, .number = number, .over = over, .owner = owner};
	uv_timer_init(pool->loop, &d->timer);
	d->timer.data = d;
}

static void on_look(uv_timer_t *timer)
{
	struct drain *d = timer->data;
	size_t left = d->pool->admit.held;

	if (uv_now(timer->loop) < d->until) {
		conn_pool_rest(d->pool);
		return;
	}
	uv_timer_stop(timer);
	log_main(LOG_WARNING, "Worker %zu: TIMEOUTdrain exceeded: %zu connection(s) cut", d->number,
		 left);
	d->over(d->owner);
}

void drain_begin(struct drain *d, int seconds)
{
	if (d->begun)
		return;
	d->begun = true;
	d->told = d->pool->admit.held != 0;
	conn_pool_unshare(d->pool);
	if (!d->told)
		return;
	log_main(LOG_NOTICE, "Worker %zu drains: %zu connection(s) left", d->number,
		 d->pool->admit.held);
	drain_look(d);
	if (seconds == 0)
		return;
	d->until = uv_now(d->timer.loop) + (uint64_t)seconds * 1000;
	conn_pool_drain(d->pool);
	uv_timer_start(&d->timer, on_look, LOOK_MS, LOOK_MS);
}

void drain_look(struct drain *d)
{
	size_t left = d->pool->admit.held;

	if (d->told)
		title_set("stunnel: worker %zu (draining, %zu connection%s)", d->number, left,
			  left == 1 ? "" : "s");
}

void drain_close(struct drain *d)
{
	if (d->told && d->pool->admit.held == 0)
		log_main(LOG_NOTICE, "Worker %zu has drained", d->number);
	uv_close((uv_handle_t *)&d->timer, NULL);
}
