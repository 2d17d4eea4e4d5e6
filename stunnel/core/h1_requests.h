/* SPDX-License-Identifier: ISC */
#ifndef H1_REQUESTS_H
#define H1_REQUESTS_H

#include "h1_state.h"
#include "out.h"

/* For h1.c: the request side of a conversation. */

/*
 * One step of h1_feed() for requests: takes from the front of *in, appends to *out; H1_MOVED,
 * H1_WAITING for input, room or responses, or -ERR_x.
 */
int h1_requests_step(struct h1 *h, struct span *in, struct out *out);

/* The request under way is complete: its body, too. */
void h1_requests_done(struct h1 *h);

/* h1_blocked() of h1.h. */
bool h1_requests_blocked(const struct h1 *h);

#endif
