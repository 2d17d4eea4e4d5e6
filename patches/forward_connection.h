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
	struct forward_buffer header;	/* the PROXY header that came; facts.tlvs points there */
	struct exchanges exchanges;
	uint64_t begin; /* of the time for the first head, by stock_now() */
	struct h1_clock head;
	bool starved;	     /* of the input nothing can be taken before more comes */
	bool logged;	     /* the refusal */
	bool answered;	     /* the backend is gone, the client reads our answer */
	bool over;	     /* the client's end was judged */
	bool backend_failed; /* rather than ended */
	bool backend_over;   /* and the client is told so */
	bool timed_out;	     /* in this turn of transfer(), which has no event */
	bool took;	     /* something of the client's in this turn of transfer() */
	size_t discarded;
	bool prepared;	 /* what is known of the client was found out */
	time_t deadline; /* of an answered client */
	SOCKET silent;	 /* the other end of what took the backend's place, or INVALID_SOCKET */
	char id[36], sni[FACTS_NAME_MAX + 1], alpn[FACTS_ALPN_MAX]; /* what facts point at */
};

/* The connection's, made by the first call, with the addresses of its socket. */
struct forward *forward_new(CLI *c);

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

/* The backend is given up: the client is told of the end, and what it still sends is thrown away.
 */
void forward_leave(CLI *c);

/* Logs the connection's requests from here on, if the section has an access log. */
void forward_log_begin(CLI *c);

/* On stock_now()'s clock, after which a time that began at `since` is over. */
uint64_t forward_deadline(uint64_t since, int seconds);

/* Whether forward_read() has something without SSL_read(). */
bool forward_holds_output(const struct forward *f);

#endif
