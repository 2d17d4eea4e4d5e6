/* SPDX-License-Identifier: ISC */
#include "conn/watch.h"

#include <stdlib.h>

static bool watch_open(struct watch *w, uv_loop_t *loop, int fd, void *owner)
{
	int rc;

	w->handle = malloc(sizeof *w->handle);
	if (!w->handle)
		return false;
	rc = uv_poll_init(loop, w->handle, fd);
	if (rc != 0) {
		free(w->handle);
		w->handle = NULL;
		w->always = rc == UV_EPERM; /* as epoll_ctl(2) says of regular files */
		return w->always;
	}
	w->handle->data = owner;
	return true;
}

bool watch_for(struct watch *w, uv_loop_t *loop, int fd, int interest, uv_poll_cb on_event,
	       void *owner)
{
	if (interest == w->interest)
		return true;
	if (!w->handle && !w->always && !watch_open(w, loop, fd, owner))
		return false;
	w->interest = interest;
	if (w->always)
		return true;
	if (interest != 0)
		uv_poll_start(w->handle, interest, on_event);
	else
		uv_poll_stop(w->handle);
	return true;
}

void watch_pause(struct watch *w)
{
	uv_poll_stop(w->handle);
	w->interest = 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

void watch_close(struct watch *w)
{
	if (w->handle)
		uv_close((uv_handle_t *)w->handle, on_closed);
	*w = (struct watch){0};
}
