/* SPDX-License-Identifier: ISC */
#ifndef ATTEND_H
#define ATTEND_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Whoever has started the daemon may wait for the end of just that process: a shell, a container
 * whose first process it is, a unit of Type=simple. So behind an upgrade the first process stays
 * and passes signals on. It does so for all masters that come after it, which are all children of
 * its own: those in the middle end when they have drained, as they do in the background.
 */

/* --- in an heir ------------------------------------------------------------------------------- */

/* The end of the first process's pipe that attend_open() returned there. */
void attend_inherit(int fd);

/* --- in any master ---------------------------------------------------------------------------- */

/*
 * What the next heir is to inherit, if somebody awaits the end of this process or if this one is
 * attended itself; -1: neither, or there is no pipe, which is logged. The descriptor stays ours.
 */
int attend_open(bool awaited);

/*
 * fork(2) of an heir; that of an attended process is the first process's child. fn(arg) does not
 * return.
 */
pid_t attend_fork(int (*fn)(void *arg), void *arg);

/* The heir serves now. */
void attend_hand_over(pid_t heir);

/* Whether this is the first process, and has handed over. */
bool attend_begun(void);

/* Passes the signal on to all that came after this process, or to the newest alone. */
void attend_pass_on(int number, bool to_newest);

/* A process has ended that waitpid() told of, and is none of the children that serve. */
void attend_ended(pid_t pid, int status);

/*
 * Waits for ended processes, when this one has no other children that it cares for. Whether any
 * heir is left; if none is, *status is what to exit with: the newest's status, or 1.
 */
bool attend_left(int *status);

/* In a child that serves: closes what only masters may write to. */
void attend_let_go(void);

#endif
