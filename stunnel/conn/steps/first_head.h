/* SPDX-License-Identifier: ISC */
#ifndef FIRST_HEAD_H
#define FIRST_HEAD_H

#include "conn/conn.h"

/* Awaits the head of the first request, or of the next one for a new back: none is bothered before.
 */
extern const struct step first_head_step;

/* Gives each request head an absolute time; to be called whenever bytes were taken. */
void first_head_watch(struct conn *c);

/* Of a client between requests, or in the next one's head. */
uint64_t first_head_deadline(const struct conn *c);

#endif
