/* SPDX-License-Identifier: ISC */
#include "conn/questions.h"

#include <stdlib.h>

struct questions *questions_new(void (*wake)(void *owner), void *owner, uint64_t serial)
{
	struct questions *q = calloc(1, sizeof *q);
	const struct waiting waiting = {.wake = wake, .owner = owner};

	if (!q)
		return NULL;
	q->inquiry = (struct inquiry_wait){.waiting = waiting, .head = {.serial = serial}};
	q->sessiond = (struct sessiond_wait){.waiting = waiting};
	return q;
}

void questions_leave(struct questions *q)
{
	if (!q)
		return;
	inquiry_leave(&q->inquiry);
	waiting_leave(&q->sessiond.waiting);
}

void questions_free(struct questions *q)
{
	questions_leave(q);
	free(q);
}
