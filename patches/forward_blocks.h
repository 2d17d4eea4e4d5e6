/* SPDX-License-Identifier: ISC */
#ifndef FORWARD_BLOCKS_H
#define FORWARD_BLOCKS_H

#include "forward_options.h"

/*
 * Whose a section's block of options is. Where stock has commands that copy a section and free it
 * (5.45 and later), each section has a block of its own and frees it.
 *
 * Before, stock copies sections byte by byte from the defaults, and with them the pointer to the
 * defaults' block: a section must not change what it did not make. Nor does it ever free a section,
 * for a connection that began before a reload goes on with it. There a block that a section was
 * checked with stays as long as the process, and a section of the same lines, after a reload or
 * beside it, gets the same block: reloads do not add up. The blocks of a file that was refused are
 * freed when the next one is read.
 *
 * All of it is for the thread that reads the configuration, but for blocks_free().
 */

/* A file is read from its beginning: the defaults have no block any more. */
void blocks_begin(SERVICE_OPTIONS *defaults);

/* The section's block, to be changed: its own, a copy of the defaults', or one with the presets. */
struct forward_options *blocks_own(SERVICE_OPTIONS *section, const SERVICE_OPTIONS *defaults);

/* One line was taken into the section's own block. */
void blocks_line(SERVICE_OPTIONS *section, const char *name, const char *value);

/* The section begins with a copy of the defaults' block, or with none. */
void blocks_copy(SERVICE_OPTIONS *section, const SERVICE_OPTIONS *defaults);

/* The section, which has a block of its own, is complete. */
void blocks_keep(SERVICE_OPTIONS *section);

/* The section is not needed any more; any thread. */
void blocks_free(SERVICE_OPTIONS *section);

#endif
