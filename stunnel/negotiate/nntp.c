/* SPDX-License-Identifier: ISC */
/* NNTP with STARTTLS (RFC 4642). */
#include "negotiate/nntp.h"

enum { GREETING, STARTTLS };

static int greeting(struct negotiation *n, struct span line)
{
	if (!negotiation_begins(line, "200 ") && !negotiation_begins(line, "201 "))
		return negotiation_fail(n, "Unknown server welcome");
	negotiation_say(n, NEGOTIATION_FRONT, "%.*s", (int)line.len, line.p);
	negotiation_say(n, NEGOTIATION_BACK, "STARTTLS");
	return STARTTLS;
}

static int starttls(struct negotiation *n, struct span line)
{
	if (!negotiation_begins(line, "382 "))
		return negotiation_fail(n, "Server does not support TLS");
	return NEGOTIATION_DONE;
}

static const struct negotiation_state states[] = {
	[GREETING] = {.from = NEGOTIATION_BACK, .take = greeting},
	[STARTTLS] = {.from = NEGOTIATION_BACK, .last = true, .take = starttls},
};

const struct negotiator nntp_client = {
	.protocol = "nntp",
	.phase = NEGOTIATION_PLAIN,
	.states = states,
};
