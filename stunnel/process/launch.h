/* SPDX-License-Identifier: ISC */
#ifndef LAUNCH_H
#define LAUNCH_H

#include <uv.h>

#include "conn/conn.h"

/*
 * What stands in place of a listening socket where a service has `exec` and `connect`: its program
 * is its only client, and is started again when it has ended, if `retry` says so.
 */
struct launch {
	struct launch *next;
	struct conn_pool *pool;
	struct conn_service *service;
	uv_timer_t retry;
};

/* Starts the service's program as a client of the pool. NULL without memory: nothing is started. */
struct launch *launch_start(struct conn_pool *pool, struct conn_service *service);

/* To be called when the service's connection has ended, but not after launch_stop(). */
void launch_ended(struct launch *l);

/*
 * Starts the program no more; its connection, if there is one, goes on. Frees itself when the loop
 * has closed its timer.
 */
void launch_stop(struct launch *l);

#endif
