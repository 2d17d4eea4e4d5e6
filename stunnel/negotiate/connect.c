/* SPDX-License-Identifier: ISC */
/* A tunnel through an HTTP proxy (RFC 9110 9.3.6), with basic credentials (RFC 7617). */
#include "negotiate/connect.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { STATUS, FIELD };

static const char *check(const struct negotiation_options *o)
{
	if (!o->host)
		return "protocolHost not specified";
	if (o->authentication && strcasecmp(o->authentication, "basic") != 0)
		return "protocolAuthentication is neither basic nor, which is not built, ntlm";
	return NULL;
}

/* RFC 7617 2: the user's name ends at the first colon. */
static int say_credentials(struct negotiation *n)
{
	const struct negotiation_options *o = n->options;
	char base64[sizeof n->kept * 2];
	int len = snprintf(n->kept, sizeof n->kept, "%s:%s", o->user, o->password);

	if (len < 0 || (size_t)len >= sizeof n->kept ||
	    !negotiation_base64(span_of(n->kept, (size_t)len), base64, sizeof base64))
		return negotiation_fail(n, "protocolUsername or protocolPassword is too long");
	n->secret = true;
	negotiation_say(n, NEGOTIATION_BACK, "Proxy-Authorization: basic %s", base64);
	n->secret = false;
	explicit_bzero(base64, sizeof base64);
	return STATUS;
}

static int begin(struct negotiation *n)
{
	const struct negotiation_options *o = n->options;

	negotiation_say(n, NEGOTIATION_BACK, "CONNECT %s HTTP/1.1", o->host);
	negotiation_say(n, NEGOTIATION_BACK, "Host: %s", o->host);
	if (o->user && o->password && say_credentials(n) < 0)
		return NEGOTIATION_FAILED;
	for (size_t i = 0; o->header && o->header[i]; i++)
		negotiation_say(n, NEGOTIATION_BACK, "%s", o->header[i]);
	negotiation_put(n, NEGOTIATION_BACK, SPAN("\r\n"));
	return STATUS;
}

static int status(struct negotiation *n, struct span line)
{
	bool http = negotiation_begins(line, "HTTP/1.0 ") || negotiation_begins(line, "HTTP/1.1 ");

	if (!http || line.len < 10 || line.p[9] != '2')
		return negotiation_fail(n, "CONNECT request rejected: %.*s",
					line.len < 150 ? (int)line.len : 150, line.p);
	return FIELD;
}

static int field(struct negotiation *n, struct span line)
{
	(void)n;
	return line.len == 0 ? NEGOTIATION_DONE : FIELD;
}

static const struct negotiation_state states[] = {
	[STATUS] = {.from = NEGOTIATION_BACK, .take = status},
	[FIELD] = {.from = NEGOTIATION_BACK, .last = true, .take = field},
};

const struct negotiator connect_client = {
	.protocol = "connect",
	.phase = NEGOTIATION_PLAIN,
	.to_http = true,
	.begin = begin,
	.states = states,
	.check = check,
};
