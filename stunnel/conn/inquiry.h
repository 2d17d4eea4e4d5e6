/* SPDX-License-Identifier: ISC */
#ifndef INQUIRY_H
#define INQUIRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "sys/waiting.h"

/*
 * Questions of one worker, which may wait for nobody, for a process that may wait: each is a packet
 * on a socket, and so is its answer. A process that takes the place of another begins with a packet
 * that is a head alone, and is asked again whatever the other one may have had before it.
 */

#define INQUIRY_ANSWER_MAX 4096 /* bytes of an answer's packet */

/* What each packet begins with; that of an answer has its question's. */
struct inquiry_head {
	uint64_t serial;   /* of the connection */
	uint64_t question; /* which of the connection's: another one's verdict is none */
};

/* A connection's place among those who wait; zeroed: it waits for nothing. */
struct inquiry_wait {
	struct waiting waiting; /* first: a place in the list is the whole */
	struct inquiry_head head;
	void *packet; /* the question, for as long as it waits */
	size_t packet_len;
	uint64_t since; /* of the owner's clock: when it was asked */
	bool answered;
	struct inquiry_head *answer; /* the asker's, where the answer's packet is put */
	size_t len;
};

/* All questions of one worker for one process. */
struct inquiry {
	uv_poll_t poll;
	int fd; /* -1: nobody is to be asked */
	struct waiting *waiting;
};

/* fd stays the caller's, and open until the handle is closed. */
void inquiry_open(struct inquiry *q, uv_loop_t *loop, int fd);
void inquiry_close(struct inquiry *q);

/*
 * Sends a question of len bytes, as the connection's, and has wait->waiting.wake called once its
 * answer of wait->len bytes is in wait->answer. False if it cannot be sent: there is nobody, or the
 * process has as many questions before it as its socket holds.
 */
bool inquiry_ask(struct inquiry *q, struct inquiry_wait *wait, struct inquiry_head *question,
		 size_t len);

/* Waits no more; may be called at any time. */
void inquiry_leave(struct inquiry_wait *wait);

#endif
