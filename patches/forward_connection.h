/* SPDX-License-Identifier: ISC */
#ifndef FORWARD_CONNECTION_H
#define FORWARD_CONNECTION_H

#include "forward.h"

#include "forward_buffer.h"
#include "forward_options.h"

/* A connection whose requests are rewritten, or that has a PROXY header of ours. */
struct forward {
	struct h1 h1;
	struct facts facts;
	struct tls_kept kept;
	struct forward_buffer input;  /* came from the client, not taken by the HTTP machine yet */
	struct forward_buffer output; /* is to go to the backend */
	struct forward_buffer response; /* the beginning of a response's head */
	struct forward_buffer sink;	/* what the machine says again of responses */
	bool starved;			/* of the input nothing can be taken before more comes */
	bool logged;			/* the refusal */
	bool answered;			/* the backend is gone, the client reads our answer */
	bool over;			/* the client's end was judged */
	bool backend_failed;		/* rather than ended */
	bool backend_over;		/* and the client is told so */
	bool took;			/* something of the client's in this turn of transfer() */
	size_t discarded;
	time_t deadline; /* of an answered client */
	SOCKET silent;	 /* the other end of what took the backend's place, or INVALID_SOCKET */
	char id[36], sni[FACTS_NAME_MAX + 1], alpn[FACTS_ALPN_MAX]; /* what facts point at */
};

/*
 * The connection's, made by the first call: what is known of the client, once TLS is accepted. Does
 * not return where the client must not be served.
 */
struct forward *forward_prepare(CLI *c);

/* Logs why, unless that is NULL, and resets both connections: a message that is cut must not look
 * like a whole one. Does not return. */
void forward_abort_all(CLI *c, const char *why);

/* A refused request is answered, where nothing is in the way and transfer() has room for it. */
void forward_settle(CLI *c);

/* Whether forward_read() has something without SSL_read(). */
bool forward_holds_output(const struct forward *f);

#endif
