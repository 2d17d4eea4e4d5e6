/* SPDX-License-Identifier: ISC */
#ifndef FORWARD_BUFFER_H
#define FORWARD_BUFFER_H

#include <stddef.h>

#include "span.h"

/* Bytes in memory of stunnel's str_alloc(), which ends the program where there is none. Zeroed:
 * empty. */
struct forward_buffer {
	char *p;
	size_t at, len, cap; /* [at, len) is in use */
};

/* What is in use: valid until the buffer is changed. */
struct span forward_buffer_content(const struct forward_buffer *b);

/* Room for n bytes more, behind what is in use, which moves to the front. */
void forward_buffer_reserve(struct forward_buffer *b, size_t n);

/* s is none of the buffer's own. */
void forward_buffer_append(struct forward_buffer *b, struct span s);

/* Leaves of the content what `rest`, the end of it, is. */
void forward_buffer_keep_rest(struct forward_buffer *b, struct span rest);

/* Frees the memory: an empty buffer again. */
void forward_buffer_drop(struct forward_buffer *b);

#endif
