/* SPDX-License-Identifier: ISC */
#include "conn/steps/open_back.h"

static enum step_result run(struct conn *c, unsigned events)
{
	(void)events;
	/* A negotiator that talks to both ends has had the back opened before TLS. */
	return c->back || conn_back_begin(c) ? STEP_NEXT : STEP_RESET;
}

const struct step open_back_step = {"connecting", .run = run};
