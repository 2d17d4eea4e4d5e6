/* SPDX-License-Identifier: ISC */
#ifndef SIPHASH_H
#define SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a hash of words with a secret key of 128 bits, so
 * that nobody who chooses the words can choose what collides. OpenSSL has it, but not with its FIPS
 * provider alone.
 */
uint64_t siphash(const uint64_t key[static 2], const uint64_t *word, size_t count);

#endif
