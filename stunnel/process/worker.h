/* SPDX-License-Identifier: ISC */
#ifndef WORKER_H
#define WORKER_H

#include <signal.h>

#include "config/conf.h"

/* What a worker is asked to do, by signal. */
#define WORKER_STOP SIGTERM   /* end now */
#define WORKER_DRAIN SIGQUIT  /* accept nothing more, end after the last connection */
#define WORKER_REOPEN SIGUSR1 /* open the log file anew */
#define WORKER_LOOK SIGUSR2   /* another worker has ended: look at the board */

/* A listening socket of the master's, and the section that it belongs to. */
struct worker_socket {
	int fd;
	struct conf_section *section;
	size_t worker; /* the index of the one that accepts from it, or LISTEN_SHARED */
};

struct worker_task {
	struct config *config;
	struct conn_shared *shared;
	struct board *board;
	size_t index; /* this worker's on the board */
	const struct worker_socket *socket;
	size_t socket_count;
	int lifeline; /* readable at the end of the master */
	int ready;    /* a byte goes there as soon as connections are accepted; -1: nobody waits */
};

/* Runs in the forked process until it is told to end; the process's exit status. */
int worker_run(const struct worker_task *task);

#endif
