/* SPDX-License-Identifier: ISC */
#ifndef REUSE_H
#define REUSE_H

#include "conn/conn.h"

/* httpKeepAlive = pool: how a connection's back goes to others, and one of others comes to it. */

/*
 * The back, behind RELAY_SPARE, waits for a request of any client, or is closed; the connection has
 * none any more.
 */
void reuse_give(struct conn *c);

/*
 * Puts a back to the target that waits in the place of the connection's own, which is not
 * connected: it is through its plan, and the relay knows of it. False: there is none, or the
 * request must not have it.
 */
bool reuse_take(struct conn *c, const struct net_addr *target);

#endif
