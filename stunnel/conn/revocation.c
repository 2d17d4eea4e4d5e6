/* SPDX-License-Identifier: ISC */
#include "conn/revocation.h"

#include <stddef.h>

#include "sys/net.h"

static void on_answer(uv_poll_t *poll, int status, int events)
{
	struct revocation *r = poll->data;
	struct revocation_answer got;

	(void)status, (void)events;
	while (net_read(r->fd, (char *)&got, sizeof got) == (ssize_t)sizeof got) {
		struct revocation_wait *wait = r->first;

		while (wait && wait->serial != got.serial)
			wait = wait->next;
		if (!wait)
			continue; /* it has given up, or was a worker's that is gone */
		revocation_cancel(wait);
		wait->answer = got.answer;
		wait->answered = true;
		wait->wake(wait->owner);
	}
}

void revocation_open(struct revocation *r, uv_loop_t *loop, int fd)
{
	*r = (struct revocation){.fd = fd};
	if (fd < 0)
		return;
	uv_poll_init(loop, &r->poll, fd);
	r->poll.data = r;
	uv_poll_start(&r->poll, UV_READABLE, on_answer);
}

void revocation_close(struct revocation *r)
{
	if (r->fd >= 0)
		uv_close((uv_handle_t *)&r->poll, NULL);
	r->fd = -1;
}

bool revocation_ask(struct revocation *r, struct revocation_wait *wait, uint64_t service,
		    const struct stack_st_X509 *chain)
{
	static struct revocation_question question;
	size_t len = tls_ocsp_question(chain, question.chain);

	question.serial = wait->serial;
	question.service = service;
	len += offsetof(struct revocation_question, chain);
	if (r->fd < 0 || net_write(r->fd, (const char *)&question, len) != (ssize_t)len)
		return false;
	wait->answered = false;
	wait->next = r->first;
	wait->at = &r->first;
	if (r->first)
		r->first->at = &wait->next;
	r->first = wait;
	return true;
}

void revocation_cancel(struct revocation_wait *wait)
{
	if (!wait->at)
		return;
	*wait->at = wait->next;
	if (wait->next)
		wait->next->at = wait->at;
	wait->at = NULL;
	wait->next = NULL;
}
