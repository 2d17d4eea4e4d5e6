/* SPDX-License-Identifier: ISC */
#ifndef HARNESS_H
#define HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "span.h"

/* A string of the test's own, as a span. */
static inline struct span span_str(const char *s)
{
	return span_of(s, strlen(s));
}

/* Bytes that a test collects; zeroed it is empty. */
struct text {
	char *p;
	size_t len;
	size_t cap;
};

void text_add(struct text *t, struct span s);
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_take(struct text *t, size_t n); /* drops the first n bytes */
void text_free(struct text *t);

static inline struct span text_span(const struct text *t)
{
	return span_of(t->p, t->len);
}

/* Fails with both sides printed readably, and `what` before them. */
void assert_bytes(struct span actual, struct span expected, const char *what);

/* A group's fixtures: an empty file of its own, whose path is own_file meanwhile. */
extern char own_file[];
int make_own_file(void **state);
int remove_own_file(void **state);

/* An area of memory whose end is the beginning of a page that nobody may touch. */
struct guard {
	char *end;
	size_t size;
};

/* Valid until the program ends. */
struct guard guard_new(size_t size);

/* A copy of s that ends exactly at the guard page; the next call overwrites it. */
struct span guard_place(struct guard *g, struct span s);

/* How an input is cut: into single bytes, into two pieces at `split`, or (zeroed) not at all. */
struct cut {
	bool bytes;
	size_t split;
};

/* Where the piece that begins at offset `at` ends, in an input of `len` bytes. */
size_t cut_end(struct cut cut, size_t at, size_t len);

/*
 * Calls run() for the input whole, byte by byte and in two pieces at every split point (in a long
 * one at about a thousand), and fails unless what it writes to `seen` is always the same. The
 * first run's is left in *seen for the caller, who frees it.
 */
typedef void run_cut(struct cut cut, struct text *seen, void *arg);
void every_cut(size_t len, run_cut *run, void *arg, struct text *seen);

/*
 * Offers `input` in the pieces of the cut, each time with what was not consumed before it, at a
 * guard page. offer() returns how many bytes it consumed, or -1 to end.
 */
typedef long offer_piece(struct span in, void *arg);
void offer_pieces(struct span input, struct cut cut, offer_piece *offer, void *arg);

#endif
