/* SPDX-License-Identifier: ISC */
#include "conn/reuse.h"

#include <string.h>

#include "conn/target.h"
#include "sys/board.h"

void reuse_give(struct conn *c)
{
	struct conn_route *route = c->route;
	struct back *b = c->back;

	if (!spare_give(&c->pool->spares, &route->spares, &c->service->spare,
			c->service->admit.column + BOARD_SPARES, b,
			b->spare ? NULL : target_current(c))) {
		conn_back_end(c, END_WHOLE);
		return;
	}
	conn_log(c, LOG_DEBUG, "Backend connection waits for other requests");
	c->back = NULL;
	c->relay.end[RELAY_BACK] = NULL;
}

/* Behind the last step of its plan, of which there is none behind the connect. */
static void finish_plan(struct step_at *at)
{
	while (*at->current)
		at->current++;
}

bool reuse_take(struct conn *c, const struct net_addr *target)
{
	char text[NET_TEXT_MAX];
	struct backend *backend = target_backend(c);
	struct back *b;

	if (!c->relay.h1 || !h1_may_reuse(&c->h1))
		return false;
	b = spare_take(&c->pool->spares, &c->route->spares, target);
	if (!b)
		return false;
	net_text(target, text);
	conn_back_end(c, END_WHOLE);
	finish_plan(&b->at);
	c->back = b;
	c->requests.backend = backend;
	c->relay.end[RELAY_BACK] = &b->end;
	relay_reuse(&c->relay);
	exchange_reused(&c->exchanges, span_of(text, strlen(text)));
	tally_one(&c->tally->reused);
	conn_log(c, LOG_INFO, "s_connect: takes a connection to %s that is there", text);
	return true;
}
