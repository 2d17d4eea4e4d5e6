/* SPDX-License-Identifier: ISC */
#ifndef WORKER_H
#define WORKER_H

#include "config/config.h"
#include "process/child.h"

/* A listening socket of the master's, and the section that it belongs to. */
struct worker_socket {
	int fd;
	struct config_section *section;
	size_t worker; /* the index of the one that accepts from it, or LISTEN_SHARED */
};

struct worker_task {
	struct config *config;
	struct conn_shared *shared;
	const struct child_place *place;
	const struct worker_socket *socket;
	size_t socket_count;
	int lifeline; /* readable at the end of the master */
};

/*
 * A kind of child: accepts connections on the sockets and serves them. Runs in the forked process
 * until it is told to end; the process's exit status.
 */
int worker_run(const struct worker_task *task);

/* Gives the log files to the user that workers run as, who must be able to open them again. */
void worker_own_logs(const struct config *config);

#endif
