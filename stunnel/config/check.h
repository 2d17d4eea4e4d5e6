/* SPDX-License-Identifier: ISC */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

/* The section whose options are checked against one another, and where reasons go. */
struct check {
	struct config *config;
	struct config_section *section;
	struct report *report;
	size_t last_line; /* of the section */
};

/*
 * Reports an error at the last line of the option, by its name, or behind the section's last line
 * (NULL: no option is at fault). The reason is printf()'s. Returns false, for callers to return.
 */
bool check_refuse(struct check *check, const char *option, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Reports at one line among several of an option, or what is less than an error; NULL: behind the
 * section's last line.
 */
void check_tell(struct check *check, enum report_kind kind, struct report_line *line,
		const char *format, ...) __attribute__((format(printf, 4, 5)));

/*
 * Whether a line of one of these options (names, up to NULL) was refused: nobody needs to hear that
 * it is missing.
 */
bool check_any_refused(const struct check *check, const char *const *options);

#define CHECK_REFUSED(check, ...) check_any_refused(check, (const char *const[]){__VA_ARGS__, NULL})

#endif
