/* SPDX-License-Identifier: ISC */
#ifndef TRACE_H
#define TRACE_H

#include <stdint.h>

#include "facts.h"
#include "h1_head.h"
#include "out.h"

/* W3C Trace Context: the field traceparent, by which services know what belongs together. */

#define TRACE_PARENT_LEN 55 /* 00-, an id of 32 digits, -, a parent of 16, -01 */
#define TRACE_ID_LEN 32

/*
 * The client's traceparent: what version 00 knows of it. Empty if there is none, or several, or one
 * that is not valid, or if facts->trace_begins: then the trace begins here, and a tracestate
 * belongs to nothing. head: NULL for a request without one that could be read.
 */
struct span trace_continued(const struct facts *facts, const struct h1_head *head);

/* Appends the traceparent of a request to be forwarded, of TRACE_PARENT_LEN bytes, or its id. */
void trace_put(const struct facts *facts, const struct h1_head *head, uint64_t number,
	       struct out *out);
void trace_put_id(const struct facts *facts, const struct h1_head *head, uint64_t number,
		  struct out *out);

#endif
