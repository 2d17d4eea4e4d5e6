/* SPDX-License-Identifier: ISC */
#include "forward_buffer.h"

#include "prototypes.h"

#define KEPT_MAX 32768 /* bytes that an empty buffer keeps for the next request */

struct span forward_buffer_content(const struct forward_buffer *b)
{
	return b->p ? span_of(b->p + b->at, b->len - b->at) : span_of(NULL, 0);
}

void forward_buffer_drop(struct forward_buffer *b)
{
	if (b->p)
		str_free(b->p);
	memset(b, 0, sizeof *b);
}

void forward_buffer_reserve(struct forward_buffer *b, size_t n)
{
	if (b->at != 0) {
		memmove(b->p, b->p + b->at, b->len - b->at);
		b->len -= b->at;
		b->at = 0;
	}
	if (b->cap - b->len >= n)
		return;
	b->cap = b->len + n;
	b->p = b->p ? str_realloc(b->p, b->cap) : str_alloc(b->cap);
}

void forward_buffer_append(struct forward_buffer *b, struct span s)
{
	if (s.len == 0)
		return;
	forward_buffer_reserve(b, s.len);
	memcpy(b->p + b->len, s.p, s.len);
	b->len += s.len;
}

/* Empties the buffer, which keeps up to KEPT_MAX bytes of memory for the next request. */
static void forward_buffer_clear(struct forward_buffer *b)
{
	if (b->cap > KEPT_MAX)
		forward_buffer_drop(b);
	b->at = b->len = 0;
}

void forward_buffer_keep_rest(struct forward_buffer *b, struct span rest)
{
	if (rest.len == 0)
		forward_buffer_clear(b);
	else
		b->at = b->len - rest.len;
}
