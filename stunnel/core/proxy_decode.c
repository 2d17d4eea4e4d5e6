/* SPDX-License-Identifier: ISC */
#include "proxy_decode.h"

#include "crc32c.h"
#include "ip.h"
#include "proxy_wire.h"

/* --- version 1 ---------------------------------------------------------------------------- */

/* Takes a word and the space behind it from the front of *line; false if the word is empty. */
static bool take_word(struct span *line, struct span *word)
{
	const char *space = memchr(line->p, ' ', line->len);

	*word = span_of(line->p, space ? (size_t)(space - line->p) : line->len);
	span_skip(line, word->len + (space != NULL));
	return word->len != 0;
}

static int take_address(struct span *line, enum facts_family family, struct facts_addr *addr)
{
	struct span word;

	if (!take_word(line, &word))
		return -PROXY_BAD_LINE;
	addr->family = family;
	if (family == FACTS_IPV4 ? !ip_parse_v4(word, addr->ip) : !ip_parse_v6(word, addr->ip))
		return -PROXY_BAD_ADDRESS;
	return 0;
}

static int take_port(struct span *line, struct facts_addr *addr)
{
	struct span word;
	unsigned port;

	if (!take_word(line, &word))
		return -PROXY_BAD_LINE;
	if (!ip_parse_number(word, 65535, &port))
		return -PROXY_BAD_PORT;
	addr->port = (uint16_t)port;
	return 0;
}

/* Decodes what stands between "PROXY " and CRLF. */
static int decode_line(struct span line, struct proxy_header *h)
{
	struct span whole = line, word;
	enum facts_family family;
	int rc;

	if (!take_word(&line, &word))
		return -PROXY_BAD_LINE;
	if (span_eq(word, SPAN("UNKNOWN"))) {
		h->local = true;
		return 0;
	}
	if (span_eq(word, SPAN("TCP4")))
		family = FACTS_IPV4;
	else if (span_eq(word, SPAN("TCP6")))
		family = FACTS_IPV6;
	else
		return -PROXY_BAD_LINE;
	rc = take_address(&line, family, &h->client);
	if (rc == 0)
		rc = take_address(&line, family, &h->server);
	if (rc == 0)
		rc = take_port(&line, &h->client);
	if (rc == 0)
		rc = take_port(&line, &h->server);
	/* take_port() took a space behind the last port, which may not be there. */
	if (rc == 0 && (line.len != 0 || whole.p[whole.len - 1] == ' '))
		rc = -PROXY_BAD_LINE;
	return rc;
}

static int decode_v1(struct span in, struct proxy_header *h)
{
	static const struct span begin = SPAN_INIT("PROXY ");
	size_t end = 0, max = in.len < PROXY_V1_MAX ? in.len : PROXY_V1_MAX;
	int rc;

	while (end < max && in.p[end] != '\r' && in.p[end] != '\n')
		end++;
	if (end + 1 >= PROXY_V1_MAX || (end < max && in.p[end] == '\n'))
		return -PROXY_BAD_LINE_END;
	if (end + 1 >= in.len)
		return 0;
	if (in.p[end + 1] != '\n')
		return -PROXY_BAD_LINE_END;
	h->version = 1;
	rc = decode_line(span_of(in.p + begin.len, end - begin.len), h);
	return rc != 0 ? rc : (int)end + 2;
}

/* --- version 2 ---------------------------------------------------------------------------- */

static int check_ssl(struct span value)
{
	struct proxy_tlv tlv;

	if (value.len < PROXY_SSL_BYTES)
		return -PROXY_BAD_SSL;
	span_skip(&value, PROXY_SSL_BYTES);
	while (proxy_tlv_next(&value, &tlv))
		;
	return value.len == 0 ? 0 : -PROXY_BAD_SSL;
}

static bool crc_is_right(struct span header, struct span value)
{
	size_t before = (size_t)(value.p - header.p);
	uint32_t crc = ~UINT32_C(0),
		 said = (uint32_t)proxy_wire_16(value.p) << 16 | proxy_wire_16(value.p + 2);

	crc = crc32c_update(crc, span_of(header.p, before));
	crc = crc32c_update(crc, SPAN("\0\0\0\0"));
	crc = crc32c_update(
		crc, span_of(value.p + PROXY_CRC_BYTES, header.len - before - PROXY_CRC_BYTES));
	return ~crc == said;
}

