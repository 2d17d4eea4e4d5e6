/* SPDX-License-Identifier: ISC */
#ifndef RELAY_H
#define RELAY_H

#include <stdbool.h>

#include "conn/flow.h"
#include "core/h1.h"

/*
 * The two pumps between a front and a back, with back-pressure: while a direction has bytes
 * that were not written yet, its source is not read. Memory is held only then, and while a
 * message head is incomplete; everything else goes through two scratch buffers of the worker's.
 * Knows readiness, not the event loop.
 */

#define RELAY_INPUT_MAX 65536 /* bytes of scratch->in, and of what one direction holds back */

enum relay_side {
	RELAY_FRONT = H1_REQUEST, /* its bytes flow in direction H1_REQUEST */
	RELAY_BACK = H1_RESPONSE,
};

/* The worker's buffers, shared by all its connections. */
struct relay_scratch {
	char in[RELAY_INPUT_MAX];
	char why[TLS_WHY_MAX]; /* text of the last failure */
	size_t out_cap;
	char *out;
};

struct relay {
	struct end *end[2];	   /* by enum relay_side; the back is NULL where there is none */
	struct flow flow[2];	   /* by enum h1_dir: from end[dir] to end[!dir] */
	struct h1 *h1;		   /* NULL: bytes pass unseen */
	struct flow_buffer repeat; /* the request in flight, while it may be sent again */
	struct relay_scratch *scratch;
	bool again;	  /* stopped to let others run: call again without waiting for an event */
	bool write_first; /* to a back that has just come: what it has said already is no answer */
	bool held;	  /* a flight to the client has waited for the first answer */
};

enum relay_status {
	RELAY_WAIT = 0, /* for relay_wants() */
	RELAY_RENEW,	/* the backend is gone, the client stays: relay_renew() */
	RELAY_SPARE,	/* the backend's connection may serve others, then relay_renew() */
	RELAY_OVER,	/* the client has got its last answer, or gets none: relay_end() */
	RELAY_DONE,	/* both directions ended as they should */
	RELAY_ABORT,	/* one side failed, or ended inside a message; scratch->why tells */
	RELAY_REFUSED,	/* the HTTP machine found an error: relay_answer() or give up */
};

/* Moves what can be moved: in directions with an event, and requests that responses let go on. */
enum relay_status relay_run(struct relay *r, bool requests, bool responses);

/*
 * Makes the relay ready for another back, where the one before has ended and end[] is NULL. Then
 * relay_first() tells when it is needed; a request that is sent again is there at once.
 */
void relay_renew(struct relay *r);

/* The back that the waiting request has got served others before; h1_may_reuse() allowed it. */
void relay_reuse(struct relay *r);

/*
 * Takes requests while there is no back. RELAY_DONE: a request waits in `unsent`, or no more will
 * come; else RELAY_WAIT, RELAY_REFUSED or RELAY_ABORT.
 */
enum relay_status relay_first(struct relay *r);

/* h1_reply(); LATER also while earlier responses are still to be written to the client. */
enum h1_reply relay_reply(const struct relay *r);

/*
 * Sends what is left for the client, then close_notify; what the client still sends is read and
 * thrown away, so that no reset overtakes its answer. The back must have ended.
 */
void relay_end(struct relay *r);

/* The same behind an answer of our own. relay_reply() must say NOW. */
void relay_answer(struct relay *r, enum error error);

/*
 * Whether the backend owes the head of an answer: a request is complete, and all that came before
 * its answer has been written to the client, for which nothing is read meanwhile.
 */
bool relay_awaits_answer(const struct relay *r);

/* For which readiness of a side's socket the relay waits. */
void relay_wants(const struct relay *r, enum relay_side side, bool *read, bool *write);

/* Whether one direction is closed and nothing is left to be written. */
bool relay_closing(const struct relay *r);

/* Whether each side has got every message that the other one began: a clean end would be true. */
bool relay_whole(const struct relay *r);

/* Frees all bytes that wait; the ends belong to the front and the back. */
void relay_free(struct relay *r);

#endif
