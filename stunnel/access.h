/* SPDX-License-Identifier: ISC */
#ifndef ACCESS_H
#define ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "errors.h"
#include "facts.h"
#include "h1.h"
#include "template.h"

/*
 * Access logs: a line a request. Whole lines are gathered for each destination and written at once,
 * so that workers and generations of them can append to the same file.
 */

#define ACCESS_BUFFER_MAX 65536 /* bytes that are gathered; no line is longer */

/* One destination, shared by the services that name it. Zeroed but for its path it is closed. */
struct access_file {
	struct access_file *next;
	const char *path; /* as it is called inside chroot; NULL: syslog */
	int fd;		  /* -1: closed */
	bool failing;	  /* the last write failed, and that was said */
	size_t len;
	char buffer[ACCESS_BUFFER_MAX];
};

/* What a service writes. */
struct access_log {
	struct access_file *file;
	enum template_place place;
	struct template line;
	struct template_pool pool;
};

/*
 * `combined`, `json` or a template; one that begins with `{` is JSON, whose escapes it gets. NULL,
 * or a static text that says what is wrong.
 */
const char *access_format(struct access_log *log, const char *format);

/*
 * Opens the file by the path that it has for whoever we are now, or replaces the open one. 0, or
 * -errno and all is as before. Nothing is done for syslog.
 */
int access_open(struct access_file *file, const char *path);

void access_close(struct access_file *file);

/* Hands it to a user, so that a process without privileges can open it again. */
void access_own(const struct access_file *file, unsigned uid, unsigned gid);

/* Writes out what was gathered, of all files of the list. A full disk loses lines, and says so. */
void access_flush(struct access_file *list);

/* --- of one connection ------------------------------------------------------------------------ */

struct access_record; /* one request, until it is answered */

/* Zeroed: nothing is logged. */
struct access {
	const struct access_log *log;
	struct h1 *h1;
	struct access_record *first, **last;
};

/* Watches the conversation from here on; log and h1 must outlive a. */
void access_begin(struct access *a, const struct access_log *log, struct h1 *h1);

/* The answer to `error` goes to the client, whose next expected response it is. */
void access_answer(struct access *a, enum error error);

/* The connection is over: what was not answered is logged, too. */
void access_end(struct access *a);

#endif
