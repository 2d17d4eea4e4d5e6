/* SPDX-License-Identifier: ISC */
#ifndef STRICT_H
#define STRICT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A second opinion: reads what the core wrote as a backend does that forgives nothing, and aborts
 * at the first byte that is out of order. Shares no code with the core.
 */

/* What X-Forwarded-For must look like in every request. */
enum strict_mode {
	STRICT_REPLACE = 0, /* ours, once, and nothing else by that name or an alias */
	STRICT_CHAIN,	    /* one line, whose last element is ours */
	STRICT_APPEND,	    /* the last line is ours; no alias */
	STRICT_ANY,	    /* no word about it */
	STRICT_RAW,	    /* as STRICT_REPLACE, and a target may hold bytes from 0x80 on */
};

struct strict_read {
	size_t requests;
	bool complete; /* the last one */
};

/*
 * Requests one after another; only the last one may be incomplete, and only in its body. tunnel:
 * one begins behind them, so that the last one must be complete and have asked for it.
 */
struct strict_read strict_requests(const char *p, size_t len, enum strict_mode mode, const char *ip,
				   bool tunnel);

/* A single head; returns its length. */
size_t strict_head(const char *p, size_t len, enum strict_mode mode, const char *ip);

#endif
