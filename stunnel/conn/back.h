/* SPDX-License-Identifier: ISC */
#ifndef BACK_H
#define BACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conn/end.h"
#include "conn/flow.h"
#include "conn/step.h"
#include "conn/watch.h"
#include "sys/net.h"
#include "sys/resolve.h"

/*
 * One life of a connection's other end, from the choice of a target to the close. A connection has
 * one back at a time, and another one after it where its client stays.
 */

/* What the steps look_up and destination keep. */
struct back_names {
	struct net_addrs found; /* the targets, where they are another connection's each */
	struct waiting wait;
};

/* How far the step connect has got with the addresses; zeroed: not begun. */
struct back_walk {
	size_t first;	 /* where it began */
	size_t steps;	 /* that were taken, over two rounds */
	size_t at;	 /* the address that is tried now */
	uint64_t passed; /* a bit for each address that waits for the second round */
	uint64_t since;	 /* when this address was tried */
};

/* What the step of ident keeps. */
struct back_ident {
	size_t len;
	char line[512]; /* that has come; a NUL stays behind it */
};

struct spare;

struct back {
	struct back *next_ended; /* in the pool's list of ended backs */
	struct step_at at;
	struct end end;
	struct watch watch;
	struct back_names names;
	struct back_walk walk;
	struct back_ident *ident; /* NULL: nobody is asked */
	struct flow ahead;	  /* bytes of ours that go before a TLS handshake */
	struct spare *spare;	  /* owned; NULL: no other client was ever to have it */
};

/* A back without a socket, at the plan's first step; NULL without memory. For conn.c to free. */
struct back *back_open(const struct step *const *plan, uint64_t now);

/* Closes the back's socket, if there is one, so that another target can be tried. */
void back_hang_up(struct back *b, enum end_close how);

/* Closes and frees all that the back owns, but not *b, whose own step may be the caller. */
void back_close(struct back *b, enum end_close how);

#endif
