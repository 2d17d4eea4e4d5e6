/* SPDX-License-Identifier: ISC */
#ifndef SUGGEST_H
#define SUGGEST_H

/* Finds what was meant by the name of an option that does not exist. */

/*
 * How far apart two names are, in letters that are missing, too many, wrong or swapped, without
 * regard to case, `-` and `_`. SUGGEST_FAR if that is too much for a slip.
 */
#define SUGGEST_FAR 100
int suggest_distance(const char *typed, const char *known);

/*
 * The option that does what `typed` does in other servers; *as: how to write it. NULL: none, and
 * *as is why `typed` can be left out, or NULL where it is not known.
 */
const char *suggest_foreign(const char *typed, const char **as);

#endif
