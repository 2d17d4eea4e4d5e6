/* SPDX-License-Identifier: ISC */
#ifndef H1_HEAD_H
#define H1_HEAD_H

#include <stdint.h>

#include "http.h"
#include "span.h"

#define H1_PROTOCOL_MAX 32 /* bytes of a protocol in Upgrade that may be switched to */
#define H1_FIELDS_MAX 256

/* What is taken of a request though a strict reader refuses it; bits. */
enum h1_allow {
	H1_ALLOW_BARE_LF = 1,	 /* a line ends in LF alone */
	H1_ALLOW_RAW_TARGET = 2, /* bytes from 0x80 on in a target */
};

struct h1_field {
	struct span name;
	struct span value; /* without the white space around it */
	enum http_field id;
	bool dropped; /* judged not to be forwarded */
};

/*
 * One request's head as views into the bytes it was parsed from. Not initialised as a whole: the
 * first `count` fields are valid after a parser returned 0, the rest never is.
 */
struct h1_head {
	struct span method;
	struct span target;
	int minor;     /* of HTTP/1.x: 0 or 1 */
	bool controls; /* there are some in values: see h1_judge_values() */
	uint32_t ids;  /* of the fields that came: see h1_head_has() */
	size_t count;
	struct h1_field field[H1_FIELDS_MAX + 1]; /* one may be added to those that came */
};

/* Whether a field of this id came, so that each rule about one needs no look at all of them. */
static inline bool h1_head_has(const struct h1_head *head, enum http_field id)
{
	return head->ids & UINT32_C(1) << id;
}

/*
 * How far a head that is still incomplete was looked at, so that a sender of single bytes costs
 * linear time. Zero it for each new head. Offsets count from the first byte of the head.
 */
struct h1_head_scan {
	uint32_t seen;
	uint32_t line; /* where the current line begins */
};

/*
 * Looks for the empty line that ends a head or a trailer section (RFC 9112 2.1) among the first
 * `limit` bytes of `in`, which begins with the section's first byte in every call. bare_lf: lines
 * may end in LF alone.
 * Returns 0 and in *end the section's length with that empty line, or 0 in *end if it has not
 * arrived yet; -ERR_BARE_LF, or -ERR_HEAD_TOO_LARGE if `limit` bytes hold no end.
 */
int h1_head_scan(struct h1_head_scan *scan, bool bare_lf, struct span in, size_t limit,
		 size_t *end);

/*
 * The first line of an incomplete head if all of it has arrived, without its end; else empty with
 * p = NULL. A client that does not speak HTTP is so refused at its first line, and not at the time
 * limit.
 */
struct span h1_head_first_line(const struct h1_head_scan *scan, struct span in);

/*
 * Parses a line without its end into head->method, target and minor. Strict but for what `allow`
 * says: RFC 9112 3, HTTP/1.0 and HTTP/1.1 only. 0 or -ERR_x.
 */
int h1_head_request_line(struct span line, unsigned allow, struct h1_head *head);

/*
 * Parses the field lines of `section`, which ends with its empty line as h1_head_scan() found it,
 * into head->field[0..count). At most max_fields of them, itself at most H1_FIELDS_MAX. 0 or
 * -ERR_x.
 */
int h1_head_fields(struct span section, size_t max_fields, struct h1_head *head);

/*
 * A complete head of a request, of the length that h1_head_scan() found. 0 or -ERR_x.
 */
int h1_head_parse(struct span bytes, size_t max_fields, unsigned allow, struct h1_head *head);

#endif
