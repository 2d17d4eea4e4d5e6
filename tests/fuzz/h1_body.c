/* SPDX-License-Identifier: ISC */

/*
 * Fuzzes the walk through a chunked body: whole, byte by byte and past the machine, against a
 * decoder that is as plain as can be.
 */

#include "h1_body.h"

#include <stdlib.h>

#define INPUT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct walk {
	char content[INPUT_MAX];
	size_t len;
	size_t consumed;
	int result; /* of the last step: an error, or the event */
};

static void take(struct walk *w, struct span data)
{
	if (data.len > INPUT_MAX - w->len)
		abort();
	memcpy(w->content + w->len, data.p, data.len);
	w->len += data.len;
}

/* All of one piece. False once the body is over. */
static bool walk_piece(struct walk *w, struct h1_body *body, struct span in, bool bypass)
{
	while (in.len != 0) {
		size_t before = in.len, n = h1_body_bypass(body);
		struct span data = {0};

		if (bypass && n != 0) {
			n = n < in.len ? n : in.len;
			take(w, span_of(in.p, n));
			span_skip(&in, n);
			h1_body_bypassed(body, n);
		} else {
			w->result = h1_body_step(body, &in, 1000, &data);
			if (w->result == H1_BODY_DATA)
				take(w, data);
		}
		w->consumed += before - in.len;
		if (w->result < 0 || w->result == H1_BODY_LAST)
			return false;
		if (in.len == before && w->result != H1_BODY_CHUNK) /* told with its data at hand */
			abort();
	}
	return true;
}

static void walk(struct walk *w, struct span in, size_t piece, bool bypass)
{
	struct h1_body body = {.state = H1_BODY_CHUNK_SIZE};

	w->len = w->consumed = 0;
	w->result = H1_BODY_MORE;
	for (size_t at = 0, n; at < in.len; at += n) {
		n = in.len - at < piece ? in.len - at : piece;
		if (!walk_piece(w, &body, span_of(in.p + at, n), bypass))
			return;
	}
}

/* The line at *at into *len, as far as it is one: CRLF, and before it nothing like it. */
static bool plain_line(struct span in, size_t *at, size_t *len)
{
	size_t begin = *at;

	while (*at < in.len && in.p[*at] != '\r' && in.p[*at] != '\n')
		++*at;
	*len = *at - begin;
	if (in.len - *at < 2 || in.p[*at] != '\r' || in.p[*at + 1] != '\n')
		return false;
	*at += 2;
	return true;
}

/* 1*HEXDIG, then nothing or, behind white space, ';'. False if it is not that. */
static bool plain_size(const char *p, size_t len, unsigned long long *size)
{
	size_t digits = 0, i;

	*size = 0;
	for (; digits < len; digits++) {
		const char *set = "0123456789abcdef0123456789ABCDEF";
		const char *at = p[digits] != '\0' ? strchr(set, p[digits]) : NULL;

		if (!at)
			break;
		*size = *size * 16 + (unsigned)(at - set) % 16;
		if (digits == 16 || *size > (1ULL << 52) - 1)
			return false;
	}
	for (i = digits; i < len && (p[i] == ' ' || p[i] == '\t'); i++)
		;
	if (digits == 0 || (digits != len && (i == len || p[i] != ';')) || len - digits > 256)
		return false;
	for (; i < len; i++)
		if (((unsigned char)p[i] < ' ' && p[i] != '\t') || p[i] == 0x7f)
			return false;
	return true;
}

/* The content of a body that is complete up to its last chunk's line; -1 if it is not, or bad. */
static long plain_decode(struct span in, char *content)
{
	size_t at = 0, len, total = 0, extensions = 0, begin;
	unsigned long long size;

	for (;;) {
		begin = at;
		if (!plain_line(in, &at, &len) || !plain_size(in.p + begin, len, &size))
			return -1;
		for (size_t i = 0; i < len; i++)
			if (in.p[begin + i] == ';' || in.p[begin + i] == ' ' ||
			    in.p[begin + i] == '\t') {
				extensions += len - i;
				break;
			}
		if (extensions > H1_EXTENSIONS_MAX)
			return -1;
		if (size == 0)
			return (long)total;
		if (in.len - at < 2 || size > in.len - at - 2)
			return -1;
		memcpy(content + total, in.p + at, (size_t)size);
		total += (size_t)size;
		at += (size_t)size;
		if (in.p[at] != '\r' || in.p[at + 1] != '\n')
			return -1;
		at += 2;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct walk whole, other;
	static char content[INPUT_MAX];
	static const size_t pieces[] = {1, 3, 100};
	struct span in = span_of((const char *)data, size);
	long plain;

	if (size > INPUT_MAX)
		return 0;
	walk(&whole, in, SIZE_MAX, false);
	for (size_t i = 0; i < 6; i++) {
		walk(&other, in, pieces[i % 3], i >= 3);
		if (other.len != whole.len || memcmp(other.content, whole.content, whole.len) != 0)
			abort();
		if (other.consumed != whole.consumed ||
		    (whole.result < 0 && other.result != whole.result))
			abort();
	}
	plain = plain_decode(in, content);
	if ((plain >= 0) != (whole.result == H1_BODY_LAST))
		abort();
	if (plain >= 0 &&
	    ((size_t)plain != whole.len || memcmp(content, whole.content, whole.len) != 0))
		abort();
	return 0;
}
