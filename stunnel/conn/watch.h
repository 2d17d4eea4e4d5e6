/* SPDX-License-Identifier: ISC */
#ifndef WATCH_H
#define WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <uv.h>

/*
 * Waiting for sockets: an epoll instance of a worker's own, of which libuv's loop is one descriptor
 * among the others. uv_poll_t asks the kernel twice for each change of what is waited for and four
 * times more for each socket, all of which a short connection pays; here the kernel is told what a
 * watch waits for when the loop is about to sleep, and only if it would not report that already.
 */

enum watch_event {
	WATCH_READ = 1,
	WATCH_WRITE = 2,
	WATCH_LEFT = 4, /* the peer has ended its bytes; only waited for alone */
};

#define WATCH_BATCH 256 /* events that one call takes from the kernel */

/*
 * All watches of a worker. Handles of libuv's that have a descriptor are started before its loop
 * first runs: it tells the kernel of new ones when it runs again, which may be much later.
 */
struct watch_set {
	uv_loop_t *loop;
	int epoll;
	struct watch *changed;		       /* those that the kernel is to be told of */
	struct epoll_event event[WATCH_BATCH]; /* being handled: from `next` to `count` */
	int next, count;
};

struct watch;

/*
 * events: bits of enum watch_event, of those that are waited for. failed: the socket has an error,
 * of which a read or write tells more, and nothing is waited for any more; events are then all that
 * were.
 */
typedef void watch_cb(struct watch *w, bool failed, int events);

/* A descriptor that is watched; zeroed: none. Stays at its address until watch_close(). */
struct watch {
	void *owner;	      /* the callback's own */
	struct watch_set *in; /* NULL: nothing was ever waited for */
	watch_cb *on_event;
	struct watch *next, *previous; /* in watch_set.changed, if it is */
	int fd;
	uint8_t interest; /* bits of enum watch_event that are waited for */
	uint8_t told;	  /* that the kernel reports; may be more */
	bool known;	  /* to the kernel, which reports errors even if nothing is told */
	bool changed;	  /* in watch_set.changed */
	bool noisy;	  /* the kernel reports what nobody waits for */
	bool always;	  /* a file, which is always ready and of which no event comes */
};

/* Fills *all, whatever it held. False, with nothing to close, if the system has no more of them. */
bool watch_set_open(struct watch_set *all, uv_loop_t *loop);
void watch_set_close(struct watch_set *all);

/*
 * Sleeps until there are events, a timer of libuv's loop is due, or, if `busy`, not at all; then
 * calls who waits for them, and runs libuv's loop once, without sleeping, where it has something to
 * do. Watches may be closed and opened meanwhile. False if there were no events and nothing was
 * due.
 */
bool watch_set_wait(struct watch_set *all, bool busy);

/*
 * Waits for `interest` on fd, which is non-blocking and the same until watch_close(), and calls
 * `on_event`, unless w->always turns out. False if the kernel cannot: nothing is waited for.
 */
bool watch_for(struct watch *w, struct watch_set *all, int fd, int interest, watch_cb *on_event,
	       void *owner);

/* Waits no more until watch_for(), even for errors. */
void watch_pause(struct watch *w);

/* No event comes any more, not even of the batch being handled; fd may be closed. Zeroes *w. */
void watch_close(struct watch *w);

#endif
