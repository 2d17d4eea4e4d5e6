/* SPDX-License-Identifier: ISC */
#ifndef BIND_H
#define BIND_H

#include "config/config.h"
#include "process/worker.h"

/*
 * The addresses that the master listens on, over one configuration after the other: what two of
 * them have in common stays bound. A list of addresses, NULL at first.
 */
struct bind_address;

/* Binds what config accepts on, for so many workers; what fails is logged, and false returned. */
bool bind_all(struct bind_address **list, struct config *config, size_t workers);

/* Closes what the configuration that was bound last does not use. */
void bind_drop_unused(struct bind_address **list);

/* Points the addresses back at the configuration in force after another one was refused. */
void bind_restore(struct bind_address **list, struct config *config);

void bind_close(struct bind_address **list);

/* In a child's process: closes its copies of all sockets. Paths stay, which are the master's. */
void bind_let_go(struct bind_address **list);

/* How many sockets there are. */
size_t bind_count(struct bind_address *const *list);

/*
 * In a worker's process: the sockets of all addresses, each with the worker that it belongs to;
 * those that an earlier, larger number of workers has left belong to somebody, too, since
 * connections may wait in them. Closes those that were given up: a port stays open as long as any
 * process holds its socket. `sockets` has room for bind_count(); returns how many there are.
 */
size_t bind_take(struct bind_address **list, size_t workers, struct worker_socket *sockets);

#endif
