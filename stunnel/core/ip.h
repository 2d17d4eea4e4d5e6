/* SPDX-License-Identifier: ISC */
#ifndef IP_H
#define IP_H

#include <stdbool.h>
#include <stdint.h>

#include "span.h"

/* IP addresses and ports as strict text: nothing before, nothing behind, no spelling but one. */

/* The value of a hexadecimal digit of either case, or -1. */
int ip_hex_digit(char c);

/* Up to five decimal digits without leading zeros, at most max. */
bool ip_parse_number(struct span s, unsigned max, unsigned *n);

/* Four numbers and dots, into 4 bytes of network order, which are unspecified on failure. */
bool ip_parse_v4(struct span s, uint8_t *ip);

/* RFC 4291 2.2: groups, at most one `::`, a dotted tail at most; into 16 bytes. */
bool ip_parse_v6(struct span s, uint8_t *ip);

#endif
