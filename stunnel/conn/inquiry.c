/* SPDX-License-Identifier: ISC */
#include "conn/inquiry.h"

#include <string.h>

#include "sys/net.h"

static struct inquiry_wait *find(const struct inquiry *q, uint64_t serial)
{
	struct waiting *w = q->waiting;

	while (w && ((struct inquiry_wait *)w)->serial != serial)
		w = w->next;
	return (struct inquiry_wait *)w;
}

static void on_answer(uv_poll_t *poll, int status, int events)
{
	struct inquiry *q = poll->data;
	union {
		struct inquiry_head head;
		char bytes[INQUIRY_ANSWER_MAX];
	} got;
	ssize_t n;

	(void)status, (void)events;
	while ((n = net_read(q->fd, got.bytes, sizeof got)) >= (ssize_t)sizeof got.head) {
		struct inquiry_wait *wait = find(q, got.head.serial);

		if (!wait || (size_t)n != wait->len)
			continue; /* it has given up, or was a worker's that is gone */
		memcpy(wait->answer, got.bytes, wait->len);
		wait->answered = true;
		waiting_wake(&wait->waiting);
	}
}

void inquiry_open(struct inquiry *q, uv_loop_t *loop, int fd)
{
	*q = (struct inquiry){.fd = fd};
	if (fd < 0)
		return;
	uv_poll_init(loop, &q->poll, fd);
	q->poll.data = q;
	uv_poll_start(&q->poll, UV_READABLE, on_answer);
}

void inquiry_close(struct inquiry *q)
{
	if (q->fd >= 0)
		uv_close((uv_handle_t *)&q->poll, NULL);
	q->fd = -1;
}

bool inquiry_ask(struct inquiry *q, struct inquiry_wait *wait, struct inquiry_head *question,
		 size_t len)
{
	question->serial = wait->serial;
	if (q->fd < 0 || net_write(q->fd, (const char *)question, len) != (ssize_t)len)
		return false;
	wait->answered = false;
	waiting_enter(&q->waiting, &wait->waiting);
	return true;
}
