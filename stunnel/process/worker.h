/* SPDX-License-Identifier: ISC */
#ifndef WORKER_H
#define WORKER_H

#include "config/config.h"
#include "process/child.h"

/* A copy of a listening socket of the master's, with its section. */
struct worker_socket {
	int fd;
	struct config_section *section;
	size_t worker; /* index of the worker that accepts from fd, or LISTEN_SHARED */
};

struct worker_task {
	struct config *config;
	struct conn_shared *shared;
	_Atomic uint32_t *listed; /* the number of connections that a list had is added */
	const struct child_place *place;
	const struct worker_socket *socket;
	size_t socket_count;
	int stream[2]; /* inetd mode: what the only connection is read from and written to */
	int ask_revocation, ask_libwrap; /* sockets to the helpers; -1: there is none */
	int renewal;  /* a socket from which new certificates are read; -1: there is none */
	int lifeline; /* a pipe that becomes readable when the master ends */
};

/*
 * The main function of a worker process: accepts connections on the sockets, which it owns, and
 * serves them until it is told to end or the master ends; in inetd mode it serves the one
 * connection. Returns the exit status.
 */
int worker_run(const struct worker_task *task);

/* Gives the log files to the workers' user, so that workers can open them again. */
void worker_own_logs(const struct config *config);

#endif
