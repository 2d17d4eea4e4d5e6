/* SPDX-License-Identifier: ISC */
#ifndef OUT_H
#define OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span.h"

/*
 * A bounded writer that only appends, over memory of the caller's. What does not fit is not
 * written at all and sets `full`, which stays set until out_rollback() or out_reset(): a caller
 * writes everything and looks once, at the end.
 */
struct out {
	char *p;
	size_t len;
	size_t cap;
	bool full;
};

static inline struct out out_of(char *p, size_t cap)
{
	return (struct out){p, 0, cap, false};
}

static inline size_t out_room(const struct out *o)
{
	return o->cap - o->len;
}

static inline struct span out_span(const struct out *o)
{
	return span_of(o->p, o->len);
}

static inline void out_reset(struct out *o)
{
	o->len = 0;
	o->full = false;
}

/* Appends the bytes of s. */
static inline void out_put(struct out *o, struct span s)
{
	if (o->full || s.len > o->cap - o->len) {
		o->full = true;
		return;
	}
	if (s.len != 0)
		memcpy(o->p + o->len, s.p, s.len);
	o->len += s.len;
}

static inline void out_char(struct out *o, char c)
{
	out_put(o, span_of(&c, 1));
}

/* Remembers a place; out_rollback() returns to it and forgets an overflow that came after. */
static inline size_t out_mark(const struct out *o)
{
	return o->len;
}

static inline void out_rollback(struct out *o, size_t mark)
{
	o->len = mark;
	o->full = false;
}

/* Writes a big-endian length over two bytes at `at`, which were appended before. */
static inline void out_patch_16(struct out *o, size_t at, unsigned n)
{
	if (o->full)
		return;
	o->p[at] = (char)(n >> 8 & 255);
	o->p[at + 1] = (char)(n & 255);
}

/* Appends n in decimal, or in lower-case hexadecimal without leading zeros. */
void out_decimal(struct out *o, uint64_t n);
void out_hex(struct out *o, uint64_t n);

#endif
