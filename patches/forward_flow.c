/* SPDX-License-Identifier: ISC */
#include "forward_flow.h"

#include "h1_answer.h"

/* How much longer than its input what the machine writes can be. */
static size_t growth(const struct forward *f, enum h1_dir dir, size_t in)
{
	if (dir == H1_REQUEST) /* fields may be inserted, and chunk lines are written anew */
		return h1_insertion(f->h1.rewrite, f->h1.limits) + H1_CHUNK_LINE_MAX;
	/* A chunk of one byte, whose lines end in LF alone, grows from four bytes to six. */
	return in / 2 + H1_ANSWER_INSERTION + H1_CHUNK_LINE_MAX;
}

void forward_flow_feed(struct forward *f, enum h1_dir dir, struct span *in)
{
	struct forward_buffer *b = &f->output[dir];
	struct out out;

	if (in->len == 0)
		return;
	forward_buffer_reserve(b, in->len + growth(f, dir, in->len));
	out = out_of(b->p + b->len, b->cap - b->len);
	h1_feed(&f->h1, dir, in, &out);
	b->len += out.len;
}

size_t forward_flow_hand_out(struct forward *f, enum h1_dir dir, char *p, size_t len)
{
	struct span s = forward_buffer_content(&f->output[dir]);
	size_t n = s.len < len ? s.len : len;

	if (n == 0)
		return 0;
	memcpy(p, s.p, n);
	span_skip(&s, n);
	forward_buffer_keep_rest(&f->output[dir], s);
	return n;
}

void forward_flow_rest(struct forward *f)
{
	for (int dir = H1_REQUEST; dir <= H1_RESPONSE; dir++) {
		if (forward_flow_is_empty(&f->input[dir]))
			forward_buffer_drop(&f->input[dir]);
		if (forward_flow_is_empty(&f->output[dir]))
			forward_buffer_drop(&f->output[dir]);
	}
}

void forward_flow_drop(struct forward *f)
{
	for (int dir = H1_REQUEST; dir <= H1_RESPONSE; dir++) {
		forward_buffer_drop(&f->input[dir]);
		forward_buffer_drop(&f->output[dir]);
	}
}
