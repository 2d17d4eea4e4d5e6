/* SPDX-License-Identifier: ISC */
/* TLS in place of a NetBIOS session (RFC 1002 4.3), which an error says the first time. */
#include "negotiate/cifs.h"

enum { SESSION_REQUEST = 0x81, NEGATIVE_RESPONSE = 0x83, USE_TLS = 0x8e };
enum { SERVER_HEADER, SERVER_BODY };

#define BODY_MAX 124 /* bytes: two encoded names, with some room */

static int tell_tls(struct negotiation *n)
{
	negotiation_put(n, NEGOTIATION_FRONT, SPAN("\x83\0\0\1\x8e"));
	return NEGOTIATION_DONE;
}

static int server_header(struct negotiation *n, struct span unit)
{
	const unsigned char *p = (const unsigned char *)unit.p;
	size_t len = (size_t)(p[1] & 1) << 16 | (size_t)p[2] << 8 | p[3];

	if (len > BODY_MAX)
		return negotiation_fail(n, "Received block too long");
	if (p[0] != SESSION_REQUEST) {
		negotiation_put(n, NEGOTIATION_FRONT, SPAN("\x83\0\0\1\x81"));
		return negotiation_fail(n, "Client did not send session setup");
	}
	if (len == 0)
		return tell_tls(n);
	negotiation_need(n, len);
	return SERVER_BODY;
}

static int server_body(struct negotiation *n, struct span unit)
{
	(void)unit;
	return tell_tls(n);
}

static const struct negotiation_state server_states[] = {
	[SERVER_HEADER] = {.from = NEGOTIATION_FRONT,
			   .bytes = 4,
			   .last = true,
			   .take = server_header},
	[SERVER_BODY] = {.from = NEGOTIATION_FRONT, .last = true, .take = server_body},
};

const struct negotiator cifs_server = {
	.protocol = "cifs",
	.phase = NEGOTIATION_EARLY,
	.states = server_states,
};

static int client_begin(struct negotiation *n)
{
	negotiation_put(n, NEGOTIATION_BACK, SPAN("\x81\0\0\0"));
	return 0;
}

static int client_answer(struct negotiation *n, struct span unit)
{
	const unsigned char *p = (const unsigned char *)unit.p;

	if (p[0] != NEGATIVE_RESPONSE)
		return negotiation_fail(n, "NetBIOS response is not negative");
	if (p[1] != 0 || p[2] != 0 || p[3] != 1)
		return negotiation_fail(n, "Unexpected NetBIOS response size");
	if (p[4] != USE_TLS)
		return negotiation_fail(n, "Remote server does not require TLS");
	return NEGOTIATION_DONE;
}

static const struct negotiation_state client_states[] = {
	{.from = NEGOTIATION_BACK, .bytes = 5, .last = true, .take = client_answer},
};

const struct negotiator cifs_client = {
	.protocol = "cifs",
	.phase = NEGOTIATION_PLAIN,
	.begin = client_begin,
	.states = client_states,
};
