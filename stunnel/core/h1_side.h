/* SPDX-License-Identifier: ISC */
#ifndef H1_SIDE_H
#define H1_SIDE_H

#include "h1_state.h"
#include "out.h"

/* For h1.c, h1_requests.c and h1_responses.c: what the two sides of a conversation share. */

enum h1_state {
	H1_STATE_HEAD = 0,
	H1_STATE_BODY,
	H1_STATE_TRAILERS,
	H1_STATE_HELD, /* requests: until it is known whether the last one opens a tunnel */
	H1_STATE_TUNNEL,
	H1_STATE_CLOSED, /* the last one is complete, what follows is discarded */
};

/* What a step of the machine came to, beside -ERR_x. */
enum {
	H1_WAITING = 0,
	H1_MOVED = 1,
};

/* As it is, as far as there is room. */
static inline int h1_pass(struct span *in, struct out *out)
{
	size_t n = in->len < out_room(out) ? in->len : out_room(out);

	out_put(out, span_of(in->p, n));
	span_skip(in, n);
	return H1_WAITING;
}

/* The last request is complete: another one may come, unless it was the last of all. */
static inline void h1_next_request(struct h1 *h)
{
	h->side[H1_REQUEST].state = h->last ? H1_STATE_CLOSED : H1_STATE_HEAD;
}

/* Whether the conversation's error is the backend's, so that no response is taken any more. */
static inline bool h1_answer_failed(const struct h1 *h)
{
	return errors_of_answer(h->error);
}

/* enum h1_request_kind of the request that the next response answers; there is one in flight. */
static inline unsigned h1_answered_kind(const struct h1 *h)
{
	return h->queue[h->queue_first];
}

#endif
