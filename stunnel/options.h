/* SPDX-License-Identifier: ISC */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "conf.h"

/* What an option's line needs to be applied to. */
struct options_target {
	struct config *config;
	struct conf_options *options; /* of the section, or the defaults */
	bool global;		      /* no section was opened yet */
	const char *where;	      /* the line: FILE:LINE: "LINE" */
};

/* Sets every option to its default. */
void options_default(struct options_target *target);

/*
 * Applies one line. NULL, or a static text that says what is wrong. `include` is not applied:
 * *include is then set to the directory.
 */
const char *options_apply(struct options_target *target, const char *name, const char *value,
			  const char **include);

/* The line that set an option of a service, or NULL. */
const char *options_where(const struct conf_options *options, const char *name);

/* One line an option: name, help, default. */
void options_print(FILE *to);

#endif
