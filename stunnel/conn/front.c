/* SPDX-License-Identifier: ISC */
#include "conn/front.h"

#include <stdio.h>
#include <stdlib.h>

bool front_open(struct front *f, const struct end *end, const struct net_addr *peer,
		const struct step *const *plan)
{
	static const struct net_addr unnamed = {sizeof(sa_family_t), {.sa.sa_family = AF_UNIX}};
	struct net_addr local = unnamed;

	if (peer && net_local(end->fd, &local) != 0)
		return false;
	f->at.current = plan;
	f->end = *end;
	f->peer = peer ? *peer : unnamed;
	net_facts(&f->peer, &f->facts.peer);
	f->facts.client = f->facts.peer;
	net_facts(&local, &f->own);
	f->facts.server = f->own;
	return true;
}

void front_client(const struct front *f, char text[static NET_TEXT_MAX])
{
	const struct facts_addr *client = &f->facts.client;

	if (client->family == FACTS_NONE)
		net_text(&f->peer, text);
	else
		snprintf(text, NET_TEXT_MAX, "%s:%u", client->text, client->port);
}

void front_end_look_up(struct front *f)
{
	waiting_leave(&f->goal.wait);
	resolve_drop(f->goal.set);
	f->goal.set = NULL;
}

void front_close(struct front *f, enum end_close how)
{
	watch_close(&f->watch);
	watch_close(&f->watch_out);
	end_close(&f->end, how);
	free(f->header.p);
	f->header = (struct front_header){0};
	front_end_look_up(f);
	free(f->goal.found.addr);
	f->goal = (struct front_goal){0};
}
