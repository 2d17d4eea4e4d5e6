/* SPDX-License-Identifier: ISC */
#ifndef ACCESS_H
#define ACCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "conn/exchange.h"
#include "sys/log_file.h"

/*
 * Access logs: a line a request. Whole lines are gathered for each destination and written at once,
 * so that workers and generations of them can append to the same file.
 */

#define ACCESS_BUFFER_MAX 65536 /* bytes gathered for one destination; no line is longer */

/* Lines that a worker has yet to write. The length is the last to know of a line. */
struct access_lines {
	atomic_size_t len;
	char text[ACCESS_BUFFER_MAX];
};

/* One destination, shared by the services that name it. */
struct access_file {
	struct access_file *next;
	const char *path; /* as it is called inside chroot; NULL: syslog */
	struct log_file log;
	bool failing;		     /* the last write failed, and that was said */
	int why;		     /* errno of the last write that failed */
	unsigned long lost;	     /* lines since it began to fail */
	struct access_lines *shared; /* of each worker, and of the master; NULL: none */
	size_t workers;
	struct access_lines *lines; /* of this process */
};

/* What a service writes. */
struct access_log {
	struct access_file *file;
	struct exchange_format format;
};

/* Logs a connection's requests from here on; all pointers must outlive *all. */
void access_begin(struct exchanges *all, const struct access_log *log, struct h1 *h1,
		  const char *service);

/* --- lists of destinations -------------------------------------------------------------------- */

/*
 * Opens each file, or opens it again in place of the old one. False if any could not be opened,
 * which is logged, and leaves that file as it was. root: the directory before the paths, or "".
 */
bool access_open(struct access_file *list, const char *root);

void access_close(struct access_file *list);

/*
 * In the master, before the workers are forked: memory for their lines, which the master shares,
 * and a worker's own of it. access_rest() writes what the worker has left that has ended, to a file
 * that is opened for that if it is closed. access_unshare() frees it all.
 */
bool access_share(struct access_file *list, size_t workers); /* false without memory */
void access_gather(struct access_file *list, size_t worker);
void access_rest(struct access_file *list, size_t worker, const char *root);
void access_unshare(struct access_file *list);

/* As log_try(): warns of files that a confined process could not open again after a rotation. */
void access_try(const struct access_file *list);

/* Hands the files to the workers' user, so that workers can open them again; logs failures. */
void access_own(const struct access_file *list, unsigned uid, unsigned gid);

/*
 * Writes the lines that were gathered. What a file does not take, as on a full disk, waits for the
 * next flush as long as there is room; lines that are lost are counted in the log.
 */
void access_flush(struct access_file *list);

/* The last access_flush() of a process: lines that a file does not take are lost, and counted. */
void access_finish(struct access_file *list);

#endif
