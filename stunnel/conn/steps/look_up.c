/* SPDX-License-Identifier: ISC */
#include "conn/steps/look_up.h"

#include "conn/steps/answer.h"
#include "sys/resolve.h"

/* Goes on with the addresses that are known; old ones are better than none. */
static enum step_result use_names(struct conn *c)
{
	const char *reason;

	waiting_leave(&c->back->names.wait);
	if (resolve_take(c->route->resolve_set, &c->back->names.found, &reason))
		return STEP_NEXT;
	conn_log(c, LOG_ERR, "No remote host resolved: %s", reason);
	return answer_unavailable(c);
}

static enum step_result run(struct conn *c, unsigned events)
{
	struct conn_route *route = c->route;
	struct resolve *r = &c->pool->resolve;

	(void)events;
	if (!route->resolve_set)
		route->resolve_set = resolve_set(r, route->names, route->name_count);
	if (!route->resolve_set)
		return STEP_RESET;
	if (resolve_ready(r, route->resolve_set, &c->back->names.wait))
		return use_names(c);
	conn_wait(c, RELAY_FRONT, false, false);
	return STEP_WAIT;
}

static uint64_t deadline(const struct conn *c)
{
	uint64_t end = conn_after(c->back->at.since, c->service->timeout.resolve);
	uint64_t patience = resolve_patience(c->route->resolve_set);

	return patience < end ? patience : end;
}

static enum step_result expired(struct conn *c)
{
	if (conn_after(c->back->at.since, c->service->timeout.resolve) <= conn_now(c))
		conn_log(c, LOG_INFO, "TIMEOUTresolve exceeded");
	return use_names(c);
}

const struct step look_up_step = {"resolving", run, deadline, expired};
