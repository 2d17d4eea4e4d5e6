/* SPDX-License-Identifier: ISC */
#ifndef NEGOTIATION_H
#define NEGOTIATION_H

#include <stdbool.h>
#include <stddef.h>

#include "core/facts.h"
#include "core/out.h"
#include "core/span.h"

/*
 * What is said before the bytes of a connection flow, as `protocol = NAME` asks: STARTTLS and its
 * like. A negotiator is a table of states. Each takes one unit, a line or a number of bytes, from
 * one of the two ends, says what there is to say to either, and names the next state. Nothing here
 * knows a socket: bytes go in one by one, so that none is taken that belongs to TLS or to what
 * comes behind.
 */

#define NEGOTIATION_LINE_MAX 16384 /* bytes of a line without its end */
#define NEGOTIATION_OUT_MAX (NEGOTIATION_LINE_MAX + 2048)
/* Bytes that a side may say in all: they are read one by one, while others wait. */
#define NEGOTIATION_FRONT_MAX (64U << 10)
#define NEGOTIATION_BACK_MAX (2U << 20) /* with the page of a proxy's 407 */

enum negotiation_side {
	NEGOTIATION_FRONT = 0, /* whom we accepted */
	NEGOTIATION_BACK,      /* whom we connected */
};

/* When a negotiator has its say. */
enum negotiation_phase {
	NEGOTIATION_EARLY,   /* server mode, with the client alone, before TLS */
	NEGOTIATION_GREETED, /* server mode, before TLS; the backend, which speaks first, is there
			      */
	NEGOTIATION_ASKED,   /* server mode, behind the handshake, with the client alone */
	NEGOTIATION_PLAIN,   /* client mode, before TLS with the server */
	NEGOTIATION_INSIDE,  /* client mode, behind the handshake */
};

/* What a state returns where it names no next one, and what negotiation_take() returns. */
enum negotiation_result {
	NEGOTIATION_GOES_ON = 0, /* of negotiation_take() only */
	NEGOTIATION_DONE = -1,
	NEGOTIATION_FAILED = -2, /* the connection ends with a reset; `why` tells */
	NEGOTIATION_LEFT = -3,	 /* the connection ends as it should, behind what was said */
};

/* The options of a section; texts may be NULL. */
struct negotiation_options {
	const char *host; /* protocolHost */
	const char *user, *password;
	const char *domain; /* protocolDomain, of NTLM */
	const char *authentication;
	const char *const *header; /* protocolHeader, NULL behind the last one; NULL: none */
};

struct negotiation;

struct negotiation_state {
	enum negotiation_side from;
	unsigned bytes; /* of the unit; 0: a line, or what negotiation_need() said */
	/*
	 * If TLS begins behind this unit nothing may wait behind it: what was sent ahead in plain
	 * text must not count as sent inside TLS (CVE-2011-0411, CVE-2021-23214).
	 */
	bool last;
	/*
	 * The end may have begun TLS, and sends at once where it has: take() gets an empty unit if
	 * so, of which nothing was taken, or else, after 200 ms of silence, NULL for its bytes.
	 */
	bool listens;
	bool seeks; /* nothing of an end: take() finds the addresses that n->goal has */
	int (*take)(struct negotiation *n, struct span unit); /* the next state, or a result */
};

/* A row of the table of protocols: one side's part in one phase. */
struct negotiator {
	const char *protocol;
	enum negotiation_phase phase;
	bool to_http;  /* what comes behind may be HTTP */
	bool chooses;  /* the client names the target: n->found are its addresses at the end */
	bool endpoint; /* as `connect` is: the section has no target of its own */
	/* What it says first, and the first state or a result; NULL: it listens in states[0]. */
	int (*begin)(struct negotiation *n);
	const struct negotiation_state *states;
	/* Why these options are not enough or too many, or NULL; NULL: any will do. */
	const char *(*check)(const struct negotiation_options *options);
	/* Whether there is something to say with these options; NULL: always. */
	bool (*needed)(const struct negotiation_options *options);
};

