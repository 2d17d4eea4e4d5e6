/* SPDX-License-Identifier: ISC */
#ifndef TLS_IO_H
#define TLS_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "tls_ctx.h"
#include "tls_facts.h"

struct ssl_st;

/*
 * The server name asks for a context: returns the one to go on with, which may be the present
 * one. name is NULL if the client sent none.
 */
typedef struct tls_ctx *tls_choose_fn(void *owner, const char *name);

/* What the owner of a connection does for its TLS. */
struct tls_calls {
	tls_choose_fn *choose;
	void (*say)(void *owner, int level, const char *text); /* a line for its log */
};

/* One connection's TLS over a non-blocking socket, which stays the caller's. Zeroed: none. */
struct tls {
	struct ssl_st *ssl;
	const struct tls_calls *calls;
	void *owner;
	struct tls_kept kept;  /* what the connection's facts point at */
	char *sni;	       /* what the ClientHello named, or NULL */
	bool failed;	       /* after a fatal error no close_notify may be sent */
	bool read_wants_write; /* the last tls_read() waits until the socket can be written */
};

/* Beside a count of bytes. */
enum {
	TLS_AGAIN = -1, /* wait for the socket */
	TLS_END = 0,	/* close_notify came */
	TLS_CUT = -2,	/* the peer's socket ended without one */
	TLS_FAILED = -3,
};

/* Begins on fd; false if memory ran out. `tls` must not move any more. */
bool tls_open(struct tls *tls, struct tls_ctx *ctx, int fd, const struct tls_calls *calls,
	      void *owner);
void tls_free(struct tls *tls);

/* 1: done; else one of the above, with the reason of a failure as stock words it in why. */
int tls_accept(struct tls *tls, char why[static TLS_WHY_MAX]);

/* Bytes read or written, at least 1, or one of the above with the reason of TLS_FAILED in why. */
ssize_t tls_read(struct tls *tls, char *p, size_t len, char why[static TLS_WHY_MAX]);
ssize_t tls_write(struct tls *tls, const char *p, size_t len, char why[static TLS_WHY_MAX]);

/* Sends close_notify: 1 when it is on its way, TLS_AGAIN, or TLS_FAILED. */
int tls_shutdown(struct tls *tls);

/* Bytes that were taken from the socket and not read yet: no poll event will tell of them. */
bool tls_pending(const struct tls *tls);

/* Whether the call that has just returned TLS_AGAIN waits for the socket to be writable. */
bool tls_wants_write(const struct tls *tls);

#endif
