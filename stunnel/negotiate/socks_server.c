/* SPDX-License-Identifier: ISC */
/*
 * SOCKS 4, 4a and 5 (RFC 1928) inside TLS, without authentication, and Tor's request to resolve a
 * name. As in stock, success is told before the target is connected.
 */
#include "negotiate/socks_server.h"

#include <arpa/inet.h>
#include <string.h>
#include <syslog.h>

enum {
	VERSION,
	REQUEST4,
	USER4,
	NAME4,
	FOUND4,
	METHODS,
	OFFER,
	REQUEST5,
	NAME_LENGTH,
	ADDRESS5,
	FOUND5,
};
enum { CONNECT = 1, RESOLVE = 0xf0 };
enum { IPV4 = 1, NAME = 3, IPV6 = 4 };
enum { GRANTED = 90, REJECTED = 91 };				     /* SOCKS 4 */
enum { FAILURE = 1, NOT_ALLOWED = 2, UNREACHABLE = 4, UNKNOWN = 7 }; /* RFC 1928 6 */
enum { TEXT_MAX = 255 };

static unsigned byte_at(const char *p, size_t at)
{
	return (unsigned char)p[at];
}

static unsigned port_at(const char *p, size_t at)
{
	return byte_at(p, at) << 8 | byte_at(p, at + 1);
}

/*
 * Whether an address is this host's alone, where services trust whoever comes: also any address
 * (RFC 1122 3.2.1.3), which connect(2) takes for the loopback.
 */
static bool is_loopback(const struct facts_addr *addr)
{
	static const uint8_t zeros[15];

	if (addr->family == FACTS_IPV4)
		return addr->ip[0] == 127 || addr->ip[0] == 0;
	return !memcmp(addr->ip, zeros, sizeof zeros) && addr->ip[15] <= 1;
}

static bool may_connect(struct negotiation *n)
{
	for (size_t i = 0; i < n->found_count; i++)
		if (is_loopback(&n->found[i])) {
			negotiation_log(n, LOG_ERR,
					"SOCKS connection to the IPv%d loopback rejected",
					n->found[i].family == FACTS_IPV4 ? 4 : 6);
			return false;
		}
	return true;
}

/* The first of the addresses that is IPv4, or else NULL. */
static const struct facts_addr *found_v4(const struct negotiation *n)
{
	for (size_t i = 0; i < n->found_count; i++)
		if (n->found[i].family == FACTS_IPV4)
			return &n->found[i];
	return NULL;
}

static int version(struct negotiation *n, struct span unit)
{
	if (unit.p[0] == 4)
		return REQUEST4;
	if (unit.p[0] == 5)
		return METHODS;
	negotiation_log(n, LOG_ERR, "Unsupported SOCKS version 0x%02x", byte_at(unit.p, 0));
	return NEGOTIATION_LEFT;
}

/* --- version 4: n->word keeps command, port and address of the request ------------------------ */

static int answer4(struct negotiation *n, char code, const void *address)
{
	struct out *out = &n->out[NEGOTIATION_FRONT];

	out_char(out, 0);
	out_char(out, code);
	out_put(out, span_of(n->word + 1, 2));
	out_put(out, span_of(address ? address : n->word + 3, 4));
	return NEGOTIATION_LEFT;
}

static bool resolves4(const struct negotiation *n)
{
	return byte_at(n->word, 0) == RESOLVE;
}

/* SOCKS 4a: 0.0.0.x instead of an address, x not 0; Tor gives names only. */
static bool names4(const struct negotiation *n)
{
	return resolves4(n) || (!n->word[3] && !n->word[4] && !n->word[5] && n->word[6]);
}

static int request4(struct negotiation *n, struct span unit)
{
	memcpy(n->word, unit.p, 7);
	return USER4;
}

/* Keeps a byte of a text that a NUL ends; false: it has become too long. */
static bool keep(struct negotiation *n, char byte)
{
	if (n->count == TEXT_MAX)
		return false;
	n->kept[n->count++] = byte;
	return true;
}

