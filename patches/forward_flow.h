/* SPDX-License-Identifier: ISC */
#ifndef FORWARD_FLOW_H
#define FORWARD_FLOW_H

#include "forward_connection.h"

/* One direction through the HTTP machine: what came in, and what is to go out. */

/*
 * Feeds the machine from the front of *in, which may be the direction's input or any other memory,
 * and appends what it writes to the output.
 */
void forward_flow_feed(struct forward *f, enum h1_dir dir, struct span *in);

/* Moves up to len bytes of the output to p; returns their number, 0 if there are none. */
size_t forward_flow_hand_out(struct forward *f, enum h1_dir dir, char *p, size_t len);

static inline bool forward_flow_is_empty(const struct forward_buffer *b)
{
	return b->len == b->at;
}

/* Frees all buffers of both directions that hold nothing. */
void forward_flow_rest(struct forward *f);

/* Frees all buffers of both directions. */
void forward_flow_drop(struct forward *f);

#endif
