/* SPDX-License-Identifier: ISC */
#ifndef END_H
#define END_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "tls/tls.h"

/*
 * One of the two ends that a connection joins: a non-blocking socket, or a descriptor to read from
 * and one to write to, plain or with TLS on it. Whoever moves bytes sees no difference. Knows
 * readiness, not the event loop.
 */

/* What is known of the peer; only ever moves on. */
enum end_state {
	END_LIVE = 0,
	END_LEFT,   /* the peer has hung up: what has arrived is all that will */
	END_BROKEN, /* a write to the peer has failed: it takes nothing more */
};

struct end {
	int fd;	 /* that is read from; -1: none (yet, or any more) */
	int out; /* that is written to: fd, or a second one, as of a pair of pipes */
	enum end_state state;
	bool program;	 /* whose exit is an end like any other, whatever it has not read */
	struct tls *tls; /* owned; NULL: plain, or before its handshake */
};

/* What the peer is to make of the end of its bytes. */
enum end_close {
	END_WHOLE = 0, /* the peer has got all of them */
	END_CUT,       /* it has not, and must not take what it has for all */
	END_RESET,     /* as END_CUT, and bytes under way need not arrive */
	END_FIN,       /* as END_CUT, but even a plain socket ends without a reset */
};

/* The plain end that is one descriptor, for both directions. */
static inline struct end end_of(int fd)
{
	return (struct end){.fd = fd, .out = fd};
}

/* As tls_read() and tls_write(); TLS_END is a FIN as well, and a plain socket is never TLS_CUT. */
ssize_t end_read(struct end *e, char *p, size_t len, char why[static TLS_WHY_MAX]);
ssize_t end_write(struct end *e, const char *p, size_t len, char why[static TLS_WHY_MAX]);

/* As tls_flush(); always 1 for a plain end, which keeps nothing. */
int end_flush(struct end *e, char why[static TLS_WHY_MAX]);

/* Tells the peer by close_notify or FIN that nothing more comes; false: again when writable. */
bool end_shutdown(struct end *e);

/* Goes on without TLS, of which nothing was sent yet. */
void end_make_plain(struct end *e);

/*
 * Tells the peer what `how` says, closes its descriptors, if any, and frees its TLS: fd is -1 then.
 */
void end_close(struct end *e, enum end_close how);

/* Whether written bytes wait for the socket: no more are taken until they have gone. */
static inline bool end_keeps(const struct end *e)
{
	return e && e->tls && tls_keeps(e->tls);
}

/* Whether a flight waits for what is written next, or for end_flush(). */
static inline bool end_holds(const struct end *e)
{
	return e && e->tls && tls_holds(e->tls);
}

/* Whether TLS must read before it can write; tls_midway() says why. */
static inline bool end_midway(const struct end *e)
{
	return e && e->tls && tls_midway(e->tls);
}

/* Whether TLS holds bytes of the socket that no event will tell of. */
static inline bool end_pending(const struct end *e)
{
	return e && e->tls && tls_pending(e->tls);
}

/* Whether there is a socket; NULL: none. */
static inline bool end_is_open(const struct end *e)
{
	return e && e->fd >= 0;
}

#endif
