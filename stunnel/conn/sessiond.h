/* SPDX-License-Identifier: ISC */
#ifndef SESSIOND_H
#define SESSIOND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conn/watch.h"
#include "sys/net.h"
#include "sys/waiting.h"
#include "tls/inquiry.h"

/*
 * Sessions of one worker's clients at remote daemons, which several hosts ask (`sessiond`). Each
 * request is a datagram, and so is the answer to TLS_REMOTE_GET. Datagrams get lost: who waits has
 * a deadline, and nobody is told twice.
 */

#define SESSIOND_ID_MAX 32
#define SESSIOND_SESSION_MAX 512 /* bytes of a session, encoded */
#define SESSIOND_WAIT_MS 200	 /* for an answer */

struct sessiond_link;

/* A connection's place among those who wait; zeroed: it waits for nothing. */
struct sessiond_wait {
	struct waiting waiting; /* first: a place in the list is the whole */
	uint64_t since;		/* of the owner's clock: when it was asked */
	unsigned char id[SESSIOND_ID_MAX];
	bool answered;
	const unsigned char *session; /* once answered, until waiting.wake returns */
	size_t len;		      /* 0: there is none */
};

/* All of one worker. */
struct sessiond {
	struct watch_set *watches;   /* NULL: nobody is to be asked */
	struct sessiond_link *links; /* one to each daemon */
};

void sessiond_open(struct sessiond *s, struct watch_set *watches);

/* Behind the last request that counts, and when nobody waits any more. */
void sessiond_close(struct sessiond *s);

/*
 * Sends a request, whose session is no longer than SESSIOND_SESSION_MAX. After TLS_REMOTE_GET
 * wait->waiting.wake is called once it is answered, or refused. False if it cannot be sent.
 */
bool sessiond_send(struct sessiond *s, const struct net_addr *daemon,
		   const struct tls_remote *request, struct sessiond_wait *wait);

#endif
