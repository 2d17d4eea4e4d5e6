/* SPDX-License-Identifier: ISC */
#ifndef CRC32C_H
#define CRC32C_H

#include <stdint.h>

#include "span.h"

/* CRC32c of RFC 3720 12.1 goes on over s; it begins with, and in the end is, the complement. */
uint32_t crc32c_update(uint32_t crc, struct span s);

#endif
