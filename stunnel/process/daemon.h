/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_H
#define DAEMON_H

#include <stdbool.h>

/* What makes a process a daemon. Failures are logged at LOG_ERR. */

/*
 * Takes those of the descriptors 0 to 2 that whoever started us has closed, before anything else
 * is opened: a socket or a pipe that had such a number would be replaced when we detach. False,
 * with errno: there is no /dev/null to take them with.
 */
bool daemon_standard_streams(void);

/*
 * Goes into the background: the caller's process waits and ends with the child's status, so that
 * whoever started us returns only when everything runs, or failed. False if there was no fork.
 */
bool daemon_fork(void);

/* Everything runs: lets the waiting process end with 0, and detaches. */
void daemon_ready(void);

/* In the background: lets go of the terminal. In the foreground: nothing. */
void daemon_detach(void);

/*
 * Writes our process id; an old file goes. root: what path counts from, or NULL. Both are copied,
 * so that daemon_pid_remove() removes what was written, if there was anything.
 */
bool daemon_pid_write(const char *root, const char *path);
void daemon_pid_remove(void);

/* Confines the process to a directory (NULL: no) and gives up root for uid and gid (0: stay). */
bool daemon_confine(const char *root, unsigned uid, unsigned gid);

#endif
