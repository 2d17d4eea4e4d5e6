/* SPDX-License-Identifier: ISC */
#ifndef QUESTIONS_H
#define QUESTIONS_H

#include "conn/inquiry.h"
#include "conn/revocation.h"
#include "conn/sessiond.h"

/*
 * What a connection asks other processes: few ever do, and a kilobyte of answers would lie in all
 * the others.
 */
struct questions {
	struct inquiry_wait inquiry; /* a connection has one question at a time */
	struct revocation_answer revocation;
	struct sessiond_wait sessiond;
};

/* wake: called with `owner` by each answer; may call any of these. NULL without memory. */
struct questions *questions_new(void (*wake)(void *owner), void *owner, uint64_t serial);

/* Waits for no answer any more. NULL: nothing, for both. */
void questions_leave(struct questions *q);
void questions_free(struct questions *q);

#endif
