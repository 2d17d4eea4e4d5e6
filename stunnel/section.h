/* SPDX-License-Identifier: ISC */
#ifndef SECTION_H
#define SECTION_H

#include "conf.h"

/*
 * At the next section's header, or at the end of the file: everything that one line cannot tell.
 * Checks the options of a section against one another and makes its service of them: certificates
 * are read, names resolved. False with the reason in why, after the line that is at fault, if there
 * is one.
 */
bool section_finish(struct config *config, struct conf_section *section,
		    char why[static CONF_WHY_MAX]);

#endif
