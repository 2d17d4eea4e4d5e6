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
#include "conn/flight.h"
#include "conn/front.h"
#include "conn/health.h"
#include "conn/questions.h"
#include "conn/relay.h"
#include "conn/requests.h"
#include "conn/service.h"
#include "conn/spare.h"
#include "conn/step.h"
#include "conn/tally.h"
#include "conn/watch.h"
#include "core/h1.h"
#include "sys/log.h"
#include "sys/net.h"
#include "sys/resolve.h"

/*
 * A connection: a front, its current back, and the relay between them. At each event one step runs,
 * of the back's plan until that is through, else of the front's: so the front's step behind
 * open_back begins when the back is ready. conn/steps/NAME.[ch] are the step NAME_step.
 */

/* Readiness of the two sockets; bits. */
enum conn_event {
	CONN_FRONT_READ = 1,
	CONN_FRONT_WRITE = 2,
	CONN_BACK_READ = 4,
	CONN_BACK_WRITE = 8,
	CONN_ALL_EVENTS = 15,
};

/* What all workers of all generations share: one mapping, made before the first fork. */
struct conn_shared {
	_Atomic uint64_t serial; /* of the next connection */
	uint64_t start;		 /* random: tells one start of the daemon from another */
	struct health health;	 /* which backends failed lately */
};

/* All connections of one worker. */
struct conn_pool {
	uv_loop_t *loop;
	struct watch_set watches;
	struct relay_scratch scratch;
	struct conn_shared *shared;
	struct resolve resolve;
	struct inquiry revocation, libwrap; /* opened and closed by the worker */
	struct sessiond sessiond;	    /* likewise */
	struct admit admit;
	bool draining;	      /* by conn_pool_drain() */
	struct conn *first;   /* all connections, the newest first */
	struct conn *to_list; /* the next one that a list of them will have; NULL: no list */
	struct conn *dead;    /* ended connections, reaped before the loop sleeps */
	struct back *ended;   /* ended backs, freed before the loop sleeps */
	struct spare_set spares;
	struct conn *again; /* connections to be run again before the loop sleeps */
	/*
	 * Called when a connection that the service had accepted has been freed. room: the worker
	 * was full until now.
	 */
	void (*on_end)(void *owner, const struct conn_service *accepted, bool room);
	void *owner;
};

/*
 * Fills *pool, whatever it held. out_cap: bytes, the largest h1_out_min() of the services. False
 * without memory: the worker cannot serve. admit_open() for pool->admit has to follow.
 */
bool conn_pool_open(struct conn_pool *pool, uv_loop_t *loop, size_t out_cap,
		    struct conn_shared *shared);

/*
 * Ends all connections at once, without a line in the log, as at a termination: exchanges under way
 * are cut. conn_pool_free() may be called when the loop has run on until all handles are closed.
 */
void conn_pool_close(struct conn_pool *pool);
void conn_pool_free(struct conn_pool *pool);

/*
 * HTTP clients are told from now on that their next answer is the last. conn_pool_rest() closes
 * those that ask for none, two seconds after their last byte: one that has just sent a request,
 * which is under way to us, loses it otherwise.
 */
void conn_pool_drain(struct conn_pool *pool);

void conn_pool_rest(struct conn_pool *pool);

/* Backends' connections are not shared any more: those that wait are closed. */
void conn_pool_unshare(struct conn_pool *pool);

/*
 * Runs the connections that asked for it, and frees what has ended. Whoever runs the loop calls it
 * each time before it sleeps; true: it must not sleep, as connections wait to be run again.
 */
bool conn_pool_settle(struct conn_pool *pool);

/*
 * Serves a client's end, and owns it. peer: of an accepted socket; NULL: the client has no address.
 * False, with the end closed, if there is no room or memory: then on_end() is not called.
 */
bool conn_open(struct conn_pool *pool, struct conn_service *service, struct end *end,
	       const struct net_addr *peer);

/* --- for the steps ---------------------------------------------------------------------------- */

