/* SPDX-License-Identifier: ISC */
#ifndef LOG_FORM_H
#define LOG_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* How a line of the log looks. */
enum log_format {
	LOG_TEXT = 0,	  /* as stock's */
	LOG_TEXT_WITH_MS, /* with milliseconds behind its time */
	LOG_JSON,
};

struct log_form_line {
	const char *id; /* in the brackets */
	int level;
	const char *text; /* without controls */
};

/*
 * Writes a line with its end, without a zero byte; returns its length, or 0 if it has no room.
 * journal: it is for systemd's journal, which has times of its own, and takes the level from in
 * front of a line (sd-daemon(3)).
 */
size_t log_form_put(char *line, size_t cap, enum log_format format, bool journal,
		    const struct timespec *now, const struct log_form_line *of);

#endif
