/* SPDX-License-Identifier: ISC */
#include "forward_flow.h"
#include "forward_stock.h"

uint64_t forward_deadline(uint64_t since, int seconds)
{
	return seconds < 0 ? UINT64_MAX : since + (uint64_t)seconds * 1000;
}

/*
 * The stock_now() at which the time for the awaited or incomplete head began, or 0 without one. It
 * begins with the connection for the first head, and with the first byte for a later one.
 */
static uint64_t head_since(struct forward *f, uint64_t now)
{
	h1_clock_look(&f->head, &f->h1, now);
	if (f->h1.error != ERR_NONE || f->client == FORWARD_CLIENT_ENDED)
		return 0;
	return f->h1.requests == 0 ? f->begin : f->head.since;
}

/* A client that has sent nothing gets no 408: browsers open connections in advance. */
static void expire(CLI *c)
{
	struct forward *f = c->forward;
	bool begun = h1_phase(&f->h1, H1_REQUEST) == H1_HEAD;

	h1_fail(&f->h1, ERR_REQUEST_TIMEOUT);
	if (begun)
		return; /* forward_settle() answers in the next turn of transfer() */
	s_log(LOG_INFO, "transfer: TIMEOUTrequest exceeded: closing");
	forward_leave(c);
}

/* Waits with responses that are held for nothing but room in transfer()'s buffer. */
static int poll_backend(CLI *c, int sec, int msec)
{
	return stock_poll(c, c->sock_rfd->fd, forward_holds_responses(c->forward), sec, msec);
}

/* Returns 1 without an event, too, since transfer() would take 0 for the end of the connection. */
static int poll_on(CLI *c, uint64_t ms)
{
	int n = poll_backend(c, (int)(ms / 1000), (int)(ms % 1000));

	c->forward->timed_out = n == 0;
	return n == 0 ? 1 : n;
}

int forward_poll(CLI *c, int sec, int msec)
{
	struct forward *f = c->forward;
	uint64_t now = stock_now(), since = head_since(f, now);
	uint64_t end = forward_deadline(since, c->opt->forward->service.timeout_request);
	uint64_t idle = sec < 0 ? UINT64_MAX : now + (uint64_t)sec * 1000 + (uint64_t)msec;

	/* Loops before 4.55 poll no descriptor that they will not read, and would miss its end. */
	if (!forward_wants_input(c) && SSL_get_shutdown(c->ssl) == 0)
		s_poll_add(c->fds, c->ssl_rfd->fd, 0, 0);
	f->timed_out = false;
	if (h1_in_flight(&f->h1) == 0)
		forward_flow_rest(f);
	if (since == 0 || idle <= end)
		return poll_backend(c, sec, msec);
	if (now >= end) {
		expire(c);
		return poll_on(c, 0);
	}
	return poll_on(c, end - now);
}

int forward_woke(const CLI *c)
{
	return c->forward->timed_out || stock_doubts_end(c, c->ssl_rfd->fd);
}
