/* SPDX-License-Identifier: ISC */
#ifndef FORWARD_CONNECTION_H
#define FORWARD_CONNECTION_H

#include "forward.h"

#include "forward_buffer.h"
#include "forward_options.h"

/* How far a connection has come; it only moves on. */
enum forward_stage {
	FORWARD_NEW = 0, /* its addresses are known */
	FORWARD_KNOWN,	 /* and by forward_prepare() all facts of the client */
	FORWARD_REFUSED, /* an error was logged, and its answer waits for earlier responses */
	FORWARD_LEFT,	 /* the backend is closed: the client reads what is held, and ends */
};

/* What a backend's socket has told; it only moves on. */
enum forward_backend {
	FORWARD_BACKEND_OPEN = 0,
	FORWARD_BACKEND_DEAF,	/* a write failed, which took the error that a read would find */
	FORWARD_BACKEND_ENDED,	/* nothing more comes */
	FORWARD_BACKEND_FAILED, /* nothing more comes, by an error */
};

/* The end of what a client sends; it only moves on. */
enum forward_client {
	FORWARD_CLIENT_OPEN = 0,
	FORWARD_CLIENT_HIDDEN, /* its end came, and is hidden from transfer() */
	FORWARD_CLIENT_ENDED,  /* all that it sent was handed on, and transfer() sees its end */
};

/* A connection whose requests are rewritten, or that has a PROXY header of ours. */
struct forward {
	struct h1 h1;
	struct facts facts;
	struct tls_kept kept;
	struct forward_buffer input[2]; /* by enum h1_dir: what the HTTP machine did not take yet */
	struct forward_buffer output[2]; /* what it wrote, not handed to transfer() yet */
	struct forward_buffer header;	 /* the PROXY header received; facts.tlvs points there */
	struct exchanges exchanges;
	enum forward_stage stage;
	enum forward_backend backend;
	enum forward_client client;
	uint64_t begin; /* stock_now() at which the time for the first head began */
	struct h1_clock head;
	bool starved;	/* the machine can take nothing of the client's input before more comes */
	bool timed_out; /* the last forward_poll() returned 1 without an event */
	bool took;	/* bytes came from either side since forward_took() */
	uint32_t told_mended; /* h1_answer_mended() of what was logged */
	size_t discarded;     /* bytes behind a client's last request that were thrown away */
	time_t deadline; /* until which the client of a backend that was left may close its side */
	SOCKET silent;	 /* peer of the socket in the backend's place, or INVALID_SOCKET */
	char id[FACTS_ID_MAX], sni[FACTS_NAME_MAX + 1],
		alpn[FACTS_ALPN_MAX]; /* that facts point at */
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

/* Begins the conversation of c->forward, and the log of its requests. */
void forward_begin_http(CLI *c);

/* Appends the answer to the conversation's error, HTTP_REPLY_MAX bytes at most, and logs both. */
void forward_put_answer(CLI *c, struct out *out);

/* Answers a conversation's error once earlier responses are out, or cuts the client off. */
void forward_settle(CLI *c);

/* Closes the backend's connection and has transfer() discard what the client still sends. */
void forward_leave(CLI *c);

/* Begins to log the connection's requests, if the section has an access log. */
void forward_log_begin(CLI *c);

/* The stock_now() at which a time of so many seconds that began at `since` is over. */
uint64_t forward_deadline(uint64_t since, int seconds);

/* Whether forward_read() can return bytes without calling SSL_read(). */
bool forward_holds_requests(const struct forward *f);

/* Whether forward_readsocket() has something to return without a read. */
bool forward_holds_responses(const struct forward *f);

#endif
