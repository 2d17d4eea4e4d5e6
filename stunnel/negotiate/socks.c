/* SPDX-License-Identifier: ISC */
/* SOCKS 5 (RFC 1928) inside TLS, as a client without authentication. */
#include "negotiate/socks.h"

#include <arpa/inet.h>
#include <string.h>

#include "core/text.h"

enum { METHOD, REPLY, ADDRESS, NAME_LENGTH };
enum { VERSION = 5, CONNECT = 1, IPV4 = 1, NAME = 3, IPV6 = 4 };

static int begin(struct negotiation *n)
{
	negotiation_put(n, NEGOTIATION_BACK, SPAN("\5\1\0")); /* one method: no authentication */
	return METHOD;
}

/* HOST:PORT of the target: *host is NUL-terminated, without brackets. */
static bool split(const char *target, char *host, size_t cap, unsigned *port)
{
	const char *colon = strrchr(target, ':');
	size_t len = colon ? (size_t)(colon - target) : 0;
	uint64_t number;

	if (len >= 2 && target[0] == '[' && target[len - 1] == ']') {
		target++;
		len -= 2;
	}
	if (len == 0 || len >= cap ||
	    !text_decimal(span_of(colon + 1, strlen(colon + 1)), 65535, &number))
		return false;
	memcpy(host, target, len);
	host[len] = '\0';
	*port = (unsigned)number;
	return true;
}

static void put_host(struct negotiation *n, const char *host)
{
	struct out *out = &n->out[NEGOTIATION_BACK];
	char address[16];

	if (inet_pton(AF_INET, host, address) == 1) {
		out_char(out, IPV4);
		out_put(out, span_of(address, 4));
	} else if (inet_pton(AF_INET6, host, address) == 1) {
		out_char(out, IPV6);
		out_put(out, span_of(address, 16));
	} else {
		out_char(out, NAME);
		out_char(out, (char)strlen(host));
		out_put(out, span_of(host, strlen(host)));
	}
}

static int method(struct negotiation *n, struct span unit)
{
	const char *target = n->options->host ? n->options->host : n->target;
	char host[256];
	unsigned port;

	if (unit.p[0] != VERSION || unit.p[1] != 0)
		return negotiation_fail(n, "SOCKS5 server wants another version or method");
	if (!split(target, host, sizeof host, &port))
		return negotiation_fail(n, "SOCKS5 target is not HOST:PORT: %s", target);
	negotiation_put(n, NEGOTIATION_BACK, SPAN("\5\1\0")); /* CONNECT */
	put_host(n, host);
	out_char(&n->out[NEGOTIATION_BACK], (char)(port >> 8));
	out_char(&n->out[NEGOTIATION_BACK], (char)port);
	return REPLY;
}

static int reply(struct negotiation *n, struct span unit)
{
	const unsigned char *p = (const unsigned char *)unit.p;

	if (p[0] != VERSION)
		return negotiation_fail(n, "SOCKS5 server answers in version %d", p[0]);
	if (p[1] != 0)
		return negotiation_fail(n, "SOCKS5 request refused: reply %d", p[1]);
	if (p[3] == NAME)
		return NAME_LENGTH;
	if (p[3] != IPV4 && p[3] != IPV6)
		return negotiation_fail(n, "SOCKS5 server names an address of type %d", p[3]);
	negotiation_need(n, (p[3] == IPV4 ? 4 : 16) + 2);
	return ADDRESS;
}

static int name_length(struct negotiation *n, struct span unit)
{
	negotiation_need(n, (size_t)(unsigned char)unit.p[0] + 2);
	return ADDRESS;
}

static int address(struct negotiation *n, struct span unit)
{
	(void)n, (void)unit;
	return NEGOTIATION_DONE;
}

static const struct negotiation_state states[] = {
	[METHOD] = {.from = NEGOTIATION_BACK, .bytes = 2, .take = method},
	[REPLY] = {.from = NEGOTIATION_BACK, .bytes = 4, .take = reply},
	[ADDRESS] = {.from = NEGOTIATION_BACK, .take = address},
	[NAME_LENGTH] = {.from = NEGOTIATION_BACK, .bytes = 1, .take = name_length},
};

const struct negotiator socks_client = {
	.protocol = "socks",
	.phase = NEGOTIATION_INSIDE,
	.to_http = true,
	.begin = begin,
	.states = states,
};
