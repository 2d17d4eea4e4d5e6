/* SPDX-License-Identifier: ISC */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "config/config.h"

/* What an option's line needs to be applied to. */
struct table_target {
	struct config *config;
	struct config_section *section; /* the open one, or the defaults */
	bool global;			/* no section was opened yet */
	struct report_line *line;
	struct report *report; /* for what is wrong, but does not refuse the line */
	char reason[256];      /* of a refusal, where that is no fixed text */
};

/* Sets every option to its default. */
void table_default(struct table_target *target);

/* Gives a copy of the defaults lines of its own; false without memory. */
bool table_inherit(struct config_section *section, struct arena *arena);

/*
 * Applies one line. NULL, or what is wrong with it, until the next call; the line then counts as
 * one of the option that it names, or that it was meant to name. `include` is not applied: *include
 * is then set to the directory.
 */
const char *table_apply(struct table_target *target, const char *name, const char *value,
			const char **include);

/* A line that is none of NAME = VALUE counts as one of the option that it begins with. */
void table_spoilt(struct table_target *target, const char *text);

/* Whether the value of a line, whose name may be misspelled, is not to be shown to anybody. */
bool table_is_secret(const char *line);

/*
 * The last line of an option, and of those that are other ways to write it; or NULL. And the name
 * that stands in it.
 */
struct report_line *table_line(const struct config_section *section, const char *name);
const char *table_written(const struct config_section *section, const char *name);

/* Whether a line of the option, or of another way to write it, was refused. */
bool table_refused(const struct config_section *section, const char *name);

/* One line an option: name, help, default. */
void table_print(FILE *to);

#endif
