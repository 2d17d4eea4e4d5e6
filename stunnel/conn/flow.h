/* SPDX-License-Identifier: ISC */
#ifndef FLOW_H
#define FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conn/end.h"
#include "core/span.h"

/* One direction between two ends: what waits in it, and how far it has come. */

struct flow_buffer {
	char *p;
	size_t len, cap;
};

/* Moves on only, until relay_renew() opens the responses of another back. */
enum flow_stage {
	FLOW_OPEN = 0,
	FLOW_ENDED,  /* nothing more comes in */
	FLOW_CLOSED, /* and the receiving end was told that */
};

/* Zeroed: nothing has come yet. */
struct flow {
	struct flow_buffer held;   /* input that waits for the rest of a head, or for its turn */
	struct flow_buffer unsent; /* output that the receiving end did not take */
	size_t unsent_at;	   /* first byte of `unsent` that has to go yet */
	uint64_t sent;		   /* bytes written that came from the sending end */
	size_t uncounted; /* bytes of ours at the front of unsent, which `sent` does not count */
	enum flow_stage stage;
	bool discarding; /* further input is read and thrown away */
};

enum flow_result {
	FLOW_DONE = 0,	/* all is sent, or kept until the receiving end takes more */
	FLOW_FAILED,	/* the receiving end has failed, and what was to be sent is dropped */
	FLOW_NO_MEMORY, /* what could not be kept is lost: the connection has to end */
};

/* Make room for cap bytes in all, or add s at the end; false without memory, and as it was. */
bool flow_reserve(struct flow_buffer *b, size_t cap);
bool flow_append(struct flow_buffer *b, struct span s);
/* Frees the bytes; the buffer is empty afterwards. */
void flow_drop(struct flow_buffer *b);

/* Whether bytes wait for the receiving end: nothing more is taken until they have gone. */
static inline bool flow_is_stuck(const struct flow *f, const struct end *to)
{
	return f->unsent.len != 0 || end_keeps(to);
}

/* Sends what is unsent, as far as it goes; nothing if `to` is NULL or closed. why: of a failure. */
enum flow_result flow_flush(struct flow *f, struct end *to, char why[static TLS_WHY_MAX]);

/* Sends s, or keeps a copy of what does not go at once. The flow must not be stuck before. */
enum flow_result flow_send(struct flow *f, struct end *to, struct span s,
			   char why[static TLS_WHY_MAX]);

/* Puts bytes of ours in front of `unsent`, before any of it was sent; false without memory. */
bool flow_prepend(struct flow *f, struct span bytes);

/* Makes `held` the rest of an input, which was_held or is copied; false without memory for that. */
bool flow_hold(struct flow *f, struct span rest, bool was_held);

void flow_free(struct flow *f);

#endif
