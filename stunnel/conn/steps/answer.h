/* SPDX-License-Identifier: ISC */
#ifndef ANSWER_H
#define ANSWER_H

#include "conn/conn.h"

/*
 * The last step of a client that gets an error answer of ours instead of a backend's. No service's
 * plan has it: other steps return what the functions below return.
 */

/*
 * Refuses the request at hand: ends the back and answers, or waits, to be called again, while
 * responses to earlier requests come first; resets in the middle of a response.
 */
enum step_result answer_refuse(struct conn *c, enum error error);

/* Refuses the request at hand for want of a back; a connection that is not HTTP is reset. */
enum step_result answer_unavailable(struct conn *c);

/* Log why a request is refused, or what is wrong with a response; each once in a connection. */
void answer_tell_refusal(struct conn *c);
void answer_tell_unframed(struct conn *c);

#endif
