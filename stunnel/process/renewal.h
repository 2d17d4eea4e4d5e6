/* SPDX-License-Identifier: ISC */
#ifndef RENEWAL_H
#define RENEWAL_H

#include <stdbool.h>
#include <uv.h>

#include "config/config.h"
#include "process/helper.h"

/*
 * Certificates and keys of sections with certReload. The master, which has the rights that the
 * program was started with, looks at the files from time to time, takes a pair that fits, and sends
 * it to the workers, which may read no file any more; workers that it forks later have it already.
 */

bool renewal_needed(const struct config *config);

/*
 * In the master: looks at the files that it is time for, unless the workers do not serve, and warns
 * of certificates that end soon. The workers' ends of the sockets are those to ask. Milliseconds
 * until the next look; -1: there is none.
 */
int renewal_look(const struct config *config, const struct helper_sockets *sockets, bool serving);

/* In a worker: where it gets them from. */
struct renewal_intake {
	uv_poll_t poll;
	struct config *config;
	int fd;
};

/* fd stays the caller's; -1: there is none. */
void renewal_open(struct renewal_intake *intake, uv_loop_t *loop, struct config *config, int fd);
void renewal_close(struct renewal_intake *intake);

#endif
