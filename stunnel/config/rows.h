/* SPDX-License-Identifier: ISC */
#ifndef ROWS_H
#define ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/values.h"

/* The options themselves, a row each, for config/table. */

enum row_scope {
	BEFORE_SECTIONS,
	ANYWHERE,	/* before the first section: the default of all sections */
	INSIDE_SECTION, /* before the first one, the name means another option */
};

struct row {
	const char *name;
	enum row_scope scope;
	values_setter *set;
	size_t offset;	     /* of what it sets, in struct config_globals or config_section */
	bool draft;	     /* it is in struct config_draft */
	const char *initial; /* the default as it would stand in a file; NULL: unset */
	struct values_bounds bounds;
	const char *same_as;	/* this row is another way to write that option */
	const char *in_section; /* why a global option has no effect there; NULL: refused */
	bool secret;		/* the value must not be logged */
	const char *help;
};

extern const struct row rows_all[];
extern const size_t rows_count;

#endif
