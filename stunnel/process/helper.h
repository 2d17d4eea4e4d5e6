/* SPDX-License-Identifier: ISC */
#ifndef HELPER_H
#define HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "config/config.h"
#include "process/child.h"
#include "process/pulse.h"

/*
 * A child that answers the questions of workers (conn/inquiry.h), and may wait where they may not:
 * the sockets over which it is asked, and its life. Without sockets, the life of another child.
 */

/* A pair of packet sockets for each worker. Zeroed: none. */
struct helper_sockets {
	int *ask;   /* the workers' ends */
	int *asked; /* the helper's */
	size_t workers;
};

/* The master keeps both ends, so that a child that is replaced finds them again. False: none. */
bool helper_sockets_open(struct helper_sockets *s, size_t workers);
void helper_sockets_close(struct helper_sockets *s);

/* The worker's end; -1: there is no helper. */
int helper_socket(const struct helper_sockets *s, size_t worker);

/* What the main function of a helper is given. */
struct helper_task {
	struct config *config;
	const struct child_place *place;
	const struct helper_sockets *sockets;
	int lifeline; /* a pipe that becomes readable when the master ends */
	int renewal;  /* a socket from which new certificates are read; -1: there is none */
};

struct helper_calls {
	/* A packet of len bytes, at least a head's, in helper->question; the answer goes to fd. */
	void (*take)(void *owner, size_t len, int fd);
	void (*end)(void *owner); /* before the loop stops; may be NULL */
	/* While it drains: whether it has; NULL: when no worker that could ask serves any more. */
	bool (*drained)(void *owner);
};

struct helper {
	uv_loop_t loop;
	const struct helper_task *task;
	const struct helper_calls *calls;
	void *owner;
	void *question; /* the owner's, with room for the longest one */
	size_t question_max;
	bool held;	  /* takes no question */
	uv_poll_t *polls; /* of each worker's socket */
	uv_poll_t lifeline, signals;
	uv_timer_t look;
	struct pulse pulse;
	int signal_fd;
};

/* Begins to take questions; task, calls, owner and question are set. False: *h holds nothing. */
bool helper_open(struct helper *h);

/* Tells the master that the helper serves, and returns when it is told to end. */
void helper_serve(struct helper *h);

/* Closes all handles of the loop, also the owner's. */
void helper_close(struct helper *h);

/* Leaves questions in the sockets, or takes them again. */
void helper_hold(struct helper *h, bool held);

#endif
