/* SPDX-License-Identifier: ISC */
#ifndef BIND_H
#define BIND_H

#include "config/config.h"
#include "process/worker.h"

/*
 * A list of the addresses that the master listens on; NULL: none yet. An address that two
 * successive configurations have in common stays bound through the reload.
 */
struct bind_address;

/*
 * Has the section of that name accept from fd, a listening socket that the list then owns, and not
 * from what its `accept` says, through all reloads. 0 or -errno. fd may be one of several.
 */
int bind_give(struct bind_address **list, const struct config_section *section, int fd);
bool bind_has_given(struct bind_address *const *list, const struct config_section *section);

/*
 * A program that takes this one's place inherits the listening sockets: bind_each() calls `say`
 * with each and the name of the section that it was given for, or NULL; bind_inherit() adds such a
 * socket in the other process, 0 or -errno. Paths of Unix sockets stay the giver's until
 * bind_settle(): a list that is closed before removes none.
 */
void bind_each(struct bind_address *const *list, void (*say)(void *to, int fd, const char *given),
	       void *to);
int bind_inherit(struct bind_address **list, int fd, const char *given);
void bind_settle(struct bind_address **list);

/* Binds config's addresses for so many workers. False, logged, if a section has none bound. */
bool bind_all(struct bind_address **list, struct config *config, size_t workers);

/*
 * Logs where each service is bound. Whoever reads that connects, and is not to find the workers of
 * an older configuration there.
 */
void bind_tell(struct bind_address *const *list, const struct config *config);

/* Closes the addresses that the configuration of the last bind_all() does not use. */
void bind_drop_unused(struct bind_address **list);

/* After a refused reload: closes what was bound for it, and goes back to the config in force. */
void bind_restore(struct bind_address **list, struct config *config);

/* Closes all addresses, removes their Unix paths, and empties the list. */
void bind_close(struct bind_address **list);

/* In a child's process: closes its copies of all sockets. Unix paths stay for the master. */
void bind_let_go(struct bind_address **list);

/* The number of sockets of all addresses. */
size_t bind_count(struct bind_address *const *list);

/*
 * In a worker's process: moves the sockets to `sockets`, which has room for bind_count(), each with
 * the worker that accepts from it; returns their number. Sockets beyond the number of workers, left
 * from before a reload, get a worker too, since connections may wait in them. Sockets of addresses
 * that were given up are closed: a port stays open while any process holds its socket.
 */
size_t bind_take(struct bind_address **list, size_t workers, struct worker_socket *sockets);

#endif
