/* SPDX-License-Identifier: ISC */
/* The phases of a protocol are told to its function. */
#include "prototypes.h"

static char *negotiate(CLI *one, SERVICE_OPTIONS *section, PHASE now)
{
	if (section->kind == 1)
		return proxy_server(one, section, now);
	return NULL;
}
