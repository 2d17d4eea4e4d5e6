/* SPDX-License-Identifier: ISC */
#ifndef PROXY_H
#define PROXY_H

#include "facts.h"
#include "out.h"

/* Longest v1 line with its CRLF: the specification's buffer of 108 less the NUL. */
#define PROXY_V1_MAX 107

/*
 * Appends a PROXY protocol version 1 line (haproxy's proxy-protocol.txt, section 2.1): TCP4 or
 * TCP6 with facts->client as source and facts->server as destination, at most PROXY_V1_MAX bytes.
 * Returns true, or false with nothing written if the client or the server is not an IP peer or
 * their families differ: version 1 cannot name them.
 */
bool proxy_v1(const struct facts *facts, struct out *out);

#endif
