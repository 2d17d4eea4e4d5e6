/* SPDX-License-Identifier: ISC */
#ifndef FIRST_HEAD_H
#define FIRST_HEAD_H

#include "conn/conn.h"

/* Awaits a whole request head before a back is opened: the client's first, or its next one. */
extern const struct step first_head_step;

/* Puts the HTTP machine between both ends, as the step does first. */
void first_head_begin(struct conn *c);

/* Begins or ends TIMEOUTrequest of a request head; to be called whenever bytes were taken. */
void first_head_watch(struct conn *c);

/* The end of TIMEOUTidle, or of TIMEOUTrequest within a request head, if that is earlier. */
uint64_t first_head_deadline(const struct conn *c);

#endif
