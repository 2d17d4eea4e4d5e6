/* SPDX-License-Identifier: ISC */
#ifndef FNV_H
#define FNV_H

#include <stddef.h>
#include <stdint.h>

#define FNV_BEGIN UINT64_C(0xcbf29ce484222325)

/*
 * FNV-1a, 64 bits: adds bytes to a hash that begins with FNV_BEGIN. Not for what a peer chooses so
 * that it collides: for that there is sys/siphash.h.
 */
static inline uint64_t fnv_add(uint64_t hash, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
	return hash;
}

#endif
