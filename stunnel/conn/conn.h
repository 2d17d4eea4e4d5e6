/* SPDX-License-Identifier: ISC */
#ifndef CONN_H
#define CONN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "conn/access.h"
#include "conn/admit.h"
#include "conn/back.h"
#include "conn/front.h"
#include "conn/health.h"
#include "conn/relay.h"
#include "conn/service.h"
#include "conn/step.h"
#include "core/h1.h"
#include "sys/log.h"
#include "sys/net.h"
#include "sys/resolve.h"

/*
 * Joins a front with its current back through the relay. The plans of both say in which order they
 * come about, and the back's goes first while it is not through: a step of the front's that opens
 * one is done when its back is ready.
 */

/* Which ends an event came for; bits. */
enum conn_event {
	CONN_FRONT_READ = 1,
	CONN_FRONT_WRITE = 2,
	CONN_BACK_READ = 4,
	CONN_BACK_WRITE = 8,
	CONN_ALL_EVENTS = 15,
};

/* What all workers of all generations share: one mapping, made before the first fork. */
struct conn_shared {
	_Atomic uint64_t serial; /* of connections */
	uint64_t start;		 /* random: tells one start of the daemon from another */
	struct health health;	 /* of the backends */
};

/* All connections of one worker. */
struct conn_pool {
	uv_loop_t *loop;
	struct relay_scratch scratch;
	struct conn_shared *shared;
	struct resolve resolve;
	struct admit admit;
	struct conn *first;
	struct conn *dead;  /* to be reaped before the loop sleeps */
	struct back *ended; /* to be freed then */
	struct conn *again; /* to be run again before the loop sleeps */
	uv_prepare_t reaper;
	uv_idle_t busy;
	/* After a connection is gone. room: there was none for another one until now. */
	void (*on_end)(void *owner, bool room);
	void *owner;
};

/*
 * out_cap: the largest h1_out_min() of the services. False without memory. Nothing is admitted
 * before admit_open().
 */
bool conn_pool_open(struct conn_pool *pool, uv_loop_t *loop, size_t out_cap,
		    struct conn_shared *shared);

/*
 * Ends all connections at once, without a word in the log, as at a termination: what is under way
 * is cut. The loop must run on until the handles are closed, and only then may the pool be freed.
 */
void conn_pool_close(struct conn_pool *pool);
void conn_pool_free(struct conn_pool *pool);

/* Begins to serve an accepted socket, which it owns from here on, unless maxConnections forbids. */
void conn_open(struct conn_pool *pool, struct conn_service *service, int fd,
	       const struct net_addr *peer);

/* --- for the steps ---------------------------------------------------------------------------- */

/* What a connection's log has been told already; bits. */
enum conn_told {
	CONN_TOLD_REFUSAL = 1,
	CONN_TOLD_ANSWER = 2, /* that cannot be framed */
};

struct conn {
	struct conn_pool *pool;
	struct conn *next, *previous; /* of the pool */
	struct conn *next_dead, *next_again;
	struct conn_service *service;
	struct conn_service *accepted; /* the one that accepted it, before SNI */
	uint64_t serial;
	struct front front;
	struct back *back; /* NULL: none */
	struct relay relay;
	struct h1 h1;
	struct h1_clock head;
	struct exchanges exchanges;
	uv_timer_t timer;
	uint64_t armed;	      /* when the timer fires; UINT64_MAX: never */
	uint64_t active;      /* last time that an event came */
	int references;	      /* of libuv's timer and of the list `again`; the last one frees */
	unsigned told;	      /* enum conn_told */
	enum step_result end; /* STEP_WAIT as long as it lives; then CLOSE, CUT or RESET */
	bool in_again;
};

/* A line of the connection's, if its service's threshold lets it through. */
#define conn_log(c, level, ...)                                                                   \
	do {                                                                                      \
		if ((level) <= (c)->service->log_level)                                           \
			log_line((c)->service->log_level, conn_id(c).text, (level), __VA_ARGS__); \
	} while (0)

struct conn_id {
	char text[24];
};
struct conn_id conn_id(const struct conn *c);

uint64_t conn_now(const struct conn *c);

/* A deadline: a negative number of seconds is none. */
uint64_t conn_after(uint64_t since, int seconds);

/* What to wait for on a side, beside the client's leaving; nothing if it has no socket. */
void conn_wait(struct conn *c, enum relay_side side, bool read, bool write);

/* Waits for what the relay wants. */
void conn_wait_relay(struct conn *c);

/* Begins a back, whose plan runs before the front's goes on; false without memory. */
bool conn_back_begin(struct conn *c);

/* Ends the back that there may be: closed at once, its memory stays until the loop sleeps. */
void conn_back_end(struct conn *c, enum end_close how);

/* The front goes on with a step of its plan, or with another plan; to be returned by a step. */
enum step_result conn_go_to(struct conn *c, const struct step *step);
enum step_result conn_follow(struct conn *c, const struct step *const *plan);

/* Another service's from here on; the front is at the same step, which both plans have. */
void conn_switch(struct conn *c, struct conn_service *service);

#endif
