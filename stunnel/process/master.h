/* SPDX-License-Identifier: ISC */
#ifndef MASTER_H
#define MASTER_H

/*
 * The privileged process: reads the configuration, owns the listening sockets, forks workers and
 * replaces them at a reload. Serves no connection. Runs until a signal ends it; the exit status.
 * path is absolute; fd is read instead if it is not negative, and then there is no reload.
 */
int master_run(const char *path, int fd);

#endif