static int check_tlvs(struct span header, struct span tlvs)
{
	bool crc_seen = false;
	struct proxy_tlv tlv;

	while (proxy_tlv_next(&tlvs, &tlv)) {
		if (tlv.type == proxy_tlvs[PROXY_SSL].type && check_ssl(tlv.value) != 0)
			return -PROXY_BAD_SSL;
		if (tlv.type != proxy_tlvs[PROXY_CRC32C].type)
			continue;
		if (crc_seen || tlv.value.len != PROXY_CRC_BYTES ||
		    !crc_is_right(header, tlv.value))
			return -PROXY_BAD_CRC;
		crc_seen = true;
	}
	return tlvs.len == 0 ? 0 : -PROXY_BAD_TLV;
}

static void get_addresses(const char *p, enum facts_family family, struct proxy_header *h)
{
	size_t size = family == FACTS_IPV4 ? 4 : 16;

	h->client.family = h->server.family = family;
	memcpy(h->client.ip, p, size);
	memcpy(h->server.ip, p + size, size);
	h->client.port = (uint16_t)proxy_wire_16(p + 2 * size);
	h->server.port = (uint16_t)proxy_wire_16(p + 2 * size + 2);
}

/* Bytes of both addresses and ports of a family; SIZE_MAX: the family is not served. */
static size_t address_bytes(unsigned char family)
{
	switch (family) {
	case PROXY_FAMILY_INET:
		return PROXY_INET_BYTES;
	case PROXY_FAMILY_INET6:
		return PROXY_INET6_BYTES;
	case PROXY_FAMILY_UNIX:
		return PROXY_UNIX_BYTES;
	case PROXY_FAMILY_UNSPEC:
		return 0;
	default:
		return SIZE_MAX;
	}
}

static int decode_v2(struct span in, struct proxy_header *h)
{
	size_t length, addresses;
	unsigned char command, family;
	int rc;

	if (in.len < PROXY_FIXED)
		return 0;
	command = (unsigned char)in.p[12];
	family = (unsigned char)in.p[13];
	length = PROXY_FIXED + proxy_wire_16(in.p + 14);
	addresses = address_bytes(family);
	if (command != PROXY_COMMAND_LOCAL && command != PROXY_COMMAND_PROXY)
		return -PROXY_BAD_VERSION;
	if (command == PROXY_COMMAND_PROXY && addresses == SIZE_MAX)
		return -PROXY_BAD_FAMILY;
	if (length > PROXY_HEADER_MAX ||
	    (command == PROXY_COMMAND_PROXY && length - PROXY_FIXED < addresses))
		return -PROXY_BAD_LENGTH;
	if (in.len < length)
		return 0;
	h->version = 2;
	h->local = command == PROXY_COMMAND_LOCAL || family == PROXY_FAMILY_UNSPEC;
	if (h->local) /* 2.2: a receiver skips what follows */
		return (int)length;
	if (family != PROXY_FAMILY_UNIX)
		get_addresses(in.p + PROXY_FIXED,
			      family == PROXY_FAMILY_INET ? FACTS_IPV4 : FACTS_IPV6, h);
	h->tlvs = span_of(in.p + PROXY_FIXED + addresses, length - PROXY_FIXED - addresses);
	rc = check_tlvs(span_of(in.p, length), h->tlvs);
	return rc != 0 ? rc : (int)length;
}

/* --- both versions ---------------------------------------------------------------------------- */

/* Whether `in` begins with s, or is itself the beginning of s. */
static bool begins(struct span in, struct span s)
{
	size_t n = in.len < s.len ? in.len : s.len;

	return n == 0 || memcmp(in.p, s.p, n) == 0;
}

int proxy_decode(struct span in, struct proxy_header *h)
{
	*h = (struct proxy_header){0};
	if (in.len == 0)
		return 0;
	if (begins(in, SPAN("PROXY ")))
		return in.len < 6 ? 0 : decode_v1(in, h);
	if (begins(in, PROXY_SIGNATURE))
		return decode_v2(in, h);
	return -PROXY_BAD_SIGNATURE;
}
