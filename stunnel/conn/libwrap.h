/* SPDX-License-Identifier: ISC */
#ifndef CONN_LIBWRAP_H
#define CONN_LIBWRAP_H

#include "conn/inquiry.h"
#include "sys/net.h"

/* What workers ask about clients, of the process that asks the rules of hosts_access(5). */

#define LIBWRAP_DAEMON_MAX 128 /* as much of a name as the library looks at, with its end */

enum libwrap_verdict {
	LIBWRAP_FAILED = 0, /* the rules could not be asked */
	LIBWRAP_DENIED,
	LIBWRAP_PERMITTED,
};

struct libwrap_question {
	struct inquiry_head head;
	struct net_addr client;
	struct net_addr server; /* where the client has connected to; its length is 0: unknown */
	int seconds;		/* after which nobody waits for the answer; negative: never */
	char daemon[LIBWRAP_DAEMON_MAX];
};

struct libwrap_answer {
	struct inquiry_head head;
	enum libwrap_verdict verdict;
};

#endif
