/* SPDX-License-Identifier: ISC */
#ifndef PROXY_H
#define PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "span.h"
#include "text.h"

/*
 * The PROXY protocol, versions 1 and 2: what a service sends. Headers are made by proxy_encode.h
 * and read by proxy_decode.h. Sections are those of haproxy's proxy-protocol.txt.
 */

#define PROXY_V1_MAX 107	 /* longest version 1 line with its CRLF, 2.1 */
#define PROXY_HEADER_MAX 4096	 /* longest header that is taken or made */
#define PROXY_LENGTH_DEFAULT 536 /* what goes through every path in one segment, 2.2 */
#define PROXY_CUSTOM_MAX 16
#define PROXY_TEXT_MAX 1024

/*
 * The TLVs of version 2, 2.2: identifier, type, name in `proxyTLV` ("": none), whether it stands
 * inside the SSL TLV, and when it goes if the header would become too long: the lowest number
 * first, 0 never.
 */
#define PROXY_TLVS(X)                                    \
	X(ALPN, 0x01, "alpn", false, 12)                 \
	X(AUTHORITY, 0x02, "authority", false, 11)       \
	X(UNIQUE_ID, 0x05, "unique-id", false, 13)       \
	X(SSL, 0x20, "ssl", false, 14)                   \
	X(SSL_VERSION, 0x21, "", true, 0)                \
	X(SSL_CN, 0x22, "cn", true, 10)                  \
	X(SSL_CIPHER, 0x23, "cipher", true, 9)           \
	X(SSL_SIG_ALG, 0x24, "sig-alg", true, 8)         \
	X(SSL_KEY_ALG, 0x25, "key-alg", true, 7)         \
	X(SSL_GROUP, 0x26, "group", true, 6)             \
	X(SSL_SIG_SCHEME, 0x27, "sig-scheme", true, 5)   \
	X(SSL_CLIENT_CERT, 0x28, "client-cert", true, 2) \
	X(NETNS, 0x30, "netns", false, 4)                \
	X(CUSTOM, 0xe0, "0xE0 to 0xEF", false, 3)        \
	X(NOOP, 0x04, "noop", false, 1)                  \
	X(CRC32C, 0x03, "crc32c", false, 0)

enum proxy_tlv_id {
#define X(id, type, name, in_ssl, drop) PROXY_##id,
	PROXY_TLVS(X)
#undef X
	/* clang-format off */
	PROXY_TLV_COUNT
	/* clang-format on */
};

/* What is wrong with a header that came; identifier, section, text. */
#define PROXY_ERRORS(X)                                                                  \
	X(SIGNATURE, "2", "this is not the beginning of a PROXY header")                 \
	X(LINE_END, "2.1", "the line does not end in CRLF within 107 bytes")             \
	X(LINE, "2.1", "the line is not PROXY, family, two addresses and two ports")     \
	X(ADDRESS, "2.1", "an address is not one of the family that was named")          \
	X(PORT, "2.1", "a port is not a decimal number up to 65535")                     \
	X(VERSION, "2.2", "the version is not 2, or the command is unknown")             \
	X(FAMILY, "2.2", "the address family or the transport is not one that we serve") \
	X(LENGTH, "2.2", "the length has no room for the addresses, or is too large")    \
	X(TLV, "2.2", "the TLVs do not end where the header does")                       \
	X(SSL, "2.2.6", "the SSL TLV is too short, or its own do not end with it")       \
	X(CRC, "2.2.3", "the CRC32c is wrong, or there is more than one")

enum proxy_error {
	PROXY_OK = 0,
#define X(id, section, text) PROXY_BAD_##id,
	PROXY_ERRORS(X)
#undef X
	/* clang-format off */
	PROXY_ERROR_COUNT
	/* clang-format on */
};

struct proxy_error_info {
	const char *section, *text;
};
extern const struct proxy_error_info proxy_error_info[PROXY_ERROR_COUNT];

#define PROXY_BIT(id) (UINT32_C(1) << (id))

/* A row of the table of TLVs, by enum proxy_tlv_id. */
struct proxy_tlv_row {
	uint8_t type;
	struct span name; /* in `proxyTLV` */
	bool in_ssl;
	int drop; /* which goes first */
};
extern const struct proxy_tlv_row proxy_tlvs[PROXY_TLV_COUNT];

/* What a service sends. Holds no pointer; zeroed it is version 1. */
struct proxy {
	int version;	 /* 1 or 2; 0 is 1 */
	int keep_mapped; /* an IPv4-mapped address stays IPv6, as stock has it */
	int max_length;	 /* bytes of the header */
	bool pass;	 /* TLVs that came in go out again, but for those that are ours */
	uint32_t tlvs;	 /* PROXY_BIT() of each */
	uint16_t noop;	 /* bytes of padding */
	struct text_at netns;
	uint8_t custom_count;
	struct proxy_custom {
		uint8_t type;
		struct text_at value;
	} custom[PROXY_CUSTOM_MAX];
	uint16_t text_len;
	char text[PROXY_TEXT_MAX];
};

/*
 * Adds a list of `proxyTLV`: names of the table, `netns:NAME`, `noop:BYTES`, `0xEn:TEXT`. 0, or -1
 * with a static text in *why and *p unchanged.
 */
int proxy_option(struct proxy *p, struct span list, const char **why);

/*
 * Bytes of the longest header that the options ask for, if each text that a peer chooses (server
 * name, common name, ALPN) has at most `name` bytes.
 */
size_t proxy_estimate(const struct proxy *p, size_t name);

struct proxy_tlv {
	uint8_t type;
	struct span value;
};

/* Takes the next TLV from the front of *tlvs; false at the end, or if it does not fit there. */
bool proxy_tlv_next(struct span *tlvs, struct proxy_tlv *tlv);

#endif
