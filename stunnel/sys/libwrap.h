/* SPDX-License-Identifier: ISC */
#ifndef LIBWRAP_H
#define LIBWRAP_H

#include <stdbool.h>

#include "sys/net.h"

/* The rules of /etc/hosts.allow and /etc/hosts.deny, as TCP wrappers' own library reads them. */

/* Whether there was such a library when this program was built. */
bool libwrap_built(void);

/*
 * Whether the rules let the client use the daemon; false without the library. The addresses are of
 * IP; the server's length may be 0: unknown. Takes as long as names that the rules compare need to
 * be looked up, the client's host to say who the user is, and commands of the rules to end; and the
 * library is for one thread. To be called in a process of its own.
 */
bool libwrap_permits(char *daemon, struct net_addr *client, struct net_addr *server);

#endif
