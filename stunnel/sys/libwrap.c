/* SPDX-License-Identifier: ISC */
#include "sys/libwrap.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#ifdef HAVE_LIBWRAP

#include <tcpd.h>

bool libwrap_built(void)
{
	return true;
}

bool libwrap_permits(char *daemon, struct net_addr *client, struct net_addr *server)
{
	struct request_info request;

	resident = 1; /* a rule with `twist`, which would replace the process, denies instead */
	request_init(&request, RQ_DAEMON, daemon, RQ_CLIENT_SIN, &client->u.sa, 0);
	if (server->len != 0)
		request_set(&request, RQ_SERVER_SIN, &server->u.sa, 0);
	sock_methods(&request);
	return hosts_access(&request) != 0;
}

#else

bool libwrap_built(void)
{
	return false;
}

bool libwrap_permits(char *daemon, struct net_addr *client, struct net_addr *server)
{
	(void)daemon, (void)client, (void)server;
	return false;
}

#endif
