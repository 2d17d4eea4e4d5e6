/* SPDX-License-Identifier: ISC */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "out.h"
#include "span.h"

/* Digits and numbers, and texts that are kept side by side in one array. */

/* The value of a hexadecimal digit of either case, or -1. */
int text_hex_digit(char c);

/* 1*DIGIT, leading zeros allowed, of at most max. On failure *n is unspecified. */
bool text_decimal(struct span s, uint64_t max, uint64_t *n);

/* Appends a byte as two hexadecimal digits: upper case as in percent-encoding, else lower case. */
void text_put_byte(struct out *out, unsigned char byte, bool upper);

/* Where a text stands in an array of texts: a struct with both holds no pointer. */
struct text_at {
	uint16_t at, len;
};

/*
 * Appends s to an array of `cap` bytes, at most 65535, of which *used are taken. False, and nothing
 * is changed, where it has no room.
 */
bool text_keep(char *array, size_t cap, uint16_t *used, struct span s, struct text_at *at);

static inline struct span text_kept(const char *array, struct text_at at)
{
	return span_of(array + at.at, at.len);
}

#endif
