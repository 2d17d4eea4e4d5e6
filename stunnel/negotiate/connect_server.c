/* SPDX-License-Identifier: ISC */
/* A proxy's part of HTTP's CONNECT (RFC 9110 9.3.6), in plain text, with TLS inside the tunnel. */
#include "negotiate/connect_server.h"

#include <string.h>

#include "core/text.h"

enum { REQUEST, FIELD, FOUND };

static int answer(struct negotiation *n, const char *status)
{
	negotiation_say(n, NEGOTIATION_FRONT, "HTTP/1.0 %s", status);
	negotiation_say(n, NEGOTIATION_FRONT, "Server: stunnel");
	negotiation_put(n, NEGOTIATION_FRONT, SPAN("\r\n"));
	return NEGOTIATION_LEFT;
}

/* HOST:PORT, as stock split at the last colon; an IPv6 address may have its brackets. */
static void seek(struct negotiation *n, struct span target)
{
	const char *colon = memrchr(target.p, ':', target.len);
	size_t host = colon ? (size_t)(colon - target.p) : 0;
	struct span port = span_of(target.p + host + 1, colon ? target.len - host - 1 : 0);
	bool bracketed = host >= 2 && target.p[0] == '[' && target.p[host - 1] == ']';
	uint64_t number;

	if (text_decimal(port, 65535, &number))
		negotiation_seek(n, span_of(target.p + bracketed, host - 2 * (size_t)bracketed),
				 (unsigned)number);
}

static int request(struct negotiation *n, struct span line)
{
	static const char method[] = "CONNECT ";
	size_t at = sizeof method - 1;
	const char *space;

	if (!negotiation_begins(line, method))
		return answer(n, "400 Bad Request Method");
	line = span_of(line.p + at, line.len - at);
	space = memchr(line.p, ' ', line.len);
	at = space ? (size_t)(space - line.p) : line.len;
	if (!negotiation_begins(span_of(line.p + at, line.len - at), " HTTP/"))
		return answer(n, "400 Bad Request Protocol");
	seek(n, span_of(line.p, at));
	return FIELD;
}

static int field(struct negotiation *n, struct span line)
{
	(void)n;
	return line.len == 0 ? FOUND : FIELD;
}

static int found(struct negotiation *n, struct span unit)
{
	(void)unit;
	if (n->found_count == 0)
		return answer(n, "404 Not Found");
	answer(n, "200 OK");
	return NEGOTIATION_DONE;
}

static const struct negotiation_state states[] = {
	[REQUEST] = {.from = NEGOTIATION_FRONT, .take = request},
	[FIELD] = {.from = NEGOTIATION_FRONT, .take = field},
	[FOUND] = {.from = NEGOTIATION_FRONT, .last = true, .seeks = true, .take = found},
};

const struct negotiator connect_server = {
	.protocol = "connect",
	.phase = NEGOTIATION_EARLY,
	.to_http = true,
	.chooses = true,
	.states = states,
};
