/* SPDX-License-Identifier: ISC */
#ifndef LOG_SYSLOG_H
#define LOG_SYSLOG_H

#include <stdbool.h>

/*
 * The system's log, without ever waiting for it: what it does not take at once is queued, and what
 * the queue has no room for is counted and told as soon as there is room again. The lines are those
 * that syslog(3) would send to /dev/log.
 */

/*
 * Connects, so that lines arrive from within a chroot, too; where nobody listens yet, each later
 * line tries again. Replaces a connection that is open. ident is copied.
 */
void log_syslog_open(const char *ident, int facility);
void log_syslog_close(void);

/* Sends or queues a line of this level; nothing where it is closed. */
void log_syslog_send(int level, const char *text);

/* Tries to send what is queued; true if it is worth trying again soon. */
bool log_syslog_flush(void);

/* In a forked process: what is queued is for the parent to send, over a connection of its own. */
void log_syslog_forked(void);

#endif
