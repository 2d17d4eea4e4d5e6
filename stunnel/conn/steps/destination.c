/* SPDX-License-Identifier: ISC */
#include "conn/steps/destination.h"

#include <string.h>

#include "conn/steps/answer.h"

/* Whether the client came straight to this service, which would connect itself without end. */
static bool is_own(const struct conn *c, const struct net_addr *addr)
{
	const struct facts_addr *own = &c->front.own;
	struct facts_addr meant;

	net_facts(addr, &meant);
	return meant.family == own->family && meant.port == own->port &&
	       !memcmp(meant.ip, own->ip, sizeof meant.ip);
}

static enum step_result run(struct conn *c, unsigned events)
{
	struct net_addr meant;
	int rc = net_destination(c->front.end.fd, &meant);

	(void)events;
	if (rc != 0) {
		conn_log(c, LOG_ERR, "getsockopt SO_ORIGINAL_DST: %s (%d)", strerror(-rc), -rc);
		return answer_unavailable(c);
	}
	if (is_own(c, &meant)) {
		conn_log(c, LOG_ERR, "The client was not redirected: its destination is here");
		return answer_unavailable(c);
	}
	return net_append(&c->back->names.found, &(struct net_addrs){&meant, 1}) ? STEP_NEXT
										 : STEP_RESET;
}

const struct step destination_step = {"resolving", .run = run};
