/* SPDX-License-Identifier: ISC */
#ifndef ANSWER_H
#define ANSWER_H

#include "conn/conn.h"

/*
 * The last step of a client: what is left for it is sent, its backend's last answer or an error
 * answer of ours, and then its connection is closed. No service's plan has it: other steps return
 * what the functions below return.
 */

/*
 * The client has got its last answer, or may repeat the request to which none came: ends the back,
 * whatever it does, and the client's side. That end is a clean one, since nothing of what was
 * sent is missing: cut, it would be an attack to the client, and no reason to repeat anything.
 */
enum step_result answer_over(struct conn *c);

/*
 * Refuses the request at hand: ends the back and answers, or waits, to be called again, while
 * responses to earlier requests come first; resets in the middle of a response.
 */
enum step_result answer_refuse(struct conn *c, enum error error);

/* Refuses the request at hand for want of a back; a connection that is not HTTP is reset. */
enum step_result answer_unavailable(struct conn *c);

/* Counts what was mended in a backend's answers, and logs each kind once in a connection. */
void answer_tell_mended(struct conn *c);

/* Counts and logs why a request, or a backend's answer to it, is refused; each reason once. */
void answer_tell_refusal(struct conn *c);

#endif
