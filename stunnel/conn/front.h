/* SPDX-License-Identifier: ISC */
#ifndef FRONT_H
#define FRONT_H

#include <stdbool.h>
#include <stddef.h>

#include "conn/end.h"
#include "conn/libwrap.h"
#include "conn/step.h"
#include "conn/watch.h"
#include "core/facts.h"
#include "sys/net.h"
#include "sys/resolve.h"

/*
 * The client's end, which lasts as long as its connection: an accepted socket, what the program was
 * started with (inetd), or a program in place of a client.
 */

/* What the step proxy_in keeps: the PROXY header that came, or its beginning. Zeroed: none. */
struct front_header {
	char *p; /* owned; facts.tlvs points into it */
	size_t len;
};

/* Where a client wants to be connected to, if `protocol` lets it choose. Zeroed: nowhere. */
struct front_goal {
	struct resolve_set *set; /* while its name is looked up */
	struct waiting wait;
	struct net_addrs found; /* owned */
};

/* What the step ask_libwrap keeps. Zeroed: nothing was asked, or the answer has come. */
struct front_libwrap {
	bool asked;
	struct libwrap_answer answer;
};

struct front {
	struct step_at at;
	struct end end;
	struct watch watch, watch_out; /* of end.fd, and of end.out where that is another one */
	struct net_addr peer;	       /* who connected */
	struct facts_addr own; /* the accepted socket's address, whatever a PROXY header says */
	struct facts facts;    /* what is known of the client, to be told to the back */
	char id[FACTS_ID_MAX]; /* facts.conn_id */
	struct front_header header;
	struct front_goal goal;
	struct front_libwrap libwrap;
};

/*
 * Fills the zeroed *f for an end, which the front owns, at the plan's first step. peer: of an
 * accepted socket; NULL: the client has no address. False if an accepted client has gone already:
 * then the end stays the caller's.
 */
bool front_open(struct front *f, const struct end *end, const struct net_addr *peer,
		const struct step *const *plan);

/* ADDRESS:PORT of the client: whom a PROXY header named, or else who connected. */
void front_client(const struct front *f, char text[static NET_TEXT_MAX]);

/* Ends the look-up of the client's goal, if there is one; what was found stays. */
void front_end_look_up(struct front *f);

/* Closes the front's socket and frees all that the front owns. */
void front_close(struct front *f, enum end_close how);

#endif
