/* SPDX-License-Identifier: ISC */
#ifndef HANDSHAKE_H
#define HANDSHAKE_H

#include "conn/conn.h"
#include "tls/tls.h"

/* What the steps tls_accept and tls_connect have in common: TLS begins on an end. */

/* Of struct tls_calls; the owner is the connection. */
void handshake_say(void *conn, int level, const char *text);
bool handshake_ask(void *conn, const struct stack_st_X509 *chain);
bool handshake_remote(void *conn, const struct tls_remote *request);

/* Gives the end its TLS; false without memory. */
bool handshake_begin(struct conn *c, struct end *end, const struct tls_calls *calls);

/*
 * Goes on, as tls_handshake() with the pool's `why`. At TLS_AGAIN the connection waits: for the
 * socket, or for the answer of an OCSP responder or of the daemon that keeps sessions.
 */
int handshake_run(struct conn *c, struct end *end);

/* Counts a handshake that handshake_run() has ended with this result, or 1: it is not accepted. */
void handshake_failed(struct conn *c, const struct end *end, int result);

/* Counts a handshake, and logs what was agreed, behind `done`. */
void handshake_done(struct conn *c, const struct end *end, const char *done);

/* The deadline of the peer, or of whom is asked. since: when the step began. */
uint64_t handshake_deadline(const struct conn *c, uint64_t since);

/*
 * Behind the deadline. True: whom is asked is late, which is an answer, too; the step is to run on.
 * False, and logged: the peer is late.
 */
bool handshake_expired(struct conn *c, struct end *end);

#endif
