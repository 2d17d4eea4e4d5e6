/* SPDX-License-Identifier: ISC */
#ifndef WIRE_FILE_H
#define WIRE_FILE_H

#include "harness.h"

/* One case of the corpus, tests/wire/CLASS/NAME.wire; tests/wire/README.md describes the format. */

#define WIRE_SECTIONS_MAX 32

enum wire_kind {
	WIRE_CLIENT = 0, /* the client sends */
	WIRE_BACKEND,	 /* the backend has got, since the last such section */
	WIRE_RESPONSE,	 /* the backend sends */
	WIRE_REPLY,	 /* the client has got */
	WIRE_RECONNECT,	 /* the backend's connection ends, and the client's does not */
	WIRE_CLOSE,	 /* the client has all that it gets: its connection is closed */
	WIRE_ERROR,	 /* the conversation ended with that error */
};

struct wire_section {
	enum wire_kind kind;
	struct text bytes; /* of WIRE_ERROR: its name */
	bool unanswered;   /* of WIRE_ERROR: the client only sees a close */
};

struct wire_case {
	struct text settings; /* option lines */
	size_t count;
	struct wire_section section[WIRE_SECTIONS_MAX];
};

/* Reads one file; fails with its name and line if it is not as the format says. */
void wire_read(const char *path, struct wire_case *wire);
void wire_free(struct wire_case *wire);

#endif
