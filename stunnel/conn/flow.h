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

/* Only ever moves on. */
enum flow_stage {
	FLOW_OPEN = 0,
	FLOW_ENDED,  /* nothing more comes in */
	FLOW_CLOSED, /* and the receiving end was told so */
};

/* Zeroed: nothing has come yet. */
struct flow {
	struct flow_buffer held;   /* came in, and waits for the rest of it, or for its turn */
	struct flow_buffer unsent; /* is to go out and did not fit */
	size_t unsent_at;	   /* where the rest of it begins */
	uint64_t sent;		   /* bytes written that came from the sending end */
	size_t uncounted; /* bytes of ours at the front of unsent, which `sent` does not count */
	enum flow_stage stage;
	bool discarding; /* what still comes is of no use to anybody */
};

enum flow_result {
	FLOW_DONE = 0, /* gone, or kept until the receiving end takes more */
	FLOW_FAILED,   /* the receiving end has failed, and what was to be sent is dropped */
	FLOW_NO_MEMORY,
};

/* Room for cap bytes in all; false without memory. */
bool flow_reserve(struct flow_buffer *b, size_t cap);
bool flow_append(struct flow_buffer *b, struct span s);
void flow_drop(struct flow_buffer *b);

/* Whether bytes wait for the receiving end: nothing more is taken until they have gone. */
static inline bool flow_is_stuck(const struct flow *f, const struct end *to)
{
	return f->unsent.len != 0 || end_keeps(to);
}

/* Sends what is unsent, as far as it goes. `to` is NULL while there is no such end. */
enum flow_result flow_flush(struct flow *f, struct end *to, char why[static TLS_WHY_MAX]);

/* Sends s, or keeps what does not go out at once; nothing is stuck before. */
enum flow_result flow_send(struct flow *f, struct end *to, struct span s,
			   char why[static TLS_WHY_MAX]);

/* Puts bytes of ours in front of what is unsent, before any of it was sent; false without memory.
 */
bool flow_prepend(struct flow *f, struct span bytes);

/* Keeps what could not be used of an input that lies in held, or elsewhere; false without memory.
 */
bool flow_hold(struct flow *f, struct span rest, bool was_held);

void flow_free(struct flow *f);

#endif
