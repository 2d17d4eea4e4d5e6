/* SPDX-License-Identifier: ISC */
#ifndef FLIGHT_H
#define FLIGHT_H

#include "core/h1.h"

/*
 * The newest request of one connection, for the list of connections: method and path. A query is
 * left out, since it may hold secrets.
 */

#define FLIGHT_MAX 100 /* bytes of a request that are kept */

/* Zeroed: the connection has no HTTP machine. */
struct flight {
	const struct h1 *h1;
	const struct h1_watch *others; /* who watched before, is told as well; or NULL */
	void *others_owner;
	size_t len;
	char text[FLIGHT_MAX];
};

/* Watches the conversation of h1, beside whoever does already; h1 and *f must outlive it. */
void flight_begin(struct flight *f, struct h1 *h1);

/* The request, with whatever bytes its client sent; empty where no request is in flight. */
struct span flight_request(const struct flight *f);

#endif
