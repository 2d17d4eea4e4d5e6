/* SPDX-License-Identifier: ISC */
#include "conn/back.h"

#include <stdlib.h>

struct back *back_open(const struct step *const *plan, uint64_t now)
{
	struct back *b = calloc(1, sizeof *b);

	if (!b)
		return NULL;
	b->at = (struct step_at){plan, now};
	b->end = end_of(-1);
	return b;
}

void back_hang_up(struct back *b, enum end_close how)
{
	watch_close(&b->watch);
	end_close(&b->end, how);
}

void back_close(struct back *b, enum end_close how)
{
	back_hang_up(b, how);
	flow_free(&b->ahead);
	waiting_leave(&b->names.wait);
	free(b->names.found.addr);
	free(b->ident);
	b->ident = NULL;
	b->names.found = (struct net_addrs){0};
	free(b->spare);
	b->spare = NULL;
}
