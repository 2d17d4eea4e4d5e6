/* SPDX-License-Identifier: ISC */
#ifndef ANSWER_H
#define ANSWER_H

#include "conn/conn.h"

/*
 * The last step of a client that gets an answer of ours instead of a backend's. No plan has it:
 * other steps lead to it.
 */

/*
 * Refuses the request at hand: ends the back and answers, at once or, where responses come first,
 * when called again; resets where one is in the way. To be returned by a step.
 */
enum step_result answer_refuse(struct conn *c, enum error error);

/* No back can be had for the request at hand; what is no HTTP is reset. To be returned by a step.
 */
enum step_result answer_unavailable(struct conn *c);

/* Logs why a request is refused, or what is wrong with a response; once in a connection. */
void answer_tell_refusal(struct conn *c);
void answer_tell_unframed(struct conn *c);

#endif
