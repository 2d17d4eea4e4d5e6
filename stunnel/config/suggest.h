/* SPDX-License-Identifier: ISC */
#ifndef SUGGEST_H
#define SUGGEST_H

/* What somebody may have meant who wrote a name that is none. */

/*
 * How far apart two names are, in letters that are missing, too many, wrong or swapped, without
 * regard to case, `-` and `_`. SUGGEST_FAR if that is too much for a slip.
 */
#define SUGGEST_FAR 100
int suggest_distance(const char *typed, const char *known);

/* The option that does what this name does elsewhere, and how it is written; NULL: nothing known.
 */
const char *suggest_foreign(const char *typed, const char **as);

#endif
