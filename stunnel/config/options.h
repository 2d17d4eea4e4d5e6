/* SPDX-License-Identifier: ISC */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "config/conf.h"

struct report;

/* What an option's line needs to be applied to. */
struct options_target {
	struct config *config;
	struct conf_options *options; /* of the section, or the defaults */
	bool global;		      /* no section was opened yet */
	struct conf_line *line;
	struct report *report; /* for what is wrong, but does not refuse the line */
	char reason[256];      /* of a refusal, where that is no fixed text */
};

/* Sets every option to its default. */
void options_default(struct options_target *target);

/*
 * Applies one line. NULL, or what is wrong with it, until the next call; the line then counts as
 * one of the option that it names, or that it was meant to name. `include` is not applied: *include
 * is then set to the directory.
 */
const char *options_apply(struct options_target *target, const char *name, const char *value,
			  const char **include);

/* A line that is none of NAME = VALUE counts as one of the option that it begins with. */
void options_spoilt(struct options_target *target, const char *text);

/* Whether the value of a line, whose name may be misspelled, is not to be shown to anybody. */
bool options_is_secret(const char *line);

/* The last line of an option of a service, or NULL. */
struct conf_line *options_line(const struct conf_options *options, const char *name);

/* One line an option: name, help, default. */
void options_print(FILE *to);

#endif
