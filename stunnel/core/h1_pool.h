/* SPDX-License-Identifier: ISC */
#ifndef H1_POOL_H
#define H1_POOL_H

#include "h1_answer.h"
#include "h1_state.h"

/*
 * For h1.c and the two sides of a conversation: limits.pool, where clients share the connections to
 * a backend. Whoever gets one must get his own answers, so an exchange makes its connection unfit
 * for others unless all of it was as it is between two programs without fault.
 */

/* A request is let through. */
void h1_pool_request(struct h1 *h, const struct h1_head *head, unsigned kind);

/* The head of an answer, interim or final, behind h1_answer_frame(). */
void h1_pool_answer(struct h1 *h, const struct h1_answer *a);

/* A final answer is complete: a connection that is unfit ends behind it, if no one is tied to it.
 */
void h1_pool_done(struct h1 *h);

#endif
