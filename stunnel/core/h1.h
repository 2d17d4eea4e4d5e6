/* SPDX-License-Identifier: ISC */
#ifndef H1_H
#define H1_H

#include "h1_state.h"
#include "out.h"

/*
 * The HTTP/1 conversation of one client connection with one backend connection.
 *
 * The invariant: every request that the backend can parse went through rewrite_request(); where
 * that cannot be shown the answer is an error, never a pass-through. Requests are judged and
 * written anew. Of responses it is known which one answers which request: what is wrong in them is
 * mended, and what two clients could understand differently is refused.
 */

enum h1_phase {
	H1_IDLE = 0, /* between messages, no byte of the next one seen */
	H1_HEAD,
	H1_BODY,
	H1_TUNNEL,	/* after Upgrade or CONNECT: bytes of another protocol */
	H1_UNTIL_CLOSE, /* responses: in a body that ends with the backend's connection */
	H1_CLOSED,	/* the last one is complete, what follows is discarded */
};

/* rewrite and facts must outlive h; facts may still change until the first h1_feed(). */
void h1_init(struct h1 *h, const struct rewrite *rewrite, const struct facts *facts,
	     struct h1_limits limits);

/* Bytes by which the head or trailer section of a request can become longer, at most. */
size_t h1_insertion(const struct rewrite *rewrite, struct h1_limits limits);

/*
 * The least capacity that `out` must have for h1_feed() to make progress in either direction.
 */
size_t h1_out_min(const struct rewrite *rewrite, struct h1_limits limits);

/*
 * Takes from the front of *in, appends to *out what is to be sent on; 0, or the sticky -ERR_x.
 * What is not consumed must be offered again with more behind it. When neither *in nor *out moved,
 * the direction waits: for input, for room in `out`, or, if h1_blocked(), for responses.
 * After an error nothing of the offending head is in *out, but earlier requests may be.
 *
 * The error of a response, ERR_ANSWER_x or ERR_SWITCH_UNASKED, replaces one of a request: that
 * one's answer would have come later. Nothing is taken of either direction any more, and h1_reply()
 * tells whether a 502 can stand for the response, or the client has to be cut off in the middle of
 * it.
 */
int h1_feed(struct h1 *h, enum h1_dir dir, struct span *in, struct out *out);

/*
 * How many coming bytes of a direction need no inspection: the caller may send them on without
 * h1_feed() and must then say so with h1_bypassed(). They come after everything that h1_feed()
 * wrote so far.
 */
size_t h1_bypass(const struct h1 *h, enum h1_dir dir);
void h1_bypassed(struct h1 *h, enum h1_dir dir, size_t n);

enum h1_phase h1_phase(const struct h1 *h, enum h1_dir dir);

/*
 * Whether what the client sends next waits for responses: too many requests are in flight, or the
 * last one may open a tunnel.
 */
bool h1_blocked(const struct h1 *h);

/* How many requests were sent on whose final response is not complete. */
unsigned h1_in_flight(const struct h1 *h);

/*
 * limits.keep_client: one request is in flight at a time. A backend's `close` is replaced in the
 * response, and when its connection is over the caller may give the conversation another one,
 * where that loses nothing. What the end of the present one means:
 */
enum h1_end {
	H1_END_CLOSE = 0, /* the end of the client's connection, too */
	H1_END_RENEW,	  /* all is answered: h1_renew(), and the next request opens another one */
	/*
	 * A request may have come too late for a connection that had served others: it is sent
	 * again, or the client is closed without an answer, so that it may do that itself (RFC 9112
	 * 9.3.1).
	 */
	H1_END_STALE,
	H1_END_UNANSWERED, /* the backend had the request: ERR_BACKEND_CLOSED answers it */
};

enum h1_end h1_backend_end(const struct h1 *h);

/*
 * Whether the client has all that it will get: the last response is complete. What is left is to be
 * written, and its connection closed, whatever the backend does (RFC 9112 9.6).
 */
bool h1_over(const struct h1 *h);

/*
 * What was mended in responses and not told yet, a row with status 0 of errors.h in each call;
 * ERR_NONE when there is no more.
 */
enum error h1_take_mended(struct h1 *h);

/* Whether to close the backend's connection now: the backend has answered, and said `close`. */
bool h1_backend_done(const struct h1 *h);

/*
 * Whether the request in flight may be sent again, if nothing is answered: it is idempotent, has
 * no content, and was not the first on its backend connection, so that the backend may have closed
 * before it came (RFC 9110 9.2.2, RFC 9112 9.3.1).
 */
bool h1_repeatable(const struct h1 *h);

/* A new backend connection will be opened; the request in flight will be sent there again. */
void h1_renew(struct h1 *h);

/*
 * limits.pool: idle connections to a backend serve all clients. The only point at which one is
 * given up is the end of an exchange, and it is taken for one whole request.
 *
 * Whether the backend connection owes nothing, no one is tied to it, and all on it was so clear
 * that others may have it. The caller has to look that no byte is under way on it, in either
 * direction; then h1_renew(), before the next request is fed.
 */
bool h1_spare(const struct h1 *h);

/*
 * Whether the one request in flight, of which nothing has been sent, may go over a connection that
 * others have used. One that was lost before may not, nor may the client's first, which the client
 * itself would not repeat if it were lost, unless limits.pool_first asks for it and it can be
 * repeated here. Then h1_reuse() says so.
 */
bool h1_may_reuse(const struct h1 *h);
void h1_reuse(struct h1 *h);

/* The caller has seen something odd: no one else may have this backend connection. */
void h1_unfit(struct h1 *h);

/*
 * Whether an end of the sender of `dir`, when all that it sent was fed, cuts a message: it must
 * then not look like the end of a whole one. failed: the sender's connection ended by an error,
 * without which a response that cannot be framed is whole. A client may always end inside a head.
 */
bool h1_cut(const struct h1 *h, enum h1_dir dir, bool failed);

/*
 * Whether the backend may be told that its client has ended its side: many drop what they have not
 * answered then. Not before the last answer has begun, and not within one whose length is known,
 * since the client waits for it; a stream without end, whose reader may be gone, is to end.
 */
bool h1_passes_end(const struct h1 *h);

/*
 * From now on the client is told to leave: the next response whose head is still to come is the
 * last, or, where requests were sent on already, the one to the newest of them. No request is taken
 * behind it. A tunnel goes on. Calling it again changes nothing.
 */
void h1_finish(struct h1 *h);

/* Ends the conversation with an error that the caller found, unless there is one already. */
void h1_fail(struct h1 *h, enum error error);

/*
 * When the request head that is under way began to arrive, for a limit of time that is the same
 * however its bytes trickle in. Zeroed: none is under way.
 */
struct h1_clock {
	uint64_t since; /* 0: none */
	uint64_t number;
};

/* To be called whenever h1_feed() has taken bytes. now: a time in any unit, never 0. */
void h1_clock_look(struct h1_clock *clock, const struct h1 *h, uint64_t now);

enum h1_reply {
	H1_REPLY_NOW = 0, /* our answer is the next thing that the client expects */
	H1_REPLY_LATER,	  /* responses to earlier requests come first */
	H1_REPLY_NEVER,	  /* a response is under way, or was the last: only closing is left */
};

/* Whether the next response answers a HEAD, and so has no content. */
bool h1_answers_head(const struct h1 *h);

/* Where the answer to the conversation's error stands. */
enum h1_reply h1_reply(const struct h1 *h);

#endif
