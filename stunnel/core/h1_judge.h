/* SPDX-License-Identifier: ISC */
#ifndef H1_JUDGE_H
#define H1_JUDGE_H

#include <stdbool.h>

#include "h1_body.h"
#include "h1_head.h"
#include "h1_state.h"
#include "rewrite.h"

/* What the response to a request may be, beside an ordinary one; bits. */
enum h1_request_kind {
	H1_KIND_HEAD = 1,	/* it has no body, whatever its fields say */
	H1_KIND_UPGRADE = 2,	/* 101 may open a tunnel, RFC 9110 7.8 */
	H1_KIND_CONNECT = 4,	/* 2xx opens one, RFC 9110 9.3.6 */
	H1_KIND_REPEATABLE = 8, /* idempotent (RFC 9110 9.2.2) and without content */
	H1_KIND_HTTP10 = 16,	/* no 1xx, and a connection stays only where it is told so */
	H1_KIND_LAST = 32,	/* of its backend connection, which was told `close` */
};

struct h1_verdict {
	struct span protocol; /* that an Upgrade offers, in the head's memory */
	struct h1_body body;
	unsigned kind; /* enum h1_request_kind */
	bool last;     /* no request may follow: close, or HTTP/1.0 without keep-alive */
};

/*
 * Everything that RFC 9110 and 9112 ask of a request as a whole: Host, the form of the target, the
 * length rule, Expect, Connection. Marks fields of head as dropped, sets the values of others to
 * what is to be forwarded, and may add one. 0, or -ERR_x with *verdict unspecified.
 */
int h1_judge_request(const struct rewrite *rw, const struct h1_limits *limits, struct h1_head *head,
		     struct h1_verdict *verdict);

/*
 * Controls may stand in the values of fields that are only data. 0, or -ERR_FIELD_VALUE where one
 * is in a field, or an alias of a field, that frames, routes or that a rule is about.
 */
int h1_judge_values(const struct rewrite *rw, const struct h1_head *head);

/* Whether a trailer of the client's may be forwarded. */
bool h1_judge_trailer(const struct rewrite *rw, const struct h1_field *field);

#endif
