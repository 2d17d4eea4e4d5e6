/* SPDX-License-Identifier: ISC */
#ifndef SECTION_H
#define SECTION_H

#include "config/config.h"

/*
 * To be called when a section's last line has been read. Checks its options against one another,
 * reads certificates, and makes its service, all but the addresses and the plan. Reports all that
 * is wrong, at the line that is at fault or behind the section's last line, whose order is
 * last_line; but not what only follows from a line that was refused. After an error the service is
 * not whole, and good only for checking further sections against it.
 */
void section_finish(struct config *config, struct config_section *section, struct report *report,
		    size_t last_line);

/* Behind the last section: lets server names be found among many. */
void section_index_names(struct config *config);

#endif
