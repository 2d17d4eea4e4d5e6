/* SPDX-License-Identifier: ISC */
#ifndef H1_ANSWER_H
#define H1_ANSWER_H

#include "h1_body.h"
#include "out.h"

/*
 * The head of one answer of a backend, which is read as leniently as clients read, judged, and
 * written anew where a strict reader could take it for something else. Nothing is kept of a field
 * but where it stands, so that their number costs no memory.
 */

#define H1_ANSWER_HEAD_LIMIT 65536 /* h1_limits.max_answer_head unless a service says otherwise */
#define H1_ANSWER_FIELDS_MAX 1024  /* a line each, in a head or trailer section */
#define H1_ANSWER_CODINGS_MAX 8	   /* in Transfer-Encoding, all lines together */
/* Bytes by which a head can become longer: a CR and a space a line, and one Connection. */
#define H1_ANSWER_INSERTION (2 * H1_ANSWER_FIELDS_MAX + 64)

/* Options of Connection, as bits. */
enum h1_answer_option {
	H1_ANSWER_CLOSE = 1,
	H1_ANSWER_KEEP_ALIVE = 2,
	H1_ANSWER_UPGRADE = 4,
};

/* One bit for each row of errors.h that tells of something mended. */
static inline uint32_t h1_answer_mended(enum error e)
{
	return UINT32_C(1) << (e - ERR_MENDED_FIRST);
}

/* Views into the bytes that it was parsed from. */
struct h1_answer {
	struct span bytes;  /* the whole head */
	struct span fields; /* its field lines and the empty line */
	struct span reason;
	int status;	  /* 100 to 999 */
	int minor;	  /* of HTTP/1.x: 0 or 1 */
	unsigned options; /* enum h1_answer_option */
	uint32_t mended;  /* h1_answer_mended() of what was found */
	uint64_t length;
	unsigned lengths; /* how many were told; all are equal */
	unsigned codings; /* how many were told */
	bool is_coded;	  /* one of them is not `identity`: a length counts for nothing */
	bool was_chunked; /* `chunked` is one of them, */
	bool is_chunked;  /* and the last one */
	bool no_framing;  /* the fields that frame are not to be sent on */
	bool anew;	  /* to be written and not copied */
	/* What h1_answer_put() sends as Connection: 0 for what the backend sent. */
	unsigned connection;
	bool no_connection; /* none at all */
};

/*
 * Whether a head that is not whole yet can become one: 0 or -ERR_ANSWER_x, as h1_answer_parse() of
 * the whole would say. first_line: the first line of it is there.
 */
int h1_answer_begins(struct span in, bool first_line);

/*
 * Parses a head that h1_head_scan() found, with lines that end in CRLF or LF. 0, or -ERR_ANSWER_x
 * for what two readers could take for different things (RFC 9112 2.2, 5, 6.3).
 */
int h1_answer_parse(struct span bytes, struct h1_answer *a);

/*
 * How the answer to a request of that enum h1_request_kind ends (RFC 9112 6.3). Where the fields
 * that tell of an end are forbidden (RFC 9112 6.1), as in a 204, they will not be sent on. Of a
 * body that is `plain` the client can see the end only by its connection's.
 */
void h1_answer_frame(struct h1_answer *a, unsigned kind, struct h1_body *body);

/* Takes the next field line from the front of *fields, of a head that was parsed; false at the end.
 */
bool h1_answer_next(struct span *fields, struct span *name, struct span *value);

/* Whether a 101 switches, and to the one protocol that was offered (RFC 9110 7.8). */
bool h1_answer_switches(const struct h1_answer *a, struct span offered);

/* Appends the head: as it came, or anew where anything was mended or its Connection is ours. */
void h1_answer_put(const struct h1_answer *a, struct out *out);

/*
 * Appends a trailer section anew, without fields that frame or route (RFC 9110 6.5.1), and sets
 * bits in *mended. 0, or -ERR_ANSWER_x and *out as far as it was written.
 */
int h1_answer_trailers(struct span section, uint32_t *mended, struct out *out);

#endif
