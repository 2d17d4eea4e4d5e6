/* SPDX-License-Identifier: ISC */
#ifndef FORWARD_BLOCKS_H
#define FORWARD_BLOCKS_H

#include "forward_options.h"

/*
 * Who owns the block of options that section->forward points at. In 5.45 and later stock has
 * commands to copy and free a section: each section owns a block.
 *
 * Earlier releases copy a section byte by byte from the defaults, with the pointer to the defaults'
 * block, which the section must not change. They never free a section, which connections from
 * before a reload still use. There a complete section's block stays as long as the process, and is
 * shared by all sections of the same lines, so that reloads do not add up. Blocks of a refused file
 * are freed when the next file is read.
 *
 * Only the thread that reads the configuration may call these functions, except blocks_free().
 */

/* Begins a file: takes the defaults' block away, and frees those of a file that was refused. */
void blocks_begin(SERVICE_OPTIONS *defaults);

/* A block that only the section has, for changes; made from the defaults' block or the presets. */
struct forward_options *blocks_own(SERVICE_OPTIONS *section, const SERVICE_OPTIONS *defaults);

/* Records a line that has changed the section's own block. */
void blocks_line(SERVICE_OPTIONS *section, const char *name, const char *value);

/* Gives a new section a copy of the defaults' block, or none if the defaults have none. */
void blocks_copy(SERVICE_OPTIONS *section, const SERVICE_OPTIONS *defaults);

/* Ends a section with a block of its own, in whose place it may get one of the same lines. */
void blocks_keep(SERVICE_OPTIONS *section);

/* Frees the section's block; may be called by any thread. */
void blocks_free(SERVICE_OPTIONS *section);

#endif
