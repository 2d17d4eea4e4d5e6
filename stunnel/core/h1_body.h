/* SPDX-License-Identifier: ISC */
#ifndef H1_BODY_H
#define H1_BODY_H

#include <stdint.h>

#include "h1_head.h"
#include "out.h"

/* 2^52 - 1: what receivers that count in doubles still hold exactly. */
#define H1_CHUNK_SIZE_MAX ((UINT64_C(1) << 52) - 1)
#define H1_CHUNK_DIGITS_MAX 16	   /* with leading zeros */
#define H1_CHUNK_EXTENSION_MAX 256 /* bytes a chunk */
#define H1_EXTENSIONS_MAX 16384	   /* bytes a body */
/* The longest chunk line that is taken, with its CRLF. */
#define H1_CHUNK_LINE_MAX (H1_CHUNK_DIGITS_MAX + H1_CHUNK_EXTENSION_MAX + 2)

enum h1_body_state {
	H1_BODY_COMPLETE = 0,
	H1_BODY_LENGTH,	     /* `left` bytes to come */
	H1_BODY_UNTIL_CLOSE, /* responses only */
	H1_BODY_CHUNK_SIZE,
	H1_BODY_CHUNK_SPACE, /* white space behind the size: an extension must follow */
	H1_BODY_CHUNK_EXTENSION,
	H1_BODY_CHUNK_LINE_LF,
	H1_BODY_CHUNK_FIRST, /* the line is over, but is told of with its first byte of data */
	H1_BODY_CHUNK_DATA,  /* `left` bytes to come */
	H1_BODY_CHUNK_DATA_CR,
	H1_BODY_CHUNK_DATA_LF,
	H1_BODY_TRAILERS, /* the last chunk's line is done; the section is the owner's to take */
};

/* The rest of one body. Resumable at every byte. Zeroed: complete. */
struct h1_body {
	uint64_t left;	      /* of Content-Length, or of the current chunk */
	uint16_t extensions;  /* bytes of chunk extensions so far, in the whole body */
	uint16_t extension;   /* in the current chunk */
	uint8_t digits;	      /* of the chunk size so far */
	uint8_t state;	      /* enum h1_body_state */
	bool takes_lf;	      /* LF alone ends a line, too */
	bool takes_space;     /* white space may stand around sizes: answers only */
	bool plain;	      /* the content alone is sent on: HTTP/1.0 knows no chunks */
	bool spaced, bare_lf; /* and it was so */
};

/* What h1_body_step() found. */
enum h1_body_event {
	H1_BODY_MORE = 0,  /* all input was taken, or the body is complete or at its trailers */
	H1_BODY_DATA,	   /* *data is content */
	H1_BODY_CHUNK,	   /* a chunk of body->left bytes begins, the first of which is at hand */
	H1_BODY_CHUNK_END, /* a chunk's data and the CRLF behind them are over */
	H1_BODY_LAST,	   /* the last chunk's line is over: the state is H1_BODY_TRAILERS */
};

/*
 * Which length rule holds for a request (RFC 9112 6.3): sets *body. The values of Content-Length
 * lose leading zeros in `head`, since some receivers read those as octal. 0 or -ERR_x for what two
 * receivers could frame differently; *body is then unspecified.
 */
int h1_body_of_request(struct h1_head *head, struct h1_body *body);

/*
 * Takes bytes from the front of *in up to the next event, at most max_data of content, and
 * returns the event or -ERR_x, after which *body must not be used any more.
 */
int h1_body_step(struct h1_body *body, struct span *in, size_t max_data, struct span *data);

/*
 * The same, appending to *out what is to be sent on: content as it is, and chunk lines in one
 * spelling, without extensions, together with the first of their data. After H1_BODY_LAST the last
 * chunk's line is the owner's to send. H1_BODY_MORE also where *out has less room than
 * H1_CHUNK_LINE_MAX.
 */
int h1_body_copy(struct h1_body *body, struct span *in, struct out *out);

/* How many coming bytes are content and need no inspection; SIZE_MAX until close. */
size_t h1_body_bypass(const struct h1_body *body);

/* The caller has passed on n bytes of content, at most h1_body_bypass(), without a step. */
void h1_body_bypassed(struct h1_body *body, size_t n);

#endif
