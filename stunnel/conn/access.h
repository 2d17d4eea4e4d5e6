/* SPDX-License-Identifier: ISC */
#ifndef ACCESS_H
#define ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "conn/exchange.h"
#include "sys/log_file.h"

/*
 * Access logs: a line a request. Whole lines are gathered for each destination and written at once,
 * so that workers and generations of them can append to the same file.
 */

#define ACCESS_BUFFER_MAX 65536 /* bytes that are gathered; no line is longer */

/* One destination, shared by the services that name it. */
struct access_file {
	struct access_file *next;
	const char *path; /* as it is called inside chroot; NULL: syslog */
	struct log_file log;
	bool failing;	    /* the last write failed, and that was said */
	int why;	    /* errno of that */
	unsigned long lost; /* lines since then */
	size_t len;
	char buffer[ACCESS_BUFFER_MAX];
};

/* What a service writes. */
struct access_log {
	struct access_file *file;
	struct exchange_format format;
};

/* Logs a connection's requests from here on; log and h1 must outlive *all. */
void access_begin(struct exchanges *all, struct access_log *log, struct h1 *h1);

/* --- lists of destinations -------------------------------------------------------------------- */

/*
 * Opens each file, or replaces the open one, all whatever becomes of the others; false if one could
 * not, which is as before then, and logged. root: the directory in front of the paths, "" inside
 * it.
 */
bool access_open(struct access_file *list, const char *root);

void access_close(struct access_file *list);

/* As log_try(). */
void access_try(const struct access_file *list);

/* Hands them to a user, so that a process without privileges can open them again. */
void access_own(const struct access_file *list, unsigned uid, unsigned gid);

/*
 * Writes out what was gathered. What a file does not take, as on a full disk, waits for the next
 * time as long as there is room; what was lost is said and counted in the log.
 */
void access_flush(struct access_file *list);

/* The same for the last time. */
void access_finish(struct access_file *list);

#endif
