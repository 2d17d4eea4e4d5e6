/* SPDX-License-Identifier: ISC */
#ifndef END_H
#define END_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "tls/tls.h"

/*
 * One of the two ends that a connection joins: a non-blocking socket, plain or with TLS on it. All
 * who move bytes see no difference. Knows readiness, not the event loop.
 */

/* What is known of the peer; only ever moves on. */
enum end_state {
	END_LIVE = 0,
	END_LEFT,   /* it has hung up: no more bytes will arrive than have already */
	END_BROKEN, /* a write to it has failed: it takes nothing more */
};

struct end {
	int fd; /* -1: none (yet, or any more) */
	enum end_state state;
	struct tls *tls; /* owned; NULL: plain, or before its handshake */
};

/* What the peer is to make of the end of its bytes. */
enum end_close {
	END_WHOLE = 0, /* it has got all of them */
	END_CUT,       /* it has not, and must not take them for all */
	END_RESET,     /* the same, and what is under way need not arrive */
};

/* Bytes, or TLS_AGAIN, TLS_END, TLS_CUT, or TLS_FAILED with the reason in why. */
ssize_t end_read(struct end *e, char *p, size_t len, char why[static TLS_WHY_MAX]);
ssize_t end_write(struct end *e, const char *p, size_t len, char why[static TLS_WHY_MAX]);

/* As tls_flush(); a plain end keeps nothing. */
int end_flush(struct end *e, char why[static TLS_WHY_MAX]);

/* Tells the peer that nothing more comes; false if that has to wait for the socket. */
bool end_shutdown(struct end *e);

/* Says goodbye as `how` asks for, closes the socket and frees what lay on it. */
void end_close(struct end *e, enum end_close how);

/* Whether bytes that were written wait for the socket: nothing more is taken until they have gone.
 */
static inline bool end_keeps(const struct end *e)
{
	return e && e->tls && tls_keeps(e->tls);
}

/* Whether TLS must read before it can write. */
static inline bool end_midway(const struct end *e)
{
	return e && e->tls && tls_midway(e->tls);
}

/* Whether bytes were taken from the socket that no event will tell of. */
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
