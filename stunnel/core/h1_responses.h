/* SPDX-License-Identifier: ISC */
#ifndef H1_RESPONSES_H
#define H1_RESPONSES_H

#include "h1_state.h"
#include "out.h"

/* For h1.c: the response side of a conversation. */

/*
 * One step of h1_feed() for responses: takes from the front of *in, appends to *out; H1_MOVED,
 * H1_WAITING for input or room, or -ERR_ANSWER_x.
 */
int h1_responses_step(struct h1 *h, struct span *in, struct out *out);

/* The response under way is complete; the next one answers the next request in flight. */
void h1_responses_done(struct h1 *h);

/* limits.keep_client: whether the client can send a further request. */
bool h1_responses_client_stays(const struct h1 *h);

#endif
