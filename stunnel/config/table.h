/* SPDX-License-Identifier: ISC */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "config/config.h"

/* What an option's line is applied to. */
struct table_target {
	struct config *config;
	struct config_section *section; /* the open one, or the defaults */
	bool global;			/* no section was opened yet */
	struct report_line *line;
	struct report *report; /* for notes and warnings on lines that are not refused */
	char reason[256];      /* of a refusal, unless that is a static text */
};

/* Sets every option of the defaults, target->section, to its initial value. */
void table_default(struct table_target *target);

/* Gives a copy of the defaults an array `line` of its own; false without memory. */
bool table_inherit(struct config_section *section, struct arena *arena);

/*
 * Applies target->line, NAME = VALUE. NULL, or what is wrong with the line, a text that lasts until
 * the next call: then it counts as a refused line of the option that it names, or is most likely to
 * mean. A line of `include` only sets *include to the directory; else it is NULL.
 */
const char *table_apply(struct table_target *target, const char *name, const char *value,
			const char **include);

/*
 * A line without `=` counts as a refused one of the option that it begins with, if it does. What is
 * wrong with it, a text as of table_apply().
 */
const char *table_spoilt(struct table_target *target, const char *text);

/* Whether the value of a line, whose name may be misspelled, must not be shown to anybody. */
bool table_is_secret(const char *line);

/*
 * The last line of an option, or of another way to write it, and the option's name in that line;
 * both are NULL if there is none.
 */
struct report_line *table_line(const struct config_section *section, const char *name);
const char *table_written(const struct config_section *section, const char *name);

/* Whether a line of the option, or of another way to write it, was refused. */
bool table_refused(const struct config_section *section, const char *name);

/* Prints -help's list of options, a line each: name, help, default. */
void table_print(FILE *to);

/* Prints "NAME = DEFAULT" of each option that has a default. */
void table_print_defaults(FILE *to);

#endif
