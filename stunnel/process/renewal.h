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

/* By which the master tells of a renewal: those who are told have the ends to ask. */
struct renewal_sockets {
	struct helper_sockets workers;
	struct helper_sockets fetcher; /* one, which gets certificates without keys; or none */
};

/* False: there are none. */
bool renewal_sockets_open(struct renewal_sockets *s, size_t workers, bool fetcher);
void renewal_sockets_close(struct renewal_sockets *s);

/*
 * In the master: looks at the files that it is time for, unless the workers do not serve, and warns
 * of certificates that end soon. Milliseconds until the next look; -1: there is none.
 */
int renewal_look(const struct config *config, const struct renewal_sockets *sockets, bool serving);

/* Called when the certificates of the section, which has an OCSPstaple, are others. */
typedef void renewal_fn(void *arg, size_t section);

/* In a worker, or in the OCSP fetcher: where it gets them from. */
struct renewal_intake {
	struct config *config;
	int fd;
	renewal_fn *renewed; /* in the fetcher; else NULL */
	void *arg;
	uv_poll_t poll;
};

/* config and fd are set, and renewed with its arg; fd stays the caller's, -1: there is none. */
void renewal_open(struct renewal_intake *intake, uv_loop_t *loop);
void renewal_close(struct renewal_intake *intake);

#endif
