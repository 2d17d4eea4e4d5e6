/* SPDX-License-Identifier: ISC */
#include "conn/watch.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

bool watch_set_open(struct watch_set *all, uv_loop_t *loop)
{
	struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = all}};

	memset(all, 0, sizeof *all);
	all->loop = loop;
	all->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (all->epoll < 0)
		return false;
	if (epoll_ctl(all->epoll, EPOLL_CTL_ADD, uv_backend_fd(loop), &event) == 0)
		return true;
	close(all->epoll);
	return false;
}

void watch_set_close(struct watch_set *all)
{
	close(all->epoll);
}

/* --- what the kernel is told ------------------------------------------------------------------ */

/*
 * Who waits for bytes gets their end as well, and often waits for nothing but that end a moment
 * later: asked for together, they cost one call.
 */
static uint8_t to_tell(int interest)
{
	return (uint8_t)(interest & WATCH_READ ? interest | WATCH_LEFT : interest);
}

static bool tell(struct watch *w, int operation)
{
	struct epoll_event event = {.data = {.ptr = w}};

	w->told = to_tell(w->interest);
	event.events = (w->told & WATCH_READ ? EPOLLIN : 0u) |
		       (w->told & WATCH_WRITE ? EPOLLOUT : 0u) |
		       (w->told & WATCH_LEFT ? EPOLLRDHUP : 0u);
	w->known = true;
	return epoll_ctl(w->in->epoll, operation, w->fd, &event) == 0;
}

static void forget(struct watch *w)
{
	if (w->known)
		epoll_ctl(w->in->epoll, EPOLL_CTL_DEL, w->fd, NULL);
	w->known = false;
	w->told = 0;
}

static void enlist(struct watch *w)
{
	if (w->changed)
		return;
	w->changed = true;
	w->previous = NULL;
	w->next = w->in->changed;
	if (w->next)
		w->next->previous = w;
	w->in->changed = w;
}

static void delist(struct watch *w)
{
	if (!w->changed)
		return;
	w->changed = false;
	if (w->next)
		w->next->previous = w->previous;
	if (w->previous)
		w->previous->next = w->next;
	else
		w->in->changed = w->next;
}

/*
 * What is told too much costs nothing until it happens. With no interest at all the descriptor is
 * taken out, as errors are reported of whatever is in.
 */
static void tell_changes(struct watch_set *all)
{
	while (all->changed) {
		struct watch *w = all->changed;

		delist(w);
		if (w->noisy && w->interest == 0)
			forget(w);
		else if (w->noisy || (w->interest & ~w->told))
			tell(w, EPOLL_CTL_MOD); /* of a known descriptor, for which it has memory */
		w->noisy = false;
	}
}

bool watch_for(struct watch *w, struct watch_set *all, int fd, int interest, watch_cb *on_event,
	       void *owner)
{
	if (interest == w->interest)
		return true;
	w->in = all;
	w->fd = fd;
	w->on_event = on_event;
	w->owner = owner;
	w->interest = (uint8_t)interest;
	if (w->always || interest == 0)
		return true;
	if (w->known) {
		enlist(w);
		return true;
	}
	if (tell(w, EPOLL_CTL_ADD))
		return true;
	w->known = false;
	w->told = 0;
	w->always = errno == EPERM; /* as epoll_ctl(2) says of regular files */
	if (!w->always)
		w->interest = 0;
	return w->always;
}

void watch_pause(struct watch *w)
{
	w->interest = 0;
	if (w->known)
		forget(w);
}

void watch_close(struct watch *w)
{
	struct watch_set *all = w->in;

	if (!all)
		return;
	forget(w);
	delist(w);
	for (int i = all->next; i < all->count; i++)
		if (all->event[i].data.ptr == w)
			all->event[i].data.ptr = NULL;
	*w = (struct watch){0};
}

/* --- events ----------------------------------------------------------------------------------- */

static void failed(struct watch *w)
{
	int interest = w->interest;

	watch_pause(w);
	if (interest != 0)
		w->on_event(w, true, interest);
}

static void happened(struct watch *w, uint32_t reported)
{
	int events = (reported & EPOLLIN ? WATCH_READ : 0) |
		     (reported & EPOLLOUT ? WATCH_WRITE : 0) |
		     (reported & EPOLLRDHUP ? WATCH_LEFT : 0);

	if (reported & EPOLLERR) {
		failed(w);
		return;
	}
	if (reported & EPOLLHUP)
		events |= w->interest;
	if (w->interest == 0 || (events & ~to_tell(w->interest))) {
		w->noisy = true;
		enlist(w);
	}
	events &= w->interest;
	if (events != 0)
		w->on_event(w, false, events);
}

/* Whether libuv's loop has events. */
static bool handle_batch(struct watch_set *all)
{
	bool of_loop = false;

	for (all->next = 0; all->next < all->count;) {
		const struct epoll_event *event = &all->event[all->next++];

		if (event->data.ptr == all)
			of_loop = true;
		else if (event->data.ptr) /* NULL: closed by an earlier one of the batch */
			happened(event->data.ptr, event->events);
	}
	all->next = all->count = 0;
	return of_loop;
}

bool watch_set_wait(struct watch_set *all, bool busy)
{
	bool of_loop, any;

	tell_changes(all);
	all->count = epoll_wait(all->epoll, all->event, WATCH_BATCH,
				busy ? 0 : uv_backend_timeout(all->loop));
	if (all->count < 0) /* a signal, whose handler has woken libuv's loop */
		all->count = 0;
	uv_update_time(all->loop);
	any = all->count != 0;
	of_loop = handle_batch(all);
	if (of_loop || uv_backend_timeout(all->loop) == 0) {
		uv_run(all->loop, UV_RUN_NOWAIT);
		any = true;
	}
	return any;
}
