/* SPDX-License-Identifier: ISC */
/* The connection is a type without a tag, and holds a struct without one. */
typedef struct {
	int number;
} OTHER;

typedef struct {
	int number;
	struct {
		unsigned one : 1;
	} flags;
} CLI;
