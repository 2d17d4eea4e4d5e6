/* SPDX-License-Identifier: ISC */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "core/errors.h"
#include "core/facts.h"
#include "core/h1.h"
#include "core/template.h"

/*
 * The lines of access logs: what is known of a request and its response, when both have passed or
 * the connection has ended. Where a line goes is the carrier's to say; patches/ is the other one.
 */

#define EXCHANGE_LINE_MAX 65535 /* no line of a format that is taken is longer */

/* Holds no pointer, so a plain copy is an independent one. */
struct exchange_format {
	enum template_place place;
	struct template line;
	struct template_pool pool;
	bool traces; /* it tells of traces */
};

/*
 * Compiles `combined`, `json` or a template; one that begins with `{` is JSON, and its values are
 * escaped so. NULL, or a static text that says what is wrong: then *format is of no use.
 */
const char *exchange_format(struct exchange_format *format, const char *text);

/* Bytes of the longest line of a format. */
size_t exchange_line_max(const struct exchange_format *format);

struct exchange; /* one request, until it is answered */
struct exchanges;

/* What the carrier does with exchanges. */
struct exchange_sink {
	/* An exchange is over: exchange_put() makes its line, until this call returns. */
	void (*done)(void *owner, struct exchanges *all, const struct exchange *exchange);
	/* There is no memory for an exchange: no more of the connection's are told. */
	void (*lost)(void *owner);
};

/* The other end, as far as exchanges tell of it. Zeroed: nothing is known. */
struct exchange_back {
	uint64_t since;	  /* microseconds of the monotonic clock: when it was wanted; 0: unknown */
	uint64_t connect; /* microseconds until it was there, for the next request; 0: none */
	size_t len;
	char text[TEMPLATE_BACKEND_MAX]; /* its address */
};

/* The exchanges of one connection. Zeroed: none is logged, and exchange_end() has nothing to do. */
struct exchanges {
	const struct exchange_format *format;
	struct h1 *h1;
	const struct exchange_sink *sink;
	void *owner;
	struct span service;
	struct exchange_back back;
	struct exchange *first, **last;
	time_t clock_second; /* that the text in `clock` stands for */
	size_t clock_len;
	char clock[40];
};

/*
 * Watches the conversation of h1 from here on. All that the pointers point to must outlive *all,
 * and so must the service's name. What is known of the back stays.
 */
void exchange_begin(struct exchanges *all, const struct exchange_format *format,
		    const struct exchange_sink *sink, void *owner, struct h1 *h1,
		    struct span service);

/* A backend connection is wanted; there is none from now on. Also before exchange_begin(). */
void exchange_connecting(struct exchanges *all);

/* It is there: `address` is a text, which is copied. */
void exchange_connected(struct exchanges *all, struct span address);

/* The one of other clients is, which took no time. */
void exchange_reused(struct exchanges *all, struct span address);

/* Our answer to `error` is the next response that the client gets. */
void exchange_answer(struct exchanges *all, enum error error);

/* The connection is over: requests without an answer are told as well, and memory is freed. */
void exchange_end(struct exchanges *all);

/* Appends the line of an exchange, without CR or LF; out->full if there was no room. */
void exchange_put(struct exchanges *all, const struct exchange *exchange, struct out *out);

#endif
