/* SPDX-License-Identifier: ISC */
#ifndef CHILD_H
#define CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sys/board.h"

/*
 * The master's children, whatever they are for. A kind of child is a row; all kinds are started,
 * replaced, drained and stopped alike. libuv is for the children: the master forks.
 */

/* What the master tells a child, by a signal. A kind is told the first two in any case. */
enum child_signal {
	CHILD_STOP = SIGTERM,	/* end now */
	CHILD_DRAIN = SIGQUIT,	/* take on nothing new, and end with status 0 when all is done */
	CHILD_REOPEN = SIGUSR1, /* open the log files anew */
	CHILD_LOOK = SIGUSR2,	/* another child has ended: look at the board */
};

#define CHILD_TOLD(signal) (1U << (signal))

/* What of the master's a child may keep; bits. The rest is let go of before it runs. */
enum child_keeps {
	CHILD_KEEPS_SOCKETS = 1, /* that are listened on */
	CHILD_KEEPS_LOGS = 2,	 /* the access logs of its configuration */
};

/* Where a child stands: in its process. */
struct child_place {
	struct board *board;
	size_t row;   /* of the board, and its own */
	size_t index; /* among those of its kind */
	int ready;    /* -1: nobody waits for it to be ready */
};

struct child_kind {
	const char *noun;    /* in the log: "A worker" could not be started */
	const char *process; /* "Worker process" 17 finished with code 1; "es" makes its plural */
	unsigned told;	     /* CHILD_TOLD() of each further signal; others might end it */
	unsigned keeps;	     /* enum child_keeps */
	size_t (*count)(const void *owner); /* how many there are in a generation */
	/* The child's life, until it is told to end or the master has ended; its exit status. */
	int (*run)(void *owner, const struct child_place *place);
};

/* What the owner of children does for them. */
struct child_calls {
	/* In the new process: lets go of what the kind does not keep. */
	void (*enter)(void *owner, const struct child_kind *kind);
	/* Frees what exit() would leave behind, for leak checkers to see nothing. */
	void (*leave)(void *owner);
	/* In the master, after SIGCHLD: hands all that has ended to child_ended(). */
	void (*reap)(void *owner);
};

enum child_state {
	CHILD_STARTING = 0, /* nobody relies on them yet: one that ends is not replaced */
	CHILD_SERVING,
	CHILD_DRAINING, /* each ends when it has nothing left to do */
};

struct child {
	const struct child_kind *kind;
	size_t index;	   /* among those of its kind */
	pid_t pid;	   /* 0: there is none */
	unsigned failures; /* in a row: how often it ended as soon as it was there */
	uint64_t retry_at; /* on board_now()'s clock: not to be replaced before */
};

/* All children of one generation, by kind in the order of the rows; each has a row of the board. */
struct children {
	enum child_state state;
	struct child *child;
	size_t count;
	struct board *board; /* the owner's, who sets it before the start: a row for each child */
	const struct child_calls *calls;
	void *owner;
};

/* None runs yet. False without memory. */
bool child_open(struct children *c, const struct child_kind *kinds, size_t kind_count,
		const struct child_calls *calls, void *owner);
void child_free(struct children *c); /* when child_none() */

/*
 * Starts all of them and waits until each has said child_ready(): then they serve. False, logged,
 * if one could not; or if child_told_to_end(). What has started by then is for child_stop().
 */
bool child_start(struct children *c);

/* In a child's process: it is of use from now on. False: whoever waited for it has given up. */
bool child_ready(const struct child_place *place, size_t room);

/* Whether a signal that ends the daemon is pending, which is why a start may have been given up. */
bool child_told_to_end(void);

/* Tells those of the kinds that are told it. */
void child_signal(const struct children *c, enum child_signal signal);

/* They are not needed any more. */
void child_drain(struct children *c);

/*
 * A process of ours has ended. If it was one of these true is returned, and what ended otherwise
 * than it should is logged; while they serve child_replace() has another one to start.
 */
bool child_ended(struct children *c, pid_t pid, int status);

/*
 * Replaces what has ended: at once, but one that ends again and again as soon as it is there only
 * after a pause, which grows. Returns after how many milliseconds there is one to replace, or -1;
 * does not wait for it.
 */
int child_replace(struct children *c);

/* Those that were told CHILD_STOP: returns when they have ended, by force after the deadline. */
void child_stop(struct children *c, uint64_t deadline);

/* Whether none is left. */
bool child_none(const struct children *c);

#endif
