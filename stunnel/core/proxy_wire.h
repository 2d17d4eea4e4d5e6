/* SPDX-License-Identifier: ISC */
#ifndef PROXY_WIRE_H
#define PROXY_WIRE_H

#include "span.h"

/* For the PROXY protocol's own files: what version 2 looks like. */

/* The first 12 bytes. */
#define PROXY_SIGNATURE SPAN("\r\n\r\n\0\r\nQUIT\n")

enum {
	PROXY_COMMAND_LOCAL = 0x20,
	PROXY_COMMAND_PROXY = 0x21,
	PROXY_FAMILY_UNSPEC = 0x00,
	PROXY_FAMILY_INET = 0x11, /* and STREAM */
	PROXY_FAMILY_INET6 = 0x21,
	PROXY_FAMILY_UNIX = 0x31,
	PROXY_FIXED = 16, /* bytes before the addresses */
	PROXY_INET_BYTES = 12,
	PROXY_INET6_BYTES = 36,
	PROXY_UNIX_BYTES = 216,
	PROXY_TLV_BYTES = 3, /* before a value */
	PROXY_SSL_BYTES = 5, /* before the TLVs in it */
	PROXY_CRC_BYTES = 4,
	PROXY_CLIENT_SSL = 0x01,
	PROXY_CLIENT_CERT_CONN = 0x02,
	PROXY_CLIENT_CERT_SESS = 0x04,
};

static inline unsigned proxy_wire_16(const char *p)
{
	return (unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

#endif
