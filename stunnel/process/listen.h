/* SPDX-License-Identifier: ISC */
#ifndef LISTEN_H
#define LISTEN_H

#include <uv.h>

#include "conn/conn.h"

/*
 * A listening socket in one worker. The master holds it too, and so it survives a worker; the other
 * workers of the generation hold it as well, and accept what waits in it while nobody has taken the
 * place of one that has ended.
 */
struct listen {
	struct listen *next;
	struct conn_pool *pool;
	struct conn_service *service;
	int fd;
	size_t worker; /* whose it is, or LISTEN_SHARED */
	uv_poll_t poll;
	uv_timer_t pause; /* when descriptors or memory have run out */
	int handles;
};

#define LISTEN_SHARED SIZE_MAX /* a socket of all workers at any time */

/*
 * Accepts connections of the service from fd, which it owns, into the pool: at any time if it is
 * this worker's, else while that other worker is away. NULL without memory.
 */
struct listen *listen_start(struct conn_pool *pool, struct conn_service *service, int fd,
			    size_t worker);

/* Another worker has ended, so that the socket may be ours now; or there is room again. */
void listen_look(struct listen *l);

/* Accepts no more and closes the descriptor; frees itself when the loop has closed its handles. */
void listen_stop(struct listen *l);

#endif
