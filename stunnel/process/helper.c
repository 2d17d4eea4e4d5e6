/* SPDX-License-Identifier: ISC */
#include "process/helper.h"

#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn/inquiry.h"
#include "process/daemon.h"
#include "sys/log.h"
#include "sys/net.h"

#define LOOK_MS 500 /* while draining, until the workers are looked for again */

/* --- the sockets ------------------------------------------------------------------------------ */

bool helper_sockets_open(struct helper_sockets *s, size_t workers)
{
	const int type = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;
	int *ends = calloc(2 * workers, sizeof *ends);

	*s = (struct helper_sockets){0};
	if (!ends)
		return false;
	*s = (struct helper_sockets){.ask = ends, .asked = ends + workers};
	for (; s->workers < workers; s->workers++) {
		int pair[2];

		if (socketpair(AF_UNIX, type, 0, pair) != 0) {
			helper_sockets_close(s);
			return false;
		}
		s->ask[s->workers] = pair[0];
		s->asked[s->workers] = pair[1];
	}
	return true;
}

void helper_sockets_close(struct helper_sockets *s)
{
	for (size_t i = 0; i < s->workers; i++) {
		close(s->ask[i]);
		close(s->asked[i]);
	}
	free(s->ask);
	*s = (struct helper_sockets){0};
}

int helper_socket(const struct helper_sockets *s, size_t worker)
{
	return worker < s->workers ? s->ask[worker] : -1;
}

/* --- questions -------------------------------------------------------------------------------- */

static void on_question(uv_poll_t *poll, int status, int events)
{
	struct helper *h = poll->data;
	int fd = h->task->sockets->asked[poll - h->polls];

	(void)status, (void)events;
	while (!h->held) {
		ssize_t n = net_read(fd, h->question, h->question_max);

		if (n < (ssize_t)sizeof(struct inquiry_head))
			return;
		h->calls->take(h->owner, (size_t)n, fd);
	}
}

void helper_hold(struct helper *h, bool held)
{
	if (held == h->held)
		return;
	h->held = held;
	for (size_t i = 0; i < h->task->sockets->workers; i++) {
		if (held)
			uv_poll_stop(&h->polls[i]);
		else
			uv_poll_start(&h->polls[i], UV_READABLE, on_question);
	}
}

/* --- life ------------------------------------------------------------------------------------- */

static void end(struct helper *h)
{
	if (h->calls->end)
		h->calls->end(h->owner);
	uv_stop(&h->loop);
}

/* Workers that drain may still have clients that are not let in yet, and ask. */
static void on_look(uv_timer_t *timer)
{
	struct helper *h = timer->data;

	if (h->calls->drained && !h->calls->drained(h->owner))
		return;
	for (size_t i = 0; i < h->task->sockets->workers; i++)
		if (board_served(h->task->place->board, i))
			return;
	end(h);
}

static void on_lifeline(uv_poll_t *poll, int status, int events)
{
	(void)status, (void)events;
	end(poll->data); /* nobody would vacate the rows of workers that end */
}

static void on_signal(uv_poll_t *poll, int status, int events)
{
	struct helper *h = poll->data;
	struct signalfd_siginfo told;

	(void)status, (void)events;
	while (read(h->signal_fd, &told, sizeof told) == (ssize_t)sizeof told) {
		if (told.ssi_signo == CHILD_REOPEN)
			log_reopen(false);
		else if (told.ssi_signo == CHILD_DRAIN)
			uv_timer_start(&h->look, on_look, 0, LOOK_MS);
		else if (told.ssi_signo == CHILD_STOP)
			end(h);
	}
}

static void watch(struct helper *h, uv_poll_t *poll, int fd, uv_poll_cb on_event)
{
	uv_poll_init(&h->loop, poll, fd);
	poll->data = h;
	uv_poll_start(poll, UV_READABLE, on_event);
}

bool helper_open(struct helper *h)
{
	const struct helper_sockets *sockets = h->task->sockets;
	const struct inquiry_head begins = {0};

	h->polls = calloc(sockets->workers + 1, sizeof *h->polls);
	h->signal_fd = child_take_signals();
	if (!h->polls || h->signal_fd < 0 || uv_loop_init(&h->loop) != 0) {
		free(h->polls);
		return false;
	}
	pulse_start(&h->pulse, &h->loop, h->task->place);
	uv_timer_init(&h->loop, &h->look);
	h->look.data = h;
	watch(h, &h->lifeline, h->task->lifeline, on_lifeline);
	watch(h, &h->signals, h->signal_fd, on_signal);
	for (size_t i = 0; i < sockets->workers; i++) {
		net_write(sockets->asked[i], (const char *)&begins, sizeof begins);
		watch(h, &h->polls[i], sockets->asked[i], on_question);
	}
	return true;
}

void helper_serve(struct helper *h)
{
	daemon_detach();
	if (child_ready(h->task->place, 0))
		uv_run(&h->loop, UV_RUN_DEFAULT);
}

static void close_handle(uv_handle_t *handle, void *unused)
{
	(void)unused;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

void helper_close(struct helper *h)
{
	uv_walk(&h->loop, close_handle, NULL);
	uv_run(&h->loop, UV_RUN_DEFAULT);
	uv_loop_close(&h->loop);
	close(h->signal_fd);
	free(h->polls);
}
