/* SPDX-License-Identifier: ISC */
#ifndef TARGET_H
#define TARGET_H

#include "conn/conn.h"

/*
 * In which order a connection tries the addresses of its backend: as `failover` says, but those
 * that failed a short while ago after the others.
 */

/* The next address to try, the service's or back's; NULL: all were. A zeroed walk begins anew. */
const struct net_addr *target_next(struct conn *c);

/* The address that target_next() has returned last. */
const struct net_addr *target_current(const struct conn *c);

/* Where it is counted what happens at that address; NULL: it is not told apart. */
struct backend *target_backend(const struct conn *c);

/*
 * How the connect to target_next()'s last address ended: logged and, where there are others,
 * remembered. reason is an error's text, code its errno, or 0 without one, as after a time-out.
 */
void target_works(struct conn *c, int level);
void target_failed(struct conn *c, const char *reason, int code);

#endif
