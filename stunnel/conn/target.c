/* SPDX-License-Identifier: ISC */
#include "conn/target.h"

#include "conn/health.h"
#include "sys/log.h"
#include "sys/net.h"

static const struct net_addrs *targets(const struct conn *c)
{
	const struct net_addrs *found = &c->back->names.found;

	return found->count != 0 ? found : &c->route->targets;
}

const struct net_addr *target_current(const struct conn *c)
{
	return &targets(c)->addr[c->back->walk.at];
}

struct backend *target_backend(const struct conn *c)
{
	bool looked_up = c->back->names.found.count != 0;

	return c->route->backend && !looked_up ? c->route->backend[c->back->walk.at] : NULL;
}

static size_t first(const struct conn *c, size_t count)
{
	if (c->service->failover != CONN_ROUND_ROBIN)
		return 0;
	return atomic_fetch_add(c->route->turn, 1) % count;
}

static void begin(struct conn *c, size_t count)
{
	bool in_turn = c->service->failover == CONN_ROUND_ROBIN;

	c->back->walk.first = first(c, count);
	if (count > 1)
		conn_log(c, LOG_INFO, "failover: %s, starting at entry #%zu",
			 in_turn ? "round-robin" : "priority", c->back->walk.first);
}

#define PASSED_MAX 64 /* bits of back_walk.passed; further addresses are never passed over */

/* Whether the address at hand can wait until the others have been tried. */
static bool pass_over(struct conn *c)
{
	struct back_walk *w = &c->back->walk;

	if (targets(c)->count == 1 || w->at >= PASSED_MAX ||
	    health_try(&c->pool->shared->health, target_current(c), conn_now(c)))
		return false;
	w->passed |= (uint64_t)1 << w->at;
	return true;
}

static bool was_passed_over(const struct back_walk *w)
{
	return w->at < PASSED_MAX && w->passed >> w->at & 1;
}

/* Two rounds: the second one tries what the first one has passed over. */
const struct net_addr *target_next(struct conn *c)
{
	size_t count = targets(c)->count;
	struct back_walk *w = &c->back->walk;

	if (w->steps == 0 && count != 0)
		begin(c, count);
	while (w->steps < 2 * count) {
		bool second_round = w->steps >= count;

		w->at = (w->first + w->steps++) % count;
		if (second_round ? was_passed_over(w) : !pass_over(c))
			return target_current(c);
	}
	return NULL;
}

void target_works(struct conn *c, int level)
{
	bool news = health_works(&c->pool->shared->health, target_current(c));
	uint64_t took = conn_now(c) - c->back->walk.since;
	struct backend *backend = target_backend(c);
	char text[NET_TEXT_MAX];
	struct net_addr local;

	tally_one(&c->tally->connected);
	tally_time(&c->tally->connect_times, took);
	c->requests.backend = backend;
	if (backend) {
		tally_one(&backend->connected);
		tally_time(&backend->connect_times, took);
	}
	if (c->service->log_level < LOG_NOTICE)
		return;
	net_text(target_current(c), text);
	conn_log(c, level, "s_connect: connected %s", text);
	if (news)
		conn_log(c, LOG_NOTICE, "s_connect: %s works again", text);
	if (net_local(c->back->end.fd, &local) == 0) {
		net_text(&local, text);
		conn_log(c, LOG_NOTICE, "Service [%s] connected remote server from %s",
			 c->service->name, text);
	}
}

void target_failed(struct conn *c, const char *reason, int code)
{
	char text[NET_TEXT_MAX];

	tally_connect_failed(c->tally, code);
	if (target_backend(c))
		tally_one(&target_backend(c)->failed);
	net_text(target_current(c), text);
	if (code != 0)
		conn_log(c, LOG_ERR, "s_connect: connect %s: %s (%d)", text, reason, code);
	else
		conn_log(c, LOG_ERR, "s_connect: s_poll_wait %s: %s", text, reason);
	if (targets(c)->count == 1 || (code != 0 && !net_blames_peer(code)))
		return;
	if (health_failed(&c->pool->shared->health, target_current(c), conn_now(c)))
		conn_log(c, LOG_WARNING, "s_connect: %s is tried after the others for %d seconds",
			 text, HEALTH_HOLD_SECONDS);
}
