/* SPDX-License-Identifier: ISC */
#ifndef CONN_SERVICE_H
#define CONN_SERVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "conn/access.h"
#include "conn/admit.h"
#include "conn/spare.h"
#include "conn/step.h"
#include "core/service.h"
#include "negotiate/negotiation.h"
#include "sys/net.h"
#include "sys/program.h"
#include "tls/ctx.h"

struct conn_service;
struct resolve_set;
struct tallies;

enum conn_failover {
	CONN_PRIORITY = 0, /* every connection tries the targets from the first one on */
	CONN_ROUND_ROBIN,
};

/* `logId`: what is in the brackets of a log line. */
enum conn_log_id {
	CONN_LOG_SEQUENTIAL = 0, /* a number for each connection of the daemon */
	CONN_LOG_UNIQUE,	 /* random letters and digits */
	CONN_LOG_PROCESS,	 /* the worker's process id */
};

/* `transparent`; bits. */
enum conn_transparent {
	CONN_FROM_CLIENT = 1,	 /* backs come from the client's address */
	CONN_TO_DESTINATION = 2, /* and go to where the client meant to go */
};

/* Seconds; 0 expires at once, a negative value never. */
struct conn_timeouts {
	int busy;    /* the TLS handshake, with either side */
	int resolve; /* the look-up of names */
	int connect; /* each attempt to connect */
	int answer;  /* from a request's end to the end of its answer's head */
	int idle;    /* no byte in either direction */
	int close;   /* after one direction has ended */
	int ocsp;    /* a responder's answer about the peer's certificate */
};

/*
 * Where backs lead: to addresses, or to names that are looked up for each connection; and the plan
 * that takes a back there, from the choice of a target to a connection.
 */
struct conn_route {
	struct net_addrs targets;
	struct backend **backend; /* of each target, NULL for one not told apart; or NULL */
	const char *const *names; /* looked up for each connection; NULL: `targets` it is */
	size_t name_count;
	struct resolve_set *resolve_set; /* of names; NULL before a worker's first look-up */
	_Atomic size_t *turn; /* counts connections for CONN_ROUND_ROBIN; workers share it */
	bool blind;	      /* bytes pass unseen, whatever the service needs */
	struct step_plan plan;
	struct spares spares; /* of a worker's, which wait for requests of any client */
};

/* Where connections go whose ends have agreed on a protocol (RFC 7301). */
struct conn_alpn {
	const char *protocol;
	const char *target; /* as written */
	bool raw;	    /* with the client's TLS, which offers nothing else */
	struct conn_route route;
};

/* A service that a server name leads to. */
struct conn_sni {
	const char *pattern; /* a whole name, or `*` and what the name must end in */
	struct conn_service *service;
};

/* What connections know of a service; what a worker changes in it, other workers do not see. */
struct conn_service {
	const char *name;
	size_t index; /* in the configuration */
	struct admit_service admit;
	struct tallies *tallies;      /* the process's, not the configuration's */
	const struct service *policy; /* what a patched stock can be told as well */
	int log_level;
	unsigned log_id;      /* enum conn_log_id */
	bool libwrap;	      /* clients are judged by the rules of hosts_access(5) */
	const char *ident;    /* who clients must be to their hosts (RFC 1413); NULL: anybody */
	bool client;	      /* TLS is the back's, and the front is plain */
	const char *protocol; /* what is said before bytes flow; NULL: nothing */
	struct negotiation_options negotiation;
	struct program program; /* of `exec`; its path is NULL: none */
	bool program_calls;	/* it is the client, and else what stands in place of targets */
	int retry_ms;		/* after its end it is started again; negative: it is not */
	struct tls_ctx *tls;
	/* It, or one that a server name leads to, asks others in the middle of handshakes. */
	bool asks;
	struct net_addr sessiond; /* the daemon that keeps sessions, if `tls` has somebody do it */
	int ocsp_seconds; /* for which the answers of all responders are awaited, as a timeout */
	struct service_needs needs;
	struct conn_timeouts timeout;
	bool hears_first;      /* nothing is said or asked before the client's first byte */
	struct step_plan plan; /* of fronts, from the accepted socket to its close */
	struct conn_route route;
	struct conn_route redirect; /* of clients that are not authenticated, if `redirects` */
	bool redirects;
	struct conn_alpn *alpn; /* in the order of the file; the others take `route` */
	size_t alpn_count;
	bool passes; /* it, or one that a server name leads to, has one that is raw */
	bool reset;  /* an end by force is told by RST instead of FIN */
	enum conn_failover failover;
	struct spare_limits spare;
	unsigned transparent;	/* enum conn_transparent */
	struct net_addrs local; /* from which backs come, the first of a target's family; or none */
	const struct net_options *options;
	struct conn_sni *sni; /* in the order of the file: the first that matches counts */
	size_t sni_count;
	/* The same: whole names by their text, and behind them those with `*` in order. */
	const struct conn_sni **sni_by_name;
	size_t sni_whole;
	const struct access_log *access; /* NULL: none */
	bool send_proxy;
	bool proxy_warned; /* that TLVs were left out was logged */
};

#endif