struct conn {
	struct conn_pool *pool;
	struct conn *next, *previous; /* in the pool's list of all */
	struct conn *next_dead, *next_again;
	struct conn_service *service;
	struct conn_service *accepted; /* the one before SNI, whose socket accepted */
	struct conn_route *route;      /* where its backs lead; of `service` */
	uint64_t serial;
	uint64_t client_key; /* of admit_client() */
	char id[24];	     /* in the log, as `logId` says */
	struct front front;
	struct back *back;		 /* NULL: none */
	struct negotiation *negotiation; /* while a step negotiates; else NULL */
	struct relay relay;
	struct h1 h1;
	struct h1_clock head;	/* since when a request head is incomplete */
	struct h1_clock answer; /* since when an answer is awaited, of steps/transfer */
	struct exchanges exchanges;
	struct tally *tally; /* of `service` */
	struct requests requests;
	uint64_t counted[TALLY_WAYS]; /* bytes that `tally` has */
	struct flight flight;
	struct questions *questions; /* NULL: it has not asked anything; by conn_questions() */
	uv_timer_t timer;
	uint64_t armed;	      /* when the timer fires, on conn_now()'s clock; UINT64_MAX: never */
	uint64_t active;      /* when the last event came */
	uint64_t began;	      /* when it was accepted */
	int references;	      /* held by libuv's timer and the list `again`; the last one frees */
	uint32_t mended;      /* h1_answer_mended() of what was logged */
	enum error told;      /* the refusal that was logged last */
	enum step_result end; /* STEP_WAIT: lives; else STEP_CLOSE, _CUT, _RESET or _LEAVE */
	bool in_again;
	bool has_peer;	/* an accepted socket, whose client has an address */
	bool dismissed; /* of its end one line was told, which is all */
	bool announced; /* that it was accepted is in the log, or is not to be */
};

/* To ask something; NULL without memory. */
struct questions *conn_questions(struct conn *c);

/* Counts the connection for its client, who is known now; false: that is one too many. */
bool conn_admit(struct conn *c);

/* Logs, once, that the connection was accepted: before any other line under its id. */
void conn_announce(struct conn *c);

/*
 * The client has ended before its first byte, as a balancer's check does: one line tells of it, and
 * none that it was accepted or closed. False, and nothing is logged, if more was told already.
 */
bool conn_dismiss(struct conn *c);

/* Logs a line under the connection's id, if the service's `debug` lets the level through. */
#define conn_log(c, level, ...)                                                           \
	do {                                                                              \
		if ((level) <= (c)->service->log_level) {                                 \
			conn_announce(c);                                                 \
			log_line((c)->service->log_level, (c)->id, (level), __VA_ARGS__); \
		}                                                                         \
	} while (0)

/* Milliseconds of the loop's monotonic clock, as of the events that are handled now. */
uint64_t conn_now(const struct conn *c);

/* The deadline that many seconds after `since`; UINT64_MAX, never, if they are negative. */
uint64_t conn_after(uint64_t since, int seconds);

/* Whether the back runs, being not through its plan, or else the front. */
static inline bool conn_back_runs(const struct conn *c)
{
	return c->back && *c->back->at.current;
}

/* When the step that runs began; it can begin anew, as far as its deadline is concerned. */
uint64_t conn_since(const struct conn *c);
void conn_begin_anew(struct conn *c);

/* Waits for a side's socket, if open, and for the client's leaving; closes *c without memory. */
void conn_wait(struct conn *c, enum relay_side side, bool read, bool write);

/* Waits on both sides for what relay_wants(), or runs again soon after a relay that stopped. */
void conn_wait_relay(struct conn *c);

/* Begins a back, whose plan runs before the front's goes on. False without memory: no back. */
bool conn_back_begin(struct conn *c);

/* Begins a back with a plan of its own. */
bool conn_back_follow(struct conn *c, const struct step *const *plan);

/* Closes the back, if any; its memory stays until the loop sleeps, as its own step may call. */
void conn_back_end(struct conn *c, enum end_close how);

/* The front goes on at a step of its plan, or with another plan. A step returns the result. */
enum step_result conn_go_to(struct conn *c, const struct step *step);
enum step_result conn_follow(struct conn *c, const struct step *const *plan);

/* Adds the bytes that have passed since the last call to the counters. */
void conn_count_bytes(struct conn *c);

/* Hands the connection to another service. The front stays at its step, which both plans have. */
void conn_switch(struct conn *c, struct conn_service *service);

#endif
