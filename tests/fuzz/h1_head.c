/* SPDX-License-Identifier: ISC */

/*
 * Fuzzes one head, looked for whole and byte by byte. What is accepted is written anew, must be
 * sound to the strict reader of lines, and must be read again as the same.
 */

#include "h1_head.h"

#include <stdlib.h>

#include "rewrite.h"

#define LIMIT 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The length of the head, 0 while it is incomplete, -ERR_x. */
static long find(struct span in, size_t limit, size_t piece)
{
	struct h1_head_scan scan = {0};
	size_t end = 0, seen = 0;

	while (end == 0 && seen < in.len) {
		int rc;

		seen = in.len - seen < piece ? in.len : seen + piece;
		rc = h1_head_scan(&scan, false, span_of(in.p, seen), limit, &end);
		if (rc != 0)
			return rc;
		if (end == 0 && scan.seen != seen)
			abort(); /* or a slow sender costs quadratic time */
	}
	return (long)end;
}

static bool same_field(const struct h1_field *a, const struct h1_field *b)
{
	return span_eq(a->name, b->name) && span_eq(a->value, b->value) && a->id == b->id;
}

enum kind {
	KIND_HOST = 0,
	KIND_FRAMING, /* which may go before the others */
	KIND_OTHER,
	KINDS
};

static enum kind kind_of(const struct h1_field *field)
{
	switch (field->id) {
	case HTTP_HOST_FIELD:
		return KIND_HOST;
	case HTTP_CONTENT_LENGTH:
	case HTTP_TRANSFER_ENCODING:
	case HTTP_CONNECTION:
		return KIND_FRAMING;
	default:
		return KIND_OTHER;
	}
}

/* The first field of the kind from `at` on; head->count if there is none. */
static size_t next_of(const struct h1_head *head, size_t at, enum kind kind)
{
	while (at < head->count && kind_of(&head->field[at]) != kind)
		at++;
	return at;
}

/* Whether both have the same fields of a kind, in the same order. */
static bool same_kind(const struct h1_head *head, const struct h1_head *written, enum kind kind)
{
	size_t i = next_of(head, 0, kind), k = next_of(written, 0, kind);

	while (i < head->count && k < written->count) {
		if (!same_field(&head->field[i], &written->field[k]))
			return false;
		if (kind == KIND_HOST) /* no second one passes h1_judge_request() */
			return k == 0 && next_of(written, 1, kind) == written->count;
		i = next_of(head, i + 1, kind);
		k = next_of(written, k + 1, kind);
	}
	return i == head->count && k == written->count;
}

static bool same_fields(const struct h1_head *head, const struct h1_head *written)
{
	for (int kind = 0; kind < KINDS; kind++)
		if (!same_kind(head, written, (enum kind)kind))
			return false;
	return true;
}

/* Every line in order: nothing in it that ends it early. */
static void lines_are_sound(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c == '\r' && (i + 1 == text.len || text.p[i + 1] != '\n'))
			abort();
		if (c == '\n' && (i == 0 || text.p[i - 1] != '\r'))
			abort();
		if (c == '\0')
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct h1_head head, again;
	static const struct rewrite no_rules;
	static const struct facts no_facts;
	static char buffer[LIMIT + 1024];
	struct out out = out_of(buffer, sizeof buffer);
	struct span in = span_of((const char *)data, size);
	long end = find(in, LIMIT, SIZE_MAX);

	if (find(in, LIMIT, 1) != end || find(in, LIMIT, 5) != end)
		abort();
	if (end <= 0)
		return 0;
	in.len = (size_t)end;
	if (h1_head_parse(in, H1_FIELDS_MAX, 0, &head) != 0)
		return 0;
	rewrite_request(&no_rules, &no_facts, &head, 1, &out);
	if (out.full || out.len > in.len + rewrite_insertion(&no_rules))
		abort();
	lines_are_sound(out_span(&out));
	if (find(out_span(&out), sizeof buffer + 1, SIZE_MAX) != (long)out.len)
		abort();
	if (h1_head_parse(out_span(&out), H1_FIELDS_MAX, 0, &again) != 0)
		abort();
	if (!span_eq(head.method, again.method) || !span_eq(head.target, again.target) ||
	    head.minor != again.minor || !same_fields(&head, &again))
		abort();
	return 0;
}
