/* SPDX-License-Identifier: ISC */
#ifndef PROXY_DECODE_H
#define PROXY_DECODE_H

#include "facts.h"
#include "proxy.h"

struct proxy_header {
	int version;
	bool local; /* LOCAL, UNKNOWN or UNSPEC: the peer connected for itself, not for a client */
	/* Bytes and port; no text. Without a family: the client came over a Unix socket. */
	struct facts_addr client, server;
	struct span tlvs; /* within the input */
};

/*
 * The header at the front of `in`: its length, 0 while it is incomplete (everything in `in` then
 * belongs to it), or -PROXY_BAD_x. The result does not depend on how the bytes arrive.
 */
int proxy_decode(struct span in, struct proxy_header *header);

#endif
