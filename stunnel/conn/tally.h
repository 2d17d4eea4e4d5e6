/* SPDX-License-Identifier: ISC */
#ifndef TALLY_H
#define TALLY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "conn/pace.h"
#include "core/errors.h"
#include "tls/ocsp.h"
#include "tls/tls.h"

/*
 * What has happened to a service since the daemon started: counters in memory that all workers
 * share, made before the first of them is forked. Each worker adds to a slot of its own. A slot
 * outlives its worker and its configuration, so that nothing is lost by a crash or a reload; the
 * next worker of that number, and one that still drains, add to the same one.
 *
 * What is told of the counters is a table in metrics/figures.c: a new counter is a member here, a
 * row there, and the line that adds to it.
 */

typedef _Atomic uint64_t tally_counter;

/* Why a connection that was accepted is not served. */
enum tally_rejection {
	TALLY_LIMIT = 0, /* maxConnections */
	TALLY_PER_IP,	 /* maxConnectionsPerIP */
	TALLY_RESOURCES, /* no memory, or the client had gone already */
	TALLY_LIBWRAP,
	TALLY_IDENT,
	TALLY_PROXY_HEADER,
	TALLY_REJECTIONS
};

/* Requests by what they were answered with. */
enum tally_class {
	TALLY_UNANSWERED = 0, /* the connection ended first */
	TALLY_1XX,	      /* switched to another protocol */
	TALLY_2XX,
	TALLY_3XX,
	TALLY_4XX,
	TALLY_5XX,
	TALLY_CLASSES
};

/* Why a backend could not be connected to. */
enum tally_connect_failure {
	TALLY_CONNECT_REFUSED = 0,
	TALLY_CONNECT_TIMEOUT,
	TALLY_CONNECT_OTHER,
	TALLY_CONNECT_FAILURES
};

/* RFC 8446 6.2, and of RFC 5246 7.2.2 what servers still send. */
#define TALLY_ALERTS(X)                         \
	X(0, close_notify)                      \
	X(10, unexpected_message)               \
	X(20, bad_record_mac)                   \
	X(22, record_overflow)                  \
	X(40, handshake_failure)                \
	X(42, bad_certificate)                  \
	X(43, unsupported_certificate)          \
	X(44, certificate_revoked)              \
	X(45, certificate_expired)              \
	X(46, certificate_unknown)              \
	X(47, illegal_parameter)                \
	X(48, unknown_ca)                       \
	X(49, access_denied)                    \
	X(50, decode_error)                     \
	X(51, decrypt_error)                    \
	X(70, protocol_version)                 \
	X(71, insufficient_security)            \
	X(80, internal_error)                   \
	X(86, inappropriate_fallback)           \
	X(90, user_canceled)                    \
	X(100, no_renegotiation)                \
	X(109, missing_extension)               \
	X(110, unsupported_extension)           \
	X(112, unrecognized_name)               \
	X(113, bad_certificate_status_response) \
	X(115, unknown_psk_identity)            \
	X(116, certificate_required)            \
	X(120, no_application_protocol)

/* Why a handshake came to nothing: an alert, or what did not even bring one. */
enum tally_handshake_failure {
	TALLY_TIMEOUT = 0,
	TALLY_CLOSED, /* the peer has gone */
	TALLY_PLAIN,  /* it does not speak TLS */
	TALLY_OTHER,
#define X(code, name) TALLY_RECEIVED_##name,
	TALLY_ALERTS(X)
#undef X
#define X(code, name) TALLY_SENT_##name,
		TALLY_ALERTS(X)
#undef X
			TALLY_HANDSHAKE_FAILURES
};

/* What becomes of session tickets. */
enum tally_ticket {
	TALLY_TICKET_ISSUED = 0,
	TALLY_TICKET_USED,
	TALLY_TICKET_REFUSED, /* it is not ours, or too old, or of a service that asks for more */
	TALLY_TICKETS
};

/* Of a look into the cache of sessions. */
enum tally_cache { TALLY_CACHE_HIT = 0, TALLY_CACHE_MISS, TALLY_CACHES };

/* What responders are asked about; verdicts are enum tls_ocsp_verdict. */
enum tally_ocsp { TALLY_OCSP_PEER = 0, TALLY_OCSP_STAPLE, TALLY_OCSPS };

#define TALLY_VERDICTS 3

/* Ways of a byte. */
enum tally_way {
	TALLY_TO_BACKEND = 0, /* by enum h1_dir */
	TALLY_TO_CLIENT,
	TALLY_WAYS
};

