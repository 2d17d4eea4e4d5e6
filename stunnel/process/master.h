/* SPDX-License-Identifier: ISC */
#ifndef MASTER_H
#define MASTER_H

#include <signal.h>

/*
 * A signal that no terminal and no kernel sends to us, which cannot be said of SIGWINCH, and that
 * an older daemon ignores. SIGUSR2, which nginx takes for this, lists connections as in stock.
 */
#define MASTER_UPGRADE SIGURG

/*
 * The privileged process: reads the configuration, owns the listening sockets, forks workers and
 * replaces them at a reload. Serves no connection. Returns the exit status after a signal to end.
 * path is absolute, or NULL to read the configuration from fd, which allows no reload.
 */
int master_run(const char *path, int fd);

#endif
