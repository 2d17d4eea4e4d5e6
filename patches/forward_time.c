/* SPDX-License-Identifier: ISC */
#include "forward_connection.h"
#include "forward_stock.h"

uint64_t forward_deadline(uint64_t since, int seconds)
{
	return seconds < 0 ? UINT64_MAX : since + (uint64_t)seconds * 1000;
}

/*
 * When the time of the head began that is awaited or under way; 0: none is. The first one's begins
 * with the connection, a later one's with its first byte.
 */
static uint64_t head_since(struct forward *f, uint64_t now)
{
	h1_clock_look(&f->head, &f->h1, now);
	if (f->h1.error != ERR_NONE || f->over)
		return 0;
	return f->h1.requests == 0 ? f->begin : f->head.since;
}

/* A client that has sent nothing gets no answer: it only opened a connection in advance. */
static void expire(CLI *c)
{
	struct forward *f = c->forward;
	bool begun = h1_phase(&f->h1, H1_REQUEST) == H1_HEAD;

	h1_fail(&f->h1, ERR_REQUEST_TIMEOUT);
	if (begun)
		return; /* forward_settle() answers in the turn that follows */
	s_log(LOG_INFO, "transfer: TIMEOUTrequest exceeded: closing");
	forward_leave(c);
}

/*
 * No event is no end of the connection here, as it is for transfer(): that is told of one, which is
 * on no descriptor.
 */
static int poll_on(CLI *c, uint64_t ms)
{
	int n = s_poll_wait(c->fds, (int)(ms / 1000), (int)(ms % 1000));

	c->forward->timed_out = n == 0;
	return n == 0 ? 1 : n;
}

int forward_poll(CLI *c, int sec, int msec)
{
	uint64_t now = stock_now(), since = head_since(c->forward, now);
	uint64_t end = forward_deadline(since, c->opt->forward->service.timeout_request);
	uint64_t idle = sec < 0 ? UINT64_MAX : now + (uint64_t)sec * 1000 + (uint64_t)msec;

	c->forward->timed_out = false;
	if (since == 0 || idle <= end)
		return s_poll_wait(c->fds, sec, msec);
	if (now >= end) {
		expire(c);
		return poll_on(c, 0);
	}
	return poll_on(c, end - now);
}

int forward_timed_out(const CLI *c)
{
	return c->forward->timed_out;
}
