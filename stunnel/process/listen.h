/* SPDX-License-Identifier: ISC */
#ifndef LISTEN_H
#define LISTEN_H

#include <uv.h>

#include "conn/conn.h"

/*
 * A listening socket in one worker. The master and the other workers of the generation hold it too:
 * the connections in its backlog survive the worker, and while the worker is not replaced the
 * others accept them.
 */
struct listen {
	struct listen *next;
	struct conn_pool *pool;
	struct conn_service *service;
	int fd;
	size_t worker; /* that the socket belongs to, or LISTEN_SHARED */
	struct watch watch;
	uv_timer_t pause; /* runs after descriptors or memory have run out */
};

#define LISTEN_SHARED SIZE_MAX /* all workers accept from the socket, as on a Unix path */

/*
 * Accepts connections of the service from fd into the pool: always if `worker` is this one or
 * LISTEN_SHARED, else while that worker does not serve. Owns fd, unless NULL is returned.
 */
struct listen *listen_start(struct conn_pool *pool, struct conn_service *service, int fd,
			    size_t worker);

/* To be called when another worker has ended, or when there is room for connections again. */
void listen_look(struct listen *l);

/* Accepts what waits already, which would be lost with the last copy of the socket. */
void listen_empty(struct listen *l);

/* Accepts no more and closes the descriptor; frees itself when the loop has closed its timer. */
void listen_stop(struct listen *l);

#endif
