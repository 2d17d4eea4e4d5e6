/* SPDX-License-Identifier: ISC */
#ifndef ENDPOINT_H
#define ENDPOINT_H

#include <stdbool.h>

#define ENDPOINT_MAX 384 /* a host of 255 bytes, a port or a path, and the NUL */

/*
 * Looks at what stands in `accept` (passive) or `connect`, before anybody is asked for the host or
 * the port's name: [HOST:]PORT, split at the last colon, or a path; an IPv6 address may also stand
 * in brackets. NULL with the same text, without brackets and without blanks before the port, in
 * plain; or why it never can be an address, a static text with a hint at what was meant.
 */
const char *endpoint_check(const char *text, bool passive, char plain[static ENDPOINT_MAX]);

#endif
