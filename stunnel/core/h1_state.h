/* SPDX-License-Identifier: ISC */
#ifndef H1_STATE_H
#define H1_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "errors.h"
#include "facts.h"
#include "h1_body.h"
#include "h1_head.h"
#include "rewrite.h"

/* A conversation as it stands, for h1.h and for the two sides of the machine. */

#define H1_HEAD_LIMIT 32768  /* h1_limits.max_head unless a service says otherwise */
#define H1_PIPELINE_MAX 32   /* requests in flight; more wait for responses */
#define H1_EMPTY_LINES_MAX 4 /* before a request or status line, RFC 9112 2.2 */

enum h1_dir {
	H1_REQUEST = 0,
	H1_RESPONSE = 1,
};

struct h1_limits {
	unsigned max_head;	  /* bytes of a request's head or trailer section */
	unsigned max_fields;	  /* of a request; at most H1_FIELDS_MAX */
	unsigned max_answer_head; /* bytes of an answer's head or trailer section */
	unsigned in_flight;	  /* requests; 1 to H1_PIPELINE_MAX, and 1 with keep_client */
	unsigned allow;		  /* enum h1_allow */
	bool connect;		  /* CONNECT is forwarded */
	bool keep_client; /* the client stays when its backend closes; see h1_backend_end() */
	bool pool;	  /* with keep_client: clients share backend connections; see h1_spare() */
	bool pool_first;  /* with pool: a client's first request, too; see h1_may_reuse() */
	bool require_length; /* a request in chunks is refused with 411 */
};

struct h1_side {
	struct h1_head_scan scan;
	struct h1_body body;
	uint8_t state;	     /* enum h1_state, in h1_side.h */
	uint8_t empty_lines; /* skipped so far before the next head */
	bool partial;	     /* an incomplete head was seen, and its bytes were not consumed */
};

/*
 * Told what passes, for logs: in the order of the requests, each of which has one response at most.
 * What is pointed at is gone when the call returns.
 */
struct h1_watch {
	/* A request was let through, or (head NULL) refused: its first line, as far as it came. */
	void (*request)(void *owner, struct span line, const struct h1_head *head);
	/* The oldest unanswered request gets the head of its final response, or its tunnel. */
	void (*response)(void *owner, int status);
	/* That response is complete: `bytes` of it came behind its head. */
	void (*done)(void *owner, uint64_t bytes);
};

/* No memory of its own beside this struct; zeroed and h1_init()ed it is a new conversation. */
struct h1 {
	const struct rewrite *rewrite;
	const struct facts *facts;
	const struct h1_watch *watch; /* NULL: nobody watches */
	void *watch_owner;
	struct h1_limits limits;
	struct h1_side side[2];
	enum error error; /* no request is forwarded any more, and after ANSWER_ no response */
	uint32_t mended;  /* of errors.h, one bit a row; see h1_take_mended() */
	uint8_t queue[H1_PIPELINE_MAX]; /* of requests in flight: enum h1_request_kind */
	uint8_t queue_first;
	uint8_t queue_count;
	bool begun;		 /* an interim response to the oldest request in flight has come */
	uint64_t response_bytes; /* of the response under way, behind its head */
	uint64_t requests;	 /* heads that were forwarded so far */
	size_t head_len;	 /* of the newest request, as it was written */
	bool tunnel_asked;	 /* by the newest request in the queue */
	bool tunnel_refused;	 /* and its response has come already */
	bool last;	/* the current request is the last: close, or HTTP/1.0 without keep-alive */
	bool finishing; /* h1_finish() */
	bool closing;	/* the client is told that the response under way is the last */
	uint8_t protocol_len;
	char protocol[H1_PROTOCOL_MAX]; /* that the newest Upgrade in the queue offers */
	bool renewing;		 /* the backend takes no more requests, the client may send them */
	uint64_t before_renewal; /* requests that went to earlier backend connections */
	/* limits.pool: */
	bool pooled;	/* the backend connection has served other clients */
	bool unfit;	/* it must not serve others behind this exchange */
	bool tied;	/* the client logs in by connections, and shares none any more */
	bool repeating; /* the request in flight is sent again */
};

#endif
