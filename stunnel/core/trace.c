/* SPDX-License-Identifier: ISC */
#include "trace.h"

#include "http.h"
#include "text.h"

#define ID_AT 3
#define PARENT_AT 36
#define PARENT_LEN 16
#define FLAGS_AT 53

/* So many lower-case hexadecimal digits, and not all of them zeros unless those are allowed. */
static bool is_hex(const char *p, size_t len, bool zeros)
{
	bool other = zeros;

	for (size_t i = 0; i < len; i++) {
		if (!(p[i] >= '0' && p[i] <= '9') && !(p[i] >= 'a' && p[i] <= 'f'))
			return false;
		other |= p[i] != '0';
	}
	return other;
}

/* Trace Context 3.2.2; of later versions the beginning is as here, and more follows behind a `-`.
 */
static bool is_valid(struct span v)
{
	if (v.len < TRACE_PARENT_LEN || !is_hex(v.p, 2, true) || !memcmp(v.p, "ff", 2))
		return false;
	if (v.len > TRACE_PARENT_LEN && (!memcmp(v.p, "00", 2) || v.p[TRACE_PARENT_LEN] != '-'))
		return false;
	return v.p[2] == '-' && v.p[PARENT_AT - 1] == '-' && v.p[FLAGS_AT - 1] == '-' &&
	       is_hex(v.p + ID_AT, TRACE_ID_LEN, false) &&
	       is_hex(v.p + PARENT_AT, PARENT_LEN, false) && is_hex(v.p + FLAGS_AT, 2, true);
}

struct span trace_continued(const struct facts *facts, const struct h1_head *head)
{
	const struct h1_field *found = NULL;

	for (size_t i = 0; head && !facts->trace_begins && i < head->count; i++) {
		const struct h1_field *field = &head->field[i];

		if (field->dropped || !http_alias(field->name, SPAN("traceparent")))
			continue;
		/* An alias may be what a backend reads, so it makes two of one. */
		if (found || !http_equal(field->name, SPAN("traceparent")))
			return span_of(NULL, 0);
		found = field;
	}
	return found && is_valid(found->value) ? span_of(found->value.p, TRACE_PARENT_LEN)
					       : span_of(NULL, 0);
}

/* A bijection in which each bit of x decides on all others (the finalizer of SplitMix64). */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/*
 * Numbers that no other request has, as far as 64 bits can tell, in which no bit is more often set
 * than others: samplers compare them with a bound. A request's id, which is in the log beside it,
 * is no secret, and neither are they.
 */
static uint64_t number_of(const struct facts *facts, uint64_t number, uint64_t which)
{
	uint64_t x = mix(which);

	for (size_t i = 0; i < facts->conn_id.len; i++)
		x = mix(x ^ (unsigned char)facts->conn_id.p[i]) + UINT64_C(0x9e3779b97f4a7c15);
	x = mix(x ^ number);
	return x != 0 ? x : 1;
}

static void put_number(struct out *out, uint64_t number)
{
	for (int shift = 56; shift >= 0; shift -= 8)
		text_put_byte(out, (unsigned char)(number >> shift), false);
}

void trace_put_id(const struct facts *facts, const struct h1_head *head, uint64_t number,
		  struct out *out)
{
	struct span known = trace_continued(facts, head);

	if (known.len != 0) {
		out_put(out, span_of(known.p + ID_AT, TRACE_ID_LEN));
		return;
	}
	put_number(out, number_of(facts, number, 1));
	put_number(out, number_of(facts, number, 2));
}

/*
 * A trace that goes on keeps its parent: nobody is told of a step in it that is ours, and backends
 * would be the children of nothing. One that begins here is to be recorded (3.2.2.5), or a backend
 * that does as its parent does would record none at all.
 */
void trace_put(const struct facts *facts, const struct h1_head *head, uint64_t number,
	       struct out *out)
{
	struct span known = trace_continued(facts, head);
	bool first = known.len != 0 && known.p[0] == '0' && known.p[1] == '0';

	out_put(out, SPAN("00-"));
	trace_put_id(facts, head, number, out);
	out_char(out, '-');
	if (known.len == 0) {
		put_number(out, number_of(facts, number, 3));
		out_put(out, SPAN("-01"));
		return;
	}
	out_put(out, span_of(known.p + PARENT_AT, PARENT_LEN + 1));
	if (first) /* of later versions only this bit is known */
		out_put(out, span_of(known.p + FLAGS_AT, 2));
	else
		out_put(out, text_hex_digit(known.p[FLAGS_AT + 1]) & 1 ? SPAN("01") : SPAN("00"));
}
