/* SPDX-License-Identifier: ISC */
#ifndef ADMIT_H
#define ADMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "conn/pace.h"
#include "conn/tally.h"
#include "core/facts.h"
#include "sys/board.h"

/*
 * How many connections a worker may hold. What its descriptors allow is a matter of waiting: it
 * accepts nothing more until a connection ends. So is how fast a service may begin handshakes. What
 * maxConnections allows, of a service or of the whole process, or maxConnectionsPerIP of a client,
 * is a matter of turning away.
 */

/* What is logged, each once a second at most. */
enum admit_matter { ADMIT_LIMIT = 0, ADMIT_PER_IP, ADMIT_PACE, ADMIT_MATTERS };

struct admit_lull {
	uv_timer_t second; /* runs for a second after a line */
	unsigned untold;   /* how often there would have been another one meanwhile */
	const char *what, *unit;
};

struct admit {
	struct board *board; /* of the generation; this worker has the row `worker` */
	size_t worker;
	uint32_t max; /* connections of all workers of all generations; 0: any number */
	size_t room;  /* connections that this worker's descriptors allow */
	size_t held;  /* connections of this worker now */
	struct admit_lull lull[ADMIT_MATTERS];
	uint64_t full_told; /* when admit_full() last logged, in milliseconds; 0: never */
};

/* How many connections clients may have whose addresses begin with the same bits. */
struct admit_per_ip {
	uint32_t max; /* 0: any number */
	uint8_t v4_bits, v6_bits;
};

#define ADMIT_V4_BITS 32
#define ADMIT_V6_BITS 64 /* what a network's owner has is all of one client */

/* Of one service; the service that accepts counts, whatever a server name leads to. */
struct admit_service {
	uint32_t max; /* 0: any number */
	struct admit_per_ip per_ip;
	uint32_t per_second; /* 0: any number */
	size_t column;	     /* on the board */
};

/*
 * Makes, once, the secret by which clients are counted. Before the first fork of a process that
 * does: all workers must have the same one. False: there is no randomness.
 */
bool admit_seed(void);

/* Begins with no room: the caller sets a->room. The board must outlive *a. */
void admit_open(struct admit *a, uv_loop_t *loop, struct board *board, size_t worker, uint32_t max);
void admit_close(struct admit *a);

/*
 * For how many connections RLIMIT_NOFILE leaves descriptors, beside those that this process has
 * open and `spare` more for what comes and goes.
 */
size_t admit_room(size_t spare);

/* Before accept(2): whether there are descriptors for one more. */
bool admit_has_room(const struct admit *a);

/* Logs, once a second at most, that clients wait because the worker has no room. */
void admit_full(struct admit *a);

/* Counts an accepted connection; false: it is one too many, which is logged, and not counted. */
bool admit_enter(struct admit *a, const struct admit_service *service, const char *name);

/*
 * Counts an admitted connection for its client; false: it is one too many, which is logged, and not
 * counted. *key is for admit_left(); 0: it is not counted, as the service has no such limit, or the
 * client no address. rejected: the counter of those that are one too many.
 */
bool admit_client(struct admit *a, const struct admit_service *service, const char *name,
		  const struct facts_addr *client, tally_counter *rejected, uint64_t *key);
void admit_left(struct admit *a, uint64_t key);

/*
 * Before accept(2): milliseconds until the service may begin another handshake, which is logged, or
 * 0; and behind it, that one begins.
 */
uint64_t admit_wait(struct admit *a, const struct admit_service *service, const char *name,
		    const pace *handshakes);
void admit_handshake(const struct admit_service *service, pace *handshakes);

/* Counts a connection no more, since it has ended; true if the worker had no room until now. */
bool admit_leave(struct admit *a, const struct admit_service *service);

#endif
