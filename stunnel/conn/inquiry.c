/* SPDX-License-Identifier: ISC */
#include "conn/inquiry.h"

#include <stdlib.h>
#include <string.h>

#include "sys/net.h"

static struct inquiry_wait *find(const struct inquiry *q, const struct inquiry_head *head)
{
	struct waiting *w = q->waiting;

	while (w && memcmp(&((struct inquiry_wait *)w)->head, head, sizeof *head) != 0)
		w = w->next;
	return (struct inquiry_wait *)w;
}

static bool send_question(const struct inquiry *q, const struct inquiry_wait *wait)
{
	return net_write(q->fd, wait->packet, wait->packet_len) == (ssize_t)wait->packet_len;
}

/* A question that cannot be sent again ends with the deadline of who waits. */
static void ask_again(const struct inquiry *q)
{
	for (struct waiting *w = q->waiting; w; w = w->next)
		send_question(q, (struct inquiry_wait *)w);
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
		struct inquiry_wait *wait = find(q, &got.head);

		if (n == (ssize_t)sizeof got.head)
			ask_again(q);
		if (!wait || (size_t)n != wait->len)
			continue; /* it has given up, or was a worker's that is gone */
		memcpy(wait->answer, got.bytes, wait->len);
		wait->answered = true;
		inquiry_leave(wait);
		wait->waiting.wake(wait->waiting.owner);
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
	if (q->fd < 0)
		return false;
	wait->head.question++;
	*question = wait->head;
	wait->packet = malloc(len);
	if (!wait->packet)
		return false;
	memcpy(wait->packet, question, len);
	wait->packet_len = len;
	wait->answered = false;
	waiting_enter(&q->waiting, &wait->waiting);
	if (send_question(q, wait))
		return true;
	inquiry_leave(wait);
	return false;
}

void inquiry_leave(struct inquiry_wait *wait)
{
	waiting_leave(&wait->waiting);
	free(wait->packet);
	wait->packet = NULL;
}
