/* SPDX-License-Identifier: ISC */
#ifndef DRAIN_H
#define DRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "conn/conn.h"

/*
 * The last part of a worker's life: it accepts nothing more, and its connections come to their
 * ends. The log tells of the begin and of the end, if there was a connection, and the process's
 * title how many are left.
 */
struct drain {
	struct conn_pool *pool;
	size_t number;	  /* of the worker, from 1 on */
	bool begun, told; /* told: that it has begun */
	uv_timer_t timer;
	uint64_t until; /* on uv_now()'s clock */
	void (*over)(void *owner);
	void *owner;
};

/* over() is called when the time is over: then connections are to be cut. */
void drain_open(struct drain *d, struct conn_pool *pool, size_t number, void (*over)(void *owner),
		void *owner);

/*
 * seconds: HTTP clients are told to leave, with their next answer or while they are idle, and the
 * time that there is for it; 0: connections stay until they end by themselves, as in stock.
 */
void drain_begin(struct drain *d, int seconds);

/* When a connection has ended. */
void drain_look(struct drain *d);

/* At the worker's end. */
void drain_close(struct drain *d);

#endif
