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
	struct forward_buffer input;	/* from the client, not taken by the HTTP machine yet */
	struct forward_buffer output;	/* for the backend, not handed to transfer() yet */
	struct forward_buffer response; /* the beginning of a response's head */
	struct forward_buffer sink;	/* the machine's copy of responses, which nobody reads */
	struct forward_buffer header;	/* the PROXY header received; facts.tlvs points there */
	struct exchanges exchanges;
	uint64_t begin; /* stock_now() at which the time for the first head began */
	struct h1_clock head;
	bool starved;	     /* the machine can take nothing of the input before more comes */
	bool logged;	     /* the refusal was logged */
	bool answered;	     /* the backend is closed, and the client reads our answer */
	bool over;	     /* judge_end() has dealt with the client's end */
	bool backend_failed; /* the backend's connection had an error */
	bool backend_over;   /* no response can follow: the client was sent close_notify */
	bool timed_out;	     /* the last forward_poll() returned 1 without an event */
	bool took;	     /* bytes came from the client since forward_took() */
	size_t discarded;    /* bytes of an answered client that were thrown away */
	bool prepared;	     /* forward_prepare() has filled facts */
	time_t deadline;     /* until which an answered client may close its side */
	SOCKET silent;	     /* peer of the socket in the backend's place, or INVALID_SOCKET */
	char id[36], sni[FACTS_NAME_MAX + 1], alpn[FACTS_ALPN_MAX]; /* that facts point at */
};

/* c->forward, made by the first call, with the addresses of the client's socket. */
struct forward *forward_new(CLI *c);

/*
 * c->forward with the facts of the client, which the first call after the handshake finds out. Does
 * not return if the client must not be served.
 */
struct forward *forward_prepare(CLI *c);

/* Logs why, unless that is NULL, and resets both connections, so that a cut message does not look
 * like a whole one. Does not return. */
void forward_abort_all(CLI *c, const char *why);

/* Answers a refused request once earlier responses are out and transfer()'s buffer has room. */
void forward_settle(CLI *c);

/* Closes the backend's connection and has transfer() discard what the client still sends. */
void forward_leave(CLI *c);

/* Begins to log the connection's requests, if the section has an access log. */
void forward_log_begin(CLI *c);

/* The stock_now() at which a time of so many seconds that began at `since` is over. */
uint64_t forward_deadline(uint64_t since, int seconds);

/* Whether forward_read() can return bytes without calling SSL_read(). */
bool forward_holds_output(const struct forward *f);

#endif
