/* SPDX-License-Identifier: ISC */
#ifndef CONN_H
#define CONN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "conn/access.h"
#include "conn/admit.h"
#include "core/h1.h"
#include "conn/health.h"
#include "core/ip.h"
#include "sys/log.h"
#include "sys/net.h"
#include "core/proxy.h"
#include "conn/relay.h"
#include "conn/service.h"
#include "sys/resolve.h"
#include "core/rewrite.h"
#include "tls/ctx.h"

/*
 * A connection's life is a plan: an array of steps that is compiled from the configuration. A
 * step runs at every event until it says that the next one may begin.
 */

struct conn;

enum conn_result {
	CONN_NEXT,  /* this step is done */
	CONN_WAIT,  /* for an event or the deadline */
	CONN_AGAIN, /* run the current step at once: it may be another one now */
	CONN_CLOSE, /* the connection has ended as it should */
	CONN_CUT,   /* in the middle: neither side is to take what it got for the whole of it */
	CONN_RESET, /* the same, and nothing that is under way needs to arrive */
};

/* Which sides an event came for; bits. */
enum conn_event {
	CONN_CLIENT_READ = 1,
	CONN_CLIENT_WRITE = 2,
	CONN_BACKEND_READ = 4,
	CONN_BACKEND_WRITE = 8,
	CONN_ALL_EVENTS = 15,
};

struct conn_step {
	enum conn_result (*run)(struct conn *c, unsigned events);
	uint64_t (*deadline)(const struct conn *c); /* on conn_now()'s clock; UINT64_MAX: none */
	enum conn_result (*expired)(struct conn *c);
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

/* libuv closes a handle later: a further backend needs another one before that. */
struct conn_poll {
	uv_poll_t *handle; /* NULL: none; owned until its close callback */
	int interest;	   /* that libuv knows of */
};

/* What a connection's log has been told already; bits. */
enum conn_told {
	CONN_TOLD_REFUSAL = 1,
	CONN_TOLD_ANSWER = 2, /* that cannot be framed */
};

/* How far a connection has got with the addresses of its backend; zeroed: not begun. */
struct conn_walk {
	size_t first;	 /* where it began */
	size_t steps;	 /* that were taken, over two rounds */
	size_t at;	 /* the address that is tried now */
	uint64_t passed; /* a bit for each address that has to wait for the second round */
};

struct conn {
	struct conn_pool *pool;
	struct conn *next, *previous; /* of the pool */
	struct conn *next_dead, *next_again;
	struct conn_service *service;
	struct conn_service *accepted; /* the one that accepted it, before SNI */
	uint64_t serial;
	size_t step;
	struct net_addr peer;
	struct tls tls;
	struct h1 h1;
	struct exchanges exchanges;
	struct facts facts;
	char id[FACTS_ID_MAX]; /* facts.conn_id */
	char *early;	       /* the PROXY header that came, or its beginning; facts.tlvs */
	size_t early_len;
	struct relay relay; /* holds the sockets */
	struct conn_poll poll[2];
	uv_timer_t timer;
	uint64_t armed;	 /* when the timer fires; UINT64_MAX: never */
	uint64_t since;	 /* of the step, or of the attempt to connect */
	uint64_t active; /* last time that an event came */
	struct h1_clock head;
	struct net_addrs found; /* targets that were looked up for this connection */
	struct resolve_wait wait;
	struct conn_walk walk;
	int handles;	      /* reference count: libuv's open handles, and lists */
	unsigned told;	      /* enum conn_told */
	enum conn_result end; /* as soon as it is dead: CONN_CLOSE, CONN_CUT or CONN_RESET */
	bool in_again, dead, answered;
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

/* What to wait for on a side, beside the client's leaving; nothing if it has no socket. */
void conn_wait(struct conn *c, enum relay_side side, bool read, bool write);

/* Waits for what the relay wants. */
void conn_wait_relay(struct conn *c);

/* Runs the plan on, as after an event that came from elsewhere. */
void conn_run(struct conn *c, unsigned events);

/* Closes the backend's socket, so that another one can take its place. */
void conn_backend_close(struct conn *c, bool reset);

/* Gives up one of c->handles; the last one frees c. */
void conn_release(struct conn *c);

#endif