static int user4(struct negotiation *n, struct span unit)
{
	char text[INET_ADDRSTRLEN];

	if (unit.p[0])
		return keep(n, unit.p[0]) ? USER4 : negotiation_fail(n, "SOCKS4 user is too long");
	n->count = 0;
	if (byte_at(n->word, 0) != CONNECT && !resolves4(n)) {
		negotiation_log(n, LOG_ERR, "Unsupported SOCKS4/SOCKS4a command 0x%02x",
				byte_at(n->word, 0));
		return answer4(n, REJECTED, NULL);
	}
	if (names4(n))
		return NAME4;
	negotiation_log(n, LOG_INFO, "SOCKS4 address received");
	inet_ntop(AF_INET, n->word + 3, text, sizeof text);
	negotiation_seek(n, span_of(text, strlen(text)), port_at(n->word, 1));
	return FOUND4;
}

static int name4(struct negotiation *n, struct span unit)
{
	if (unit.p[0])
		return keep(n, unit.p[0]) ? NAME4 : negotiation_fail(n, "SOCKS4a name is too long");
	negotiation_seek(n, span_of(n->kept, n->count), port_at(n->word, 1));
	return FOUND4;
}

static int resolved4(struct negotiation *n)
{
	const struct facts_addr *addr = found_v4(n);

	negotiation_log(n, addr ? LOG_INFO : LOG_ERR, "SOCKS4a/TOR %s \"%.*s\"",
			addr ? "resolved" : "failed to resolve", (int)n->count, n->kept);
	return answer4(n, addr ? GRANTED : REJECTED, addr ? addr->ip : NULL);
}

static int found4(struct negotiation *n, struct span unit)
{
	(void)unit;
	if (resolves4(n))
		return resolved4(n);
	if (names4(n) && n->found_count != 0)
		negotiation_log(n, LOG_INFO, "SOCKS4a resolved \"%.*s\" to %zu host(s)",
				(int)n->count, n->kept, n->found_count);
	if (n->found_count == 0)
		negotiation_log(n, LOG_ERR, "SOCKS4a failed to resolve \"%.*s\"", (int)n->count,
				n->kept);
	if (n->found_count == 0 || !may_connect(n))
		return answer4(n, REJECTED, NULL);
	answer4(n, GRANTED, NULL);
	return NEGOTIATION_DONE;
}

/* --- version 5: n->word keeps version, command, a zero and type, then a numeric address ------- */

static int answer5(struct negotiation *n, char code, char type, struct span address)
{
	struct out *out = &n->out[NEGOTIATION_FRONT];

	out_char(out, 5);
	out_char(out, code);
	out_char(out, 0);
	out_char(out, type);
	out_put(out, address);
	return NEGOTIATION_LEFT;
}

/* An answer without an address. */
static int refuse5(struct negotiation *n, char code)
{
	return answer5(n, code, IPV4, SPAN("\0\0\0\0\0\0"));
}

static int methods(struct negotiation *n, struct span unit)
{
	if (unit.p[0] == 0) {
		negotiation_log(n, LOG_ERR, "No supported SOCKS5 authentication method received");
		negotiation_put(n, NEGOTIATION_FRONT, SPAN("\5\xff"));
		return NEGOTIATION_LEFT;
	}
	negotiation_need(n, byte_at(unit.p, 0));
	return OFFER;
}

static int offer(struct negotiation *n, struct span unit)
{
	if (!memchr(unit.p, 0, unit.len))
		return methods(n, SPAN("\0"));
	negotiation_put(n, NEGOTIATION_FRONT, SPAN("\5\0")); /* no authentication */
	return REQUEST5;
}

static int request5(struct negotiation *n, struct span unit)
{
	unsigned command = byte_at(unit.p, 1), type = byte_at(unit.p, 3);

	memcpy(n->word, unit.p, 4);
	if (unit.p[0] != 5) {
		negotiation_log(n, LOG_ERR, "Invalid SOCKS5 message version 0x%02x",
				byte_at(unit.p, 0));
		return refuse5(n, FAILURE);
	}
	if (command != CONNECT && command != RESOLVE) {
		negotiation_log(n, LOG_ERR, "Unsupported SOCKS5 command 0x%02x", command);
		return refuse5(n, UNKNOWN);
	}
	if (type == NAME)
		return NAME_LENGTH;
	if (type != IPV4 && type != IPV6) {
		negotiation_log(n, LOG_ERR, "Unsupported SOCKS5 address type 0x%02x", type);
		return refuse5(n, UNKNOWN);
	}
	negotiation_need(n, (type == IPV4 ? 4 : 16) + 2);
	return ADDRESS5;
}

