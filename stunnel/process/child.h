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
 * The master's children. Each kind of child is a row of a table; children of all kinds are started,
 * replaced, drained and stopped alike. The master uses no libuv loop, which would not survive
 * fork().
 */

/* Signals from the master to a child. Every kind gets the first two. */
enum child_signal {
	CHILD_STOP = SIGTERM,  /* end now */
	CHILD_DRAIN = SIGQUIT, /* accept nothing new; end with status 0 after the last connection */
	CHILD_REOPEN = SIGUSR1, /* open the log files anew */
	CHILD_LOOK = SIGUSR2,	/* another child has ended, as the board shows */
	CHILD_LIST = SIGURG,	/* list the connections, as the board asks */
};

#define CHILD_TOLD(signal) (1U << (signal))

/* Bits: what of the master's a child keeps; the rest is closed or wiped before it runs. */
enum child_keeps {
	CHILD_KEEPS_SOCKETS = 1,  /* the listening sockets */
	CHILD_KEEPS_LOGS = 2,	  /* the access logs of its configuration */
	CHILD_KEEPS_KEYS = 4,	  /* keys and certificates, and the keys of tickets */
	CHILD_KEEPS_METRICS = 8,  /* the listening socket of the figures */
	CHILD_KEEPS_STAPLES = 16, /* where it hears of certificates that are to get a staple */
};

/* What a child's process is given. */
struct child_place {
	struct board *board;
	size_t row;		 /* the child's, on the board */
	size_t index;		 /* among the children of its kind */
	int ready;		 /* a pipe for child_ready(), or -1: nobody waits for it */
	struct log_lines *lines; /* for log_gather() */
};

struct child_kind {
	const char *noun;    /* in the log: "A worker" could not be started */
	const char *process; /* "Worker process" 17 finished with code 1; "es" makes its plural */
	unsigned told;	     /* CHILD_TOLD() of each further signal that the kind handles */
	unsigned keeps;	     /* enum child_keeps */
	bool beats;	     /* by process/pulse: one that does not is taken for hung */
	size_t (*count)(const void *owner); /* children of this kind in a generation */
	/* Runs the child until it is told to end or the master ends; returns the exit status. */
	int (*run)(void *owner, const struct child_place *place);
};

struct child;

/* Callbacks to the owner of children. */
struct child_calls {
	/* In the new process: closes the master's descriptors that the kind does not keep. */
	void (*enter)(void *owner, const struct child_kind *kind);
	/* In the child's process before exit(): frees the owner's memory, for leak checkers. */
	void (*leave)(void *owner);
	/* In the master: its process has ended, and may have left something behind. */
	void (*ended)(void *owner, const struct child *child);
	/* In the master, after SIGCHLD: waits for ended processes and calls child_ended(). */
	void (*reap)(void *owner);
	/*
	 * In the master, while child_start() waits: the milliseconds until it is to be called
	 * again; -1: there is no need. May be NULL.
	 */
	int (*waiting)(void *owner);
};

enum child_state {
	CHILD_STARTING = 0, /* a child that ends makes the start fail */
	CHILD_SERVING,	    /* a child that ends is replaced */
	CHILD_DRAINING,	    /* each child ends after its last connection */
};

struct child {
	const struct child_kind *kind;
	size_t index;		 /* among the children of its kind */
	pid_t pid;		 /* 0: no process */
	unsigned failures;	 /* starts in a row that ended almost at once */
	uint64_t retry_at;	 /* board_now() before which the child is not replaced */
	struct log_lines *lines; /* what it has yet to write to the log */
};

/* All children of one generation, by kind in the order of the kinds; child[i] has board row i. */
struct children {
	enum child_state state;
	struct child *child;
	size_t count;
	struct board *board; /* set, and freed, by the owner: a row for each child */
	const struct child_calls *calls;
	void *owner;
};

/* Fills *c with children that do not run yet; kinds must outlive them. False without memory. */
bool child_open(struct children *c, const struct child_kind *kinds, size_t kind_count,
		const struct child_calls *calls, void *owner);
void child_free(struct children *c); /* once child_none() */

/*
 * Starts all children and waits until each has called child_ready(). False, logged, if one could
 * not start, or if child_told_to_end(): then the caller ends those that run
 * by child_stop() or child_withdraw().
 */
bool child_start(struct children *c);

/*
 * Behind a child_start() that failed: drains the children that serve, which may have connections by
 * then, and kills the others. child_none() tells whether any is left.
 */
void child_withdraw(struct children *c);

/*
 * In a child's process: it serves, with room for so many connections. Closes place->ready. False:
 * the master gave up.
 */
bool child_ready(const struct child_place *place, size_t room);

/*
 * In a child's process: a descriptor from which the master's signals are read, as of a signalfd(2);
 * -1, logged, if there is none. The signals are blocked in all threads until exit(): an early one
 * stays pending, and a late one does not kill the child.
 */
int child_take_signals(void);

/* Whether a signal that ends the daemon is pending, which makes a start give up. */
bool child_told_to_end(void);

/* Sends the signal to all running children whose kind handles it. */
void child_signal(const struct children *c, enum child_signal signal);

/* Sends CHILD_DRAIN; from then on children that end are not replaced. */
void child_drain(struct children *c);

/*
 * Takes the waitpid() status of an ended process; false if it was none of these children. Only a
 * drained child's end with status 0 is not logged; child_replace() replaces one while
 * CHILD_SERVING.
 */
bool child_ended(struct children *c, pid_t pid, int status);

/*
 * Replaces ended children: at once, or after a growing pause if one keeps ending as soon as it
 * serves. Does not wait; returns the milliseconds until the next one is due, or -1 if none is.
 */
int child_replace(struct children *c);

/* Waits for children that got CHILD_STOP, and kills those left at the deadline (board_now()). */
void child_stop(struct children *c, uint64_t deadline);

/*
 * A child, of a kind that beats, of which nothing was heard for ms milliseconds: it hangs, or has
 * ended and cannot be replaced. NULL: there is none. Those that child_start() waits for have the
 * time that it gives them.
 */
const struct child *child_silent(const struct children *c, uint64_t ms);

/* Whether no child runs. */
bool child_none(const struct children *c);

#endif
