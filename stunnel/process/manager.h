/* SPDX-License-Identifier: ISC */
#ifndef MANAGER_H
#define MANAGER_H

#include <sys/types.h>

#include "process/generation.h"

/* What the service manager is told of the master and its children, as of a unit of systemd. */

/* Connections are accepted. */
void manager_ready(const struct generations *all);

/* The configuration is read anew; then it was, or everything is as before, as the status says. */
void manager_reloading(const struct generations *all);
void manager_reloaded(const struct generations *all, bool ok);

void manager_stopping(void);

/* Another process is the main one from now on, as only this one may say: it says nothing more. */
void manager_leave(pid_t heir);

/*
 * Tells what has changed, and that all is well, where that is so: a child that hangs keeps the
 * watchdog from hearing of us. Milliseconds until that is to be done again; -1: never.
 */
int manager_look(const struct generations *all);

/* The same of the watchdog alone, for a master that waits for new children. */
int manager_beat(const struct generations *all);

#endif
