/* SPDX-License-Identifier: ISC */
#ifndef WATCH_H
#define WATCH_H

#include <stdbool.h>
#include <uv.h>

/* A descriptor that the event loop watches; zeroed: none. */
struct watch {
	uv_poll_t *handle; /* owned; libuv closes it later, when the next socket has another */
	int interest;	   /* bits of enum uv_poll_event that are waited for */
	bool always;	   /* a file, which is always ready and of which no event comes */
};

/*
 * Waits for `interest` on fd, which is the same until watch_close(), and calls `on_event` with
 * `owner` in the handle's data, unless w->always turns out. False without memory: nothing is waited
 * for.
 */
bool watch_for(struct watch *w, uv_loop_t *loop, int fd, int interest, uv_poll_cb on_event,
	       void *owner);

/* Waits no more until watch_for(). */
void watch_pause(struct watch *w);

/* No event comes any more; fd may be closed. */
void watch_close(struct watch *w);

#endif
