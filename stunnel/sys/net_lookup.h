/* SPDX-License-Identifier: ISC */
#ifndef NET_LOOKUP_H
#define NET_LOOKUP_H

#include "sys/net.h"

/* The one door to the system's resolver. */

/* What became of an address's text. */
enum net_answer {
	NET_RESOLVED = 0,
	NET_MALFORMED, /* no address in any circumstances: its form, or the name of its port */
	NET_UNKNOWN,   /* the name service knows no such host */
	NET_NO_ANSWER, /* the name service could not be asked, or has not answered */
};

/*
 * Resolves stunnel's address form: PORT, HOST:PORT split at the last colon, or a Unix path, and
 * appends what it finds to *list, whose memory is the caller's to free. passive: for listening,
 * where no host means any address; else it means the loopback. Blocks where HOST is a name. What
 * is not NET_RESOLVED appends nothing and has the reason in why.
 */
enum net_answer net_lookup(const char *text, bool passive, struct net_addrs *list,
			   char why[static 256]);

/* Whether net_lookup() would ask the name service, and so may block. */
bool net_lookup_blocks(const char *text);

/* A look-up in a thread of its own: nobody can tell how long a name service takes. */
struct net_lookup {
	const char *text;
	bool passive;
	/* Called in the thread when the rest is filled; the look-up is its own from there on. */
	void (*done)(struct net_lookup *lookup);
	enum net_answer answer;
	struct net_addrs found; /* to be freed */
	char why[256];
};

/* Begins it; 0, or -errno if there can be no thread, and then done is never called. */
int net_lookup_start(struct net_lookup *lookup);

#endif