/* Names of TLS for which there are counters: other ones are added to the last, "other". */
#define TALLY_VERSIONS 5
#define TALLY_CIPHERS 24
#define TALLY_GROUPS 16

/* As their labels are written; the last one is NULL, for "other". */
extern const char *const tally_versions[TALLY_VERSIONS];
extern const char *const tally_ciphers[TALLY_CIPHERS];
extern const char *const tally_groups[TALLY_GROUPS];

/* How long something took: numbers of times of at most so many milliseconds, and their sum. */
#define TALLY_BUCKETS 14

extern const uint32_t tally_bounds[TALLY_BUCKETS]; /* milliseconds */

struct tally_times {
	tally_counter bucket[TALLY_BUCKETS + 1]; /* the last one: longer than all bounds */
	tally_counter sum;			 /* milliseconds */
};

/* What each worker counts of each service. Zeroed: nothing has happened. */
struct tally {
	tally_counter accepted;
	tally_counter rejected[TALLY_REJECTIONS];
	tally_counter waits; /* for maxHandshakesPerSecond */
	tally_counter requests[TALLY_CLASSES];
	tally_counter errors[ERR_COUNT]; /* refused or mended, by enum error */
	tally_counter bytes[TALLY_WAYS];
	tally_counter handshakes[2 * TALLY_VERSIONS]; /* whole ones, then resumed ones */
	tally_counter handshake_failures[TALLY_HANDSHAKE_FAILURES];
	tally_counter ciphers[TALLY_CIPHERS];
	tally_counter groups[TALLY_GROUPS];
	tally_counter tickets[TALLY_TICKETS];
	tally_counter cache[TALLY_CACHES];
	tally_counter ocsp[TALLY_OCSPS * TALLY_VERDICTS]; /* those of peers, then of staples */
	tally_counter connected, reused;
	tally_counter connect_failures[TALLY_CONNECT_FAILURES];
	struct tally_times handshake_times;
	struct tally_times connect_times;
	struct tally_times first_byte_times; /* from a request to the head of its answer, */
	struct tally_times total_times;	     /* and to that one's end */
};

/* What the master counts. */
struct tally_daemon {
	tally_counter started; /* seconds since 1970 */
	tally_counter reloads, failed_reloads;
	tally_counter respawns; /* children that have ended and were to be replaced */
	tally_counter upgrades;
};

/* The slots of one service. */
struct tallies;

/*
 * The slots of a service of that name: zeroed, in memory that processes forked later share, or what
 * the program before this one counted if `layout` is the same (sys/shared). NULL without memory.
 */
struct tallies *tally_new(const char *name, uint64_t layout, size_t slots);
void tally_free(struct tallies *all); /* NULL: nothing */

/* The name of a service that the program before this one counted, and none has asked for; NULL. */
const char *tally_left(uint64_t layout);

/* The slot of a worker, by its number in its generation, which may have more than there are. */
struct tally *tally_slot(struct tallies *all, size_t worker);

/* When the first of the certificates that the service shows expires, in seconds since 1970; 0:
 * none. */
void tally_expire(struct tallies *all, int64_t when);
int64_t tally_expiry(const struct tallies *all);

/* The staple of the service that is the first to end, both in seconds since 1970; 0: none. */
struct tally_staple {
	int64_t since, until;
};

void tally_staple(struct tallies *all, const struct tally_staple *staple);
struct tally_staple tally_stapled(const struct tallies *all);

/* Counts what came of asking a responder. */
void tally_answer(struct tallies *all, enum tally_ocsp about, enum tls_ocsp_verdict verdict);

/* How fast all workers together begin handshakes. */
pace *tally_pace(struct tallies *all);

/* The sum over all slots of the counter at an offset in struct tally. */
uint64_t tally_sum(const struct tallies *all, size_t offset);

/* No other memory depends on a counter, so that none has to be in order with it. */
static inline void tally_add(tally_counter *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline void tally_one(tally_counter *counter)
{
	tally_add(counter, 1);
}

/* Adds a time in milliseconds. */
void tally_time(struct tally_times *times, uint64_t ms);

/* Counts a handshake that has succeeded. */
void tally_handshake(struct tally *t, const struct tls_outcome *outcome);

/* Counts a handshake that failed with this alert. */
void tally_alert(struct tally *t, struct tls_alert alert);

/* Counts a connection to a backend that failed. code: errno, or 0 after TIMEOUTconnect. */
void tally_connect_failed(struct tally *t, int code);

#endif
