/* SPDX-License-Identifier: ISC */
#ifndef DAEMON_H
#define DAEMON_H

#include <stdbool.h>

/* What makes a process a daemon. Failures are logged at LOG_ERR. */

/*
 * Opens /dev/null as each of the descriptors 0 to 2 that the parent has closed. Called first: a
 * socket that got such a number would be replaced by daemon_detach(). False, with errno, if
 * /dev/null cannot be opened.
 */
bool daemon_standard_streams(void);

/*
 * Returns true in a new background process. The calling process exits: with 0 at daemon_ready(), or
 * with the background process's status. False, in the calling process, if fork() or pipe() failed.
 */
bool daemon_fork(void);

/* Has the process that called daemon_fork() exit with 0; then as daemon_detach(). */
void daemon_ready(void);

/* Ends the start for the log; a background process goes to / with /dev/null as standard streams. */
void daemon_detach(void);

/*
 * Writes this process's id to a new file in the place of any old one. path is below root, unless
 * that is NULL. Both are copied, for daemon_pid_remove(), which does nothing if none was written.
 */
bool daemon_pid_write(const char *root, const char *path);
void daemon_pid_remove(void);

/* Changes the root directory (NULL: no), then group and user id (0: no). */
bool daemon_confine(const char *root, unsigned uid, unsigned gid);

#endif
