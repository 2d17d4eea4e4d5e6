/* SPDX-License-Identifier: ISC */
#ifndef PROXY_ENCODE_H
#define PROXY_ENCODE_H

#include "facts.h"
#include "out.h"
#include "proxy.h"

/*
 * Appends the header that says who the client is: at most max_length bytes, unless addresses, SSL
 * version and CRC alone are more. What does not fit is left out, in the table's order, and *dropped
 * has its bits (PROXY_CUSTOM stands for TLVs that came in, too). False with nothing written: a peer
 * has no IP address, which version 1 cannot say; version 2 says LOCAL.
 */
bool proxy_encode(const struct proxy *p, const struct facts *facts, struct out *out,
		  uint32_t *dropped);

#endif
