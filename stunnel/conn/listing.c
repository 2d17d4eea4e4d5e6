/* SPDX-License-Identifier: ISC */
#include "conn/listing.h"

#include "sys/log.h"

#define BATCH 64       /* lines between two looks at events; syslog's queue holds as many */
#define BATCH_MS 1     /* from one batch to the next */
#define PATIENCE_MS 50 /* until syslog is looked at again, where it did not take all lines */

const char *listing_phase(const struct conn *c)
{
	const struct step_at *at = conn_back_runs(c) ? &c->back->at : &c->front.at;

	return *at->current ? (*at->current)->name : "ending";
}

static void tell(const struct conn *c)
{
	enum h1_dir to_tls = c->service->client ? H1_REQUEST : H1_RESPONSE;
	struct span request = flight_request(&c->flight);
	char client[NET_TEXT_MAX];

	front_client(&c->front, client);
	log_line(LOG_EMERG, c->id, LOG_EMERG,
		 "Active connection %llu: Service [%s], %llu byte(s) sent to TLS, "
		 "%llu byte(s) sent to socket, %llu s, from %s, %s%s%.*s",
		 (unsigned long long)c->serial, c->service->name,
		 (unsigned long long)c->relay.flow[to_tls].sent,
		 (unsigned long long)c->relay.flow[!to_tls].sent,
		 (unsigned long long)(conn_now(c) - c->began) / 1000, client, listing_phase(c),
		 request.len != 0 ? ", " : "", (int)request.len, request.p);
}

/* Where syslog's queue is full of lines, more would be lost: they wait until it is empty. */
static void on_turn(uv_timer_t *timer)
{
	struct listing *l = timer->data;
	struct conn_pool *pool = l->pool;
	bool full = log_flush();

	for (int n = 0; pool->to_list && !full && n < BATCH; n++) {
		const struct conn *c = pool->to_list;

		pool->to_list = c->next;
		if (c->end != STEP_WAIT)
			continue;
		tell(c);
		l->listed++;
	}
	if (pool->to_list)
		uv_timer_start(timer, on_turn, full ? PATIENCE_MS : BATCH_MS, 0);
	else
		l->done(l);
}

void listing_open(struct listing *l, struct conn_pool *pool, void (*done)(struct listing *l))
{
	*l = (struct listing){.pool = pool, .done = done};
	uv_timer_init(pool->loop, &l->timer);
	l->timer.data = l;
}

void listing_begin(struct listing *l)
{
	l->listed = 0;
	l->pool->to_list = l->pool->first;
	uv_timer_start(&l->timer, on_turn, 0, 0);
}

void listing_close(struct listing *l)
{
	uv_close((uv_handle_t *)&l->timer, NULL);
}
