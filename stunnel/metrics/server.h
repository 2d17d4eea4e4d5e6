/* SPDX-License-Identifier: ISC */
#ifndef METRICS_SERVER_H
#define METRICS_SERVER_H

#include <stdbool.h>

#include "core/ip.h"
#include "metrics/figures.h"

/*
 * The HTTP server of the figures, which is libmicrohttpd's: it reads, and can change nothing. One
 * thread, in a process of its own, which polls server_fd().
 */

struct server;

/* Whether the program was built for the library. */
bool server_built(void);

/* First of all, before the process is confined. False, logged: the library cannot be loaded. */
bool server_load(void);

/*
 * Serves the connections of a listening socket, which stays the caller's, to peers in `allowed`,
 * and to those of a Unix socket. What is pointed to has to last. NULL, logged: it cannot.
 */
struct server *server_open(int listener, const struct figures *figures,
			   const struct ip_blocks *allowed);

/* A descriptor that is readable when server_run() has something to do. */
int server_fd(const struct server *s);

/* Milliseconds until server_run() has to be called anyhow; -1: there is no need. */
int server_timeout(const struct server *s);

void server_run(struct server *s);

/* Accepts no more; whether there are connections left. */
bool server_drain(struct server *s);

void server_close(struct server *s);

#endif
