/* SPDX-License-Identifier: ISC */
#ifndef CONN_H
#define CONN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "h1.h"
#include "net.h"
#include "relay.h"
#include "rewrite.h"
#include "tls_ctx.h"

/*
 * A connection's life is a plan: an array of steps that is compiled from the configuration. A
 * step runs at every event until it says that the next one may begin.
 */

#define CONN_STEPS_MAX 8

struct conn_step;

enum conn_failover {
	CONN_PRIORITY = 0, /* every connection tries the targets from the first one on */
	CONN_ROUND_ROBIN,
};

/* Seconds; 0 expires at once, a negative value never. */
struct conn_timeouts {
	int busy;    /* the TLS handshake, a name look-up */
	int connect; /* each attempt to connect */
	int idle;    /* no byte in either direction */
	int close;   /* after one direction has ended */
	int request; /* a whole request head */
};

struct conn_service;

/* A service that a server name leads to. */
struct conn_sni {
	const char *pattern; /* exact, or a leading `*` and what the name must end in */
	struct conn_service *service;
};

/* What connections need to know of a service; only `next_target` ever changes after the load. */
struct conn_service {
	const char *name;
	int log_level;
	struct tls_ctx *tls;
	struct conn_timeouts timeout;
	const struct conn_step *plan[CONN_STEPS_MAX]; /* ends with NULL */
	struct net_addrs targets;
	const char *const *target_names; /* to be resolved for each connection; NULL: they are */
	size_t target_name_count;
	enum conn_failover failover;
	size_t next_target;
	struct net_options options;
	struct rewrite rewrite;
	struct h1_limits limits;
	struct conn_sni *sni; /* in the order of the file */
	size_t sni_count;
};

/* Fills service->plan for a TLS server; targets, names and rewrite are set already. */
void conn_plan(struct conn_service *service, bool proxy);

/* Whether requests of the service are parsed. */
bool conn_is_http(const struct conn_service *service);

struct conn;

/* All connections of one worker. */
struct conn_pool {
	uv_loop_t *loop;
	struct relay_scratch scratch;
	_Atomic uint64_t *serial; /* of connections, over all workers */
	size_t count;
	struct conn *first;
	struct conn *dead;  /* to be reaped before the loop sleeps */
	struct conn *again; /* to be run again before the loop sleeps */
	uv_prepare_t reaper;
	uv_idle_t busy;
	void (*on_change)(void *owner); /* after connections are gone */
	void *owner;
};

/* out_cap: the largest h1_out_min() of the services. False without memory. */
bool conn_pool_open(struct conn_pool *pool, uv_loop_t *loop, size_t out_cap,
		    _Atomic uint64_t *serial);

/*
 * Ends all connections at once, without a word in the log, as at a termination; the loop must run
 * on until the handles are closed, and only then may the pool be freed.
 */
void conn_pool_close(struct conn_pool *pool);
void conn_pool_free(struct conn_pool *pool);

/* Begins to serve an accepted socket, which it owns from here on. */
void conn_open(struct conn_pool *pool, struct conn_service *service, int fd,
	       const struct net_addr *peer);

#endif
