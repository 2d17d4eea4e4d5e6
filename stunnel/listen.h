/* SPDX-License-Identifier: ISC */
#ifndef LISTEN_H
#define LISTEN_H

#include <uv.h>

#include "conn.h"

/* A listening socket in one worker. The master holds it too, and so it survives a worker. */
struct listen {
	struct listen *next;
	struct conn_pool *pool;
	struct conn_service *service;
	int fd;
	uv_poll_t poll;
	uv_timer_t pause; /* when descriptors or memory have run out */
	int handles;
};

/*
 * Accepts connections of the service from fd, which it owns, into the pool. NULL without memory.
 */
struct listen *listen_start(struct conn_pool *pool, struct conn_service *service, int fd);

/* Accepts no more and closes the descriptor; frees itself when the loop has closed its handles. */
void listen_stop(struct listen *l);

#endif
