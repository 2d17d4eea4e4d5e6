/* SPDX-License-Identifier: ISC */
#include "conn/flow.h"

#include <stdlib.h>
#include <string.h>

/* --- buffers ---------------------------------------------------------------------------------- */

void flow_drop(struct flow_buffer *b)
{
	free(b->p);
	*b = (struct flow_buffer){0};
}

bool flow_reserve(struct flow_buffer *b, size_t cap)
{
	char *grown;

	if (b->cap >= cap)
		return true;
	grown = realloc(b->p, cap);
	if (!grown)
		return false;
	b->p = grown;
	b->cap = cap;
	return true;
}

bool flow_append(struct flow_buffer *b, struct span s)
{
	if (!flow_reserve(b, b->len + s.len))
		return false;
	memcpy(b->p + b->len, s.p, s.len);
	b->len += s.len;
	return true;
}

/* --- sending ---------------------------------------------------------------------------------- */

static void count_sent(struct flow *f, size_t n)
{
	size_t ours = n < f->uncounted ? n : f->uncounted;

	f->uncounted -= ours;
	f->sent += n - ours;
}

/* Takes from the front of *s what `to` takes; all of it, unsent, if `to` has failed. */
static enum flow_result write_some(struct flow *f, struct end *to, struct span *s,
				   char why[static TLS_WHY_MAX])
{
	while (s->len != 0 && end_is_open(to)) {
		ssize_t n = end_write(to, s->p, s->len, why);

		if (n == TLS_AGAIN)
			return FLOW_DONE;
		if (n < 0) {
			s->len = 0;
			return FLOW_FAILED;
		}
		count_sent(f, (size_t)n);
		span_skip(s, (size_t)n);
	}
	return FLOW_DONE;
}

enum flow_result flow_flush(struct flow *f, struct end *to, char why[static TLS_WHY_MAX])
{
	enum flow_result result;
	struct span rest;

	if (f->unsent.len == 0)
		return end_keeps(to) && end_flush(to, why) == TLS_FAILED ? FLOW_FAILED : FLOW_DONE;
	rest = span_of(f->unsent.p + f->unsent_at, f->unsent.len - f->unsent_at);
	result = write_some(f, to, &rest, why);
	f->unsent_at = f->unsent.len - rest.len;
	if (rest.len == 0) {
		flow_drop(&f->unsent);
		f->unsent_at = 0;
	}
	return result;
}

enum flow_result flow_send(struct flow *f, struct end *to, struct span s,
			   char why[static TLS_WHY_MAX])
{
	enum flow_result result = write_some(f, to, &s, why);

	return s.len == 0 || flow_append(&f->unsent, s) ? result : FLOW_NO_MEMORY;
}

bool flow_prepend(struct flow *f, struct span bytes)
{
	if (!flow_reserve(&f->unsent, f->unsent.len + bytes.len))
		return false;
	memmove(f->unsent.p + bytes.len, f->unsent.p, f->unsent.len);
	memcpy(f->unsent.p, bytes.p, bytes.len);
	f->unsent.len += bytes.len;
	f->uncounted = bytes.len;
	return true;
}

/* --- what came in ----------------------------------------------------------------------------- */

bool flow_hold(struct flow *f, struct span rest, bool was_held)
{
	if (f->discarding || rest.len == 0) {
		flow_drop(&f->held);
		return true;
	}
	if (!was_held)
		return flow_append(&f->held, rest);
	memmove(f->held.p, rest.p, rest.len);
	f->held.len = rest.len;
	return true;
}

void flow_free(struct flow *f)
{
	flow_drop(&f->held);
	flow_drop(&f->unsent);
}
