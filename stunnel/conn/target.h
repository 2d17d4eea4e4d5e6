/* SPDX-License-Identifier: ISC */
#ifndef TARGET_H
#define TARGET_H

#include "conn/conn.h"

/*
 * In which order a connection tries the addresses of its backend: as `failover` says, but those
 * that failed a short while ago after the others.
 */

/* The next address to try, NULL behind the last one. c->back->walk zeroed: begins anew. */
const struct net_addr *target_next(struct conn *c);

/*
 * How the connect of that address ended: logged and, where there are others, remembered. reason is
 * an error's text and code its errno, or 0 where there is none, as after a time-out.
 */
void target_works(struct conn *c, int level);
void target_failed(struct conn *c, const char *reason, int code);

#endif
