/* SPDX-License-Identifier: ISC */
/* POP3 with STLS (RFC 2595 4). */
#include "negotiate/pop3.h"

enum { SERVER_GREETING, SERVER_COMMAND };

static int server_greeting(struct negotiation *n, struct span line)
{
	negotiation_say(n, NEGOTIATION_FRONT, "%.*s + stunnel", (int)line.len, line.p);
	return SERVER_COMMAND;
}

static int server_command(struct negotiation *n, struct span line)
{
	if (negotiation_begins(line, "CAPA") && n->count++ == 0) {
		negotiation_say(n, NEGOTIATION_FRONT, "+OK Stunnel capability list follows");
		negotiation_say(n, NEGOTIATION_FRONT, "STLS");
		negotiation_say(n, NEGOTIATION_FRONT, ".");
		return SERVER_COMMAND;
	}
	if (!negotiation_begins(line, "STLS")) {
		negotiation_say(n, NEGOTIATION_FRONT, "-ERR Stunnel is not happy: STLS expected");
		return negotiation_fail(n, "Client does not want TLS");
	}
	negotiation_say(n, NEGOTIATION_FRONT, "+OK Stunnel starts TLS negotiation");
	return NEGOTIATION_DONE;
}

static const struct negotiation_state server_states[] = {
	[SERVER_GREETING] = {.from = NEGOTIATION_BACK, .take = server_greeting},
	[SERVER_COMMAND] = {.from = NEGOTIATION_FRONT, .last = true, .take = server_command},
};

const struct negotiator pop3_server = {
	.protocol = "pop3",
	.phase = NEGOTIATION_GREETED,
	.states = server_states,
};

enum { CLIENT_GREETING, CLIENT_STLS };

static int client_greeting(struct negotiation *n, struct span line)
{
	if (!negotiation_begins(line, "+OK "))
		return negotiation_fail(n, "Unknown server welcome");
	negotiation_say(n, NEGOTIATION_FRONT, "%.*s", (int)line.len, line.p);
	negotiation_say(n, NEGOTIATION_BACK, "STLS");
	return CLIENT_STLS;
}

static int client_stls(struct negotiation *n, struct span line)
{
	if (!negotiation_begins(line, "+OK "))
		return negotiation_fail(n, "Server does not support TLS");
	return NEGOTIATION_DONE;
}

static const struct negotiation_state client_states[] = {
	[CLIENT_GREETING] = {.from = NEGOTIATION_BACK, .take = client_greeting},
	[CLIENT_STLS] = {.from = NEGOTIATION_BACK, .last = true, .take = client_stls},
};

const struct negotiator pop3_client = {
	.protocol = "pop3",
	.phase = NEGOTIATION_PLAIN,
	.states = client_states,
};
