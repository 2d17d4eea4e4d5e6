/* SPDX-License-Identifier: ISC */
#ifndef SPAN_H
#define SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/*
 * A view of bytes that somebody else owns: never NUL-terminated by promise, valid as long as the
 * owner keeps the bytes still. A zeroed span is a valid empty one.
 */
struct span {
	const char *p;
	size_t len;
};

/* A string literal: as a value, and as the initialiser of a static object. */
#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})
#define SPAN_INIT(literal)                     \
	{                                      \
		(literal), sizeof(literal) - 1 \
	}

static inline struct span span_of(const char *p, size_t len)
{
	return (struct span){p, len};
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* Drops the first n bytes; n must not exceed s->len. */
static inline void span_skip(struct span *s, size_t n)
{
	s->p += n;
	s->len -= n;
}

#endif