static int name_length(struct negotiation *n, struct span unit)
{
	negotiation_need(n, byte_at(unit.p, 0) + 2);
	return ADDRESS5;
}

/* Address and port. */
static int address5(struct negotiation *n, struct span unit)
{
	size_t len = unit.len - 2;

	if (n->word[3] == NAME) {
		memcpy(n->kept, unit.p, len);
	} else {
		memcpy(n->word + 4, unit.p, unit.len);
		inet_ntop(n->word[3] == IPV4 ? AF_INET : AF_INET6, unit.p, n->kept, sizeof n->kept);
		len = strlen(n->kept);
		negotiation_log(n, LOG_INFO, "SOCKS5 IPv%d address received",
				n->word[3] == IPV4 ? 4 : 6);
	}
	n->count = (unsigned)len;
	negotiation_seek(n, span_of(n->kept, len), port_at(unit.p, unit.len - 2));
	return FOUND5;
}

static int resolved5(struct negotiation *n)
{
	const struct facts_addr *v4 = found_v4(n), *addr = v4 ? v4 : n->found;
	size_t len = v4 ? 4 : 16;
	char bytes[16 + 2] = {0};

	memcpy(bytes, addr->ip, len);
	negotiation_log(n, LOG_INFO, "SOCKS5/TOR resolved \"%.*s\" to IPv%d", (int)n->count,
			n->kept, v4 ? 4 : 6);
	return answer5(n, 0, v4 ? IPV4 : IPV6, span_of(bytes, len + 2));
}

static int found5(struct negotiation *n, struct span unit)
{
	bool resolves = byte_at(n->word, 1) == RESOLVE, named = n->word[3] == NAME;
	struct span bound = named ? SPAN("\0\0\0\0\0\0")
				  : span_of(n->word + 4, (n->word[3] == IPV4 ? 4 : 16) + 2);
	char type = named ? IPV4 : n->word[3];

	(void)unit;
	if (n->found_count == 0) {
		negotiation_log(n, LOG_ERR, "SOCKS5%s failed to resolve \"%.*s\"",
				resolves ? "/TOR" : "", (int)n->count, n->kept);
		return refuse5(n, UNREACHABLE);
	}
	if (resolves)
		return resolved5(n);
	if (named)
		negotiation_log(n, LOG_INFO, "SOCKS5 resolved \"%.*s\" to %zu host(s)",
				(int)n->count, n->kept, n->found_count);
	if (!may_connect(n))
		return answer5(n, NOT_ALLOWED, type, bound);
	answer5(n, 0, type, bound);
	return NEGOTIATION_DONE;
}

static const struct negotiation_state states[] = {
	[VERSION] = {.from = NEGOTIATION_FRONT, .bytes = 1, .take = version},
	[REQUEST4] = {.from = NEGOTIATION_FRONT, .bytes = 7, .take = request4},
	[USER4] = {.from = NEGOTIATION_FRONT, .bytes = 1, .take = user4},
	[NAME4] = {.from = NEGOTIATION_FRONT, .bytes = 1, .take = name4},
	[FOUND4] = {.from = NEGOTIATION_FRONT, .seeks = true, .take = found4},
	[METHODS] = {.from = NEGOTIATION_FRONT, .bytes = 1, .take = methods},
	[OFFER] = {.from = NEGOTIATION_FRONT, .take = offer},
	[REQUEST5] = {.from = NEGOTIATION_FRONT, .bytes = 4, .take = request5},
	[NAME_LENGTH] = {.from = NEGOTIATION_FRONT, .bytes = 1, .take = name_length},
	[ADDRESS5] = {.from = NEGOTIATION_FRONT, .take = address5},
	[FOUND5] = {.from = NEGOTIATION_FRONT, .seeks = true, .take = found5},
};

const struct negotiator socks_server = {
	.protocol = "socks",
	.phase = NEGOTIATION_ASKED,
	.to_http = true,
	.chooses = true,
	.endpoint = true,
	.states = states,
};
