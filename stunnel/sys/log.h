/* SPDX-License-Identifier: ISC */
#ifndef LOG_H
#define LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <syslog.h> /* LOG_EMERG to LOG_DEBUG are the levels 0 to 7 */

#include "sys/log_form.h"

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
	bool for_access; /* access logs go to syslog: log_syslog() will be used */
	int facility;
	const char *ident;
	bool to_stderr;
	const char *root; /* the folder of `chroot`, in which path is looked up; NULL: none */
	enum log_format format;
	const char *path; /* NULL: no file; or a word of log_file_standard() */
	bool overwrite;	  /* truncate the file on opening */
};

/*
 * Opens the sinks, or replaces the open ones; all strings are copied. False if the file cannot be
 * opened: a line in the log says why, and the sinks are as before. Sinks that were replaced stay
 * open until log_settle() closes them or log_revert() goes back to them, which cannot fail, even
 * where their file could not be opened again.
 */
bool log_open(const struct log_sinks *sinks);
void log_settle(void);
void log_revert(void);

/*
 * Closes and opens the file again, as after a rotation. may_truncate: as `overwrite` says; of
 * several processes with one file only the first may. False: a line in the log as it was says why.
 */
bool log_reopen(bool may_truncate);

/* The process is inside `root` now: log_reopen() opens the file by its path alone. */
void log_confined(void);

/* In a confined process: warns if log_reopen() would fail, before a rotation finds that out. */
void log_try(void);

/* Hands the file to a user, so that a process without privileges can open it again. */
void log_own(unsigned uid, unsigned gid);

/*
 * A process that calls log_flush() often may gather its lines until then; a warning, or what is
 * worse, is written at once with all before it. Gathered lines lie in memory that the process
 * shares with the one that forked it, which made it by log_lines_new(), and writes by
 * log_lines_rest() what a crash left behind. NULL without memory.
 */
struct log_lines;

struct log_lines *log_lines_new(void);
void log_lines_free(struct log_lines *lines); /* NULL: nothing */
void log_gather(struct log_lines *to);	      /* for the rest of the process */
void log_lines_rest(struct log_lines *of);    /* its process has ended */
bool log_gathered(void);		      /* log_flush() has lines to write */

/* In a forked process, before any line of its own: log_revert() has nothing to go back to there. */
void log_forked(void);

/* Sends a line to syslog alone, without a prefix of ours. */
void log_syslog(int level, const char *text);

/*
 * Writes what was gathered, and sends what syslog did not take at once; true if something is left
 * of the latter: call it again soon.
 */
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
