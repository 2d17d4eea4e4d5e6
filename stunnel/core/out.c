/* SPDX-License-Identifier: ISC */
#include "out.h"

static void out_number(struct out *o, uint64_t n, unsigned base)
{
	char text[20]; /* 2^64 - 1 has 20 decimal digits */
	size_t at = sizeof text;

	do {
		text[--at] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n != 0);
	out_put(o, span_of(text + at, sizeof text - at));
}

void out_decimal(struct out *o, uint64_t n)
{
	out_number(o, n, 10);
}

void out_hex(struct out *o, uint64_t n)
{
	out_number(o, n, 16);
}
