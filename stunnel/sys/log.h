/* SPDX-License-Identifier: ISC */
#ifndef LOG_H
#define LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <syslog.h> /* LOG_EMERG to LOG_DEBUG are the levels 0 to 7 */

/*
 * The sinks: syslog, a file, stderr. Until log_open() lines are kept; it writes them through the
 * sinks. Until log_started() errors also go to stderr, for whoever is starting us. A line longer
 * than LOG_LINE_MAX is cut; control bytes become '.', so nothing a peer sends can forge a line.
 * Lines that a sink did not take are counted there as soon as it takes lines again.
 */
#define LOG_LINE_MAX 1024

struct log_sinks {
	int level; /* threshold of lines that belong to no connection */
	bool to_syslog;
	bool for_access; /* log_syslog() will be used */
	int facility;
	const char *ident;
	bool to_stderr;
	const char *root; /* that path counts from, NULL: none */
	const char *path; /* NULL: no file */
	bool overwrite;	  /* truncate the file on opening */
};

/*
 * Opens the sinks, or replaces the open ones; all strings are copied. 0, or -errno if the file
 * cannot be opened, and then the sinks are as before. Those that were replaced are kept until it is
 * certain that they are not needed: log_settle() closes them, log_revert() goes back to them, which
 * cannot fail, even where their file could not be opened again.
 */
bool log_open(const struct log_sinks *sinks);
void log_settle(void);
void log_revert(void);

/*
 * Closes and opens the file again, as after a rotation. may_truncate: as `overwrite` says; of
 * several processes with one file only the first may. False: a line in the log as it was says why.
 */
bool log_reopen(bool may_truncate);

/* The process is confined to root by now: the file is opened again by its path alone. */
void log_confined(void);

/* Confined: warns if the file could not be opened again, which a rotation would tell too late. */
void log_try(void);

/* Hands the file to a user, so that a process without privileges can open it again. */
void log_own(unsigned uid, unsigned gid);

/* In a forked process, before any line of its own: it goes back to no other log. */
void log_forked(void);

/* A line for syslog alone, as it is. */
void log_syslog(int level, const char *text);

/* Tries again what syslog did not take at once; true if it is to be called again soon. */
bool log_flush(void);

/* The start is over: errors are no longer shown on stderr too. */
void log_started(void);

/* What stands in LOGn[...] for lines that belong to no connection; not copied. */
void log_name(const char *id);

/* A line of no connection. */
void log_main(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line of a connection, shown if level <= threshold. */
void log_line(int threshold, const char *id, int level, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* There will be no log_open(): shows the kept lines up to a level on stderr, as "[!] TEXT" each. */
void log_unopened(int level);

#endif
