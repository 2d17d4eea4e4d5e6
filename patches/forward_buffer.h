/* SPDX-License-Identifier: ISC */
#ifndef FORWARD_BUFFER_H
#define FORWARD_BUFFER_H

#include <stddef.h>

#include "span.h"

/* Bytes in memory of str_alloc(), which ends the program if memory runs out. Zeroed: empty. */
struct forward_buffer {
	char *p;
	size_t at, len, cap; /* the content is p[at] to p[len - 1]; p has cap bytes */
};

/* The content; valid until the buffer is changed. */
struct span forward_buffer_content(const struct forward_buffer *b);

/* Moves the content to the front and makes room for n more bytes behind. */
void forward_buffer_reserve(struct forward_buffer *b, size_t n);

/* Appends s, which must not point into the buffer. */
void forward_buffer_append(struct forward_buffer *b, struct span s);

/* Drops the content before `rest`, which is its end. */
void forward_buffer_keep_rest(struct forward_buffer *b, struct span rest);

/* Frees the memory; the buffer is empty and can be used again. */
void forward_buffer_drop(struct forward_buffer *b);

#endif
