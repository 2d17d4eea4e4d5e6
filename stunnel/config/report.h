/* SPDX-License-Identifier: ISC */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What is wrong with a configuration: collected while it is read, told when all of it was, in the
 * order of its lines, so that one start shows everything.
 */

enum report_kind {
	REPORT_NOTE,	/* a line without effect: LOG_INFO */
	REPORT_WARNING, /* it works, though perhaps not as it was meant: LOG_WARNING */
	REPORT_FAULT,	/* it can never work, but keeps nothing else from starting: LOG_WARNING */
	REPORT_ERROR,	/* nothing starts: LOG_ERR */
};

#define REPORT_KINDS 4
#define REPORT_MAX 100 /* entries of one kind that are told; others are only counted */

/* A line of the file. */
struct report_line {
	const char *text; /* FILE:LINE: "LINE" */
	size_t order;	  /* among all lines that were read, also of included files */
	bool refused;	  /* an error was reported of it: what it would have set is not missed */
};

/* Zeroed: nothing was reported. */
struct report {
	struct report_entry *entry;
	size_t entries;
	size_t count[REPORT_KINDS]; /* by enum report_kind, told or not */
};

/* What a report is about; every part may be missing. */
struct report_place {
	const struct report_line *line;
	size_t order;	     /* without a line: stands behind the line of this order */
	const char *service; /* what to call the part at fault, as "Service [web]" */
};

/*
 * Adds an entry, or counts it where there is no memory. The line and the service's name outlive the
 * report. Entries of one line with the same words, as of a default that services share, are one.
 */
void report_add(struct report *report, enum report_kind kind, const struct report_place *place,
		const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Logs all entries as `FILE:LINE: "LINE": SERVICE: REASON`; strict: faults as LOG_ERR. */
void report_tell(struct report *report, bool strict);

/* Frees the entries; the report is empty afterwards. */
void report_free(struct report *report);

#endif