struct negotiation {
	const struct negotiator *who;
	const struct negotiation_options *options;
	void (*say)(void *owner, int level, const char *text); /* a line for the log */
	void *owner;
	int state;
	size_t need;	 /* bytes of a unit whose length an earlier one told; 0: not told */
	bool secret;	 /* what is said now must not be logged */
	unsigned count;	 /* a negotiator's own, as are the next three; 0 at the begin */
	char kept[1024]; /* a text, NUL-terminated */
	char word[64];
	char target[128]; /* ADDRESS:PORT that the client wanted, if an IP address */
	char goal[272];	  /* HOST:PORT that it names; empty: no host can be called so */
	const struct facts_addr *found; /* addresses of `goal`, while take() has its turn */
	size_t found_count;
	char why[256];
	unsigned taken[2]; /* bytes of each side */
	size_t len;
	char unit[NEGOTIATION_LINE_MAX];
	struct out out[2]; /* for each side: to be written, before anything more is taken */
	char bytes[2][NEGOTIATION_OUT_MAX];
};

/*
 * A negotiation at its beginning, or NULL without memory; `out` may hold what is to be said.
 * target: see there.
 */
struct negotiation *negotiation_open(const struct negotiator *who,
				     const struct negotiation_options *options, const char *target,
				     void (*say)(void *owner, int level, const char *text),
				     void *owner);

/* NULL: nothing. Secrets that were said are wiped. */
void negotiation_close(struct negotiation *n);

/* How it stands: NEGOTIATION_GOES_ON, while it waits for input, or how it ended. */
enum negotiation_result negotiation_result(const struct negotiation *n);

/* The state that waits for input; valid while it goes on. */
static inline const struct negotiation_state *negotiation_now(const struct negotiation *n)
{
	return &n->who->states[n->state];
}

/*
 * Takes a byte of the side negotiation_now()->from. `whole` is set if a unit ended with it: then
 * what stands in `out` has to be written before more is taken.
 */
enum negotiation_result negotiation_take(struct negotiation *n, char byte, bool *whole);

/* A state that `listens` has heard something, of which nothing was taken, or nothing at all. */
enum negotiation_result negotiation_heard(struct negotiation *n, bool something);

/*
 * A state that `seeks` gets the addresses of the goal, which are the caller's; none: `why` tells,
 * for the log.
 */
enum negotiation_result negotiation_found(struct negotiation *n, const struct facts_addr *found,
					  size_t count, const char *why);

/* Fails it for a reason that the negotiator does not see; what was to be said is dropped. */
void negotiation_refuse(struct negotiation *n, const char *why);

/* --- for the negotiators ---------------------------------------------------------------------- */

/* Says the bytes, or a line of printf's format with its CRLF, to a side. */
void negotiation_put(struct negotiation *n, enum negotiation_side to, struct span bytes);
void negotiation_say(struct negotiation *n, enum negotiation_side to, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The next state takes that many bytes, at most NEGOTIATION_LINE_MAX. */
void negotiation_need(struct negotiation *n, size_t bytes);

/* A line for the log, of printf's format; a syslog level. */
void negotiation_log(struct negotiation *n, int level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * The next state, which `seeks`, gets the addresses of the host, which may be a name; none where no
 * host can be called so, or the name is longer than 255 bytes.
 */
void negotiation_seek(struct negotiation *n, struct span host, unsigned port);

/* NEGOTIATION_FAILED, with the reason. */
int negotiation_fail(struct negotiation *n, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Whether a line begins so, in any case of letters. */
bool negotiation_begins(struct span line, const char *beginning);

/* The base64 of the bytes (RFC 4648 4), NUL-terminated; false where `text` has no room. */
bool negotiation_base64(struct span bytes, char *text, size_t cap);

#endif
