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
 * Moves standard input and output, for inetd mode, to two other descriptors, or twice the same one
 * if both are one socket; /dev/null takes their places, and that of standard error unless it is
 * kept, at daemon_detach(). What is set on them, as O_NONBLOCK, is not seen by others who have the
 * same pipe or terminal. False, logged, if there are no descriptors.
 */
bool daemon_take_streams(int streams[2], bool keep_stderr);

/*
 * Returns true in a new background process. The calling process exits: with 0 at daemon_ready(), or
 * with the background process's status. False, in the calling process, if fork() or pipe() failed.
 */
bool daemon_fork(void);

/*
 * In the place of daemon_fork() where a process in the background has started this one: standard
 * error is somebody's who waits, until daemon_detach().
 */
bool daemon_stay(void);

/* Has the process that called daemon_fork() exit with 0; then as daemon_detach(). */
void daemon_ready(void);

/*
 * Ends the start for the log; /dev/null takes the place of standard streams that are not kept; and
 * a background process goes to the directory /.
 */
void daemon_detach(void);

/*
 * Writes this process's id to a new file in the place of any old one. path is below root, unless
 * that is NULL. Both are copied, for daemon_pid_remove(), which does nothing if none was written.
 */
bool daemon_pid_write(const char *root, const char *path);
long daemon_pid_read(const char *root, const char *path); /* 0: there is none */
void daemon_pid_remove(void);
void daemon_pid_leave(void); /* the file is another process's now */

/* Changes the root directory (NULL: no), then group and user id (0: no). */
bool daemon_confine(const char *root, unsigned uid, unsigned gid);

#endif
