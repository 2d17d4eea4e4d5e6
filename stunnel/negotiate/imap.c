/* SPDX-License-Identifier: ISC */
/* IMAP with STARTTLS (RFC 9051 6.2.1). */
#include "negotiate/imap.h"

#include <string.h>
#include <syslog.h>

/* --- server ----------------------------------------------------------------------------------- */

enum { SERVER_LISTEN, SERVER_GREETING, SERVER_COMMAND, SERVER_CAPABILITY };

static int server_heard(struct negotiation *n, struct span unit)
{
	if (!unit.p)
		return SERVER_GREETING;
	n->say(n->owner, LOG_DEBUG, "RFC 2595 not detected");
	return NEGOTIATION_DONE;
}

/*
 * Capabilities in the greeting are those of a session without TLS, in which a client could log in:
 * the word is spoilt, so that the client has to ask.
 */
static int server_greeting(struct negotiation *n, struct span line)
{
	char *capability = memmem(line.p, line.len, SPAN("CAPABILITY").p, SPAN("CAPABILITY").len);

	if (capability)
		*capability = 'K';
	negotiation_say(n, NEGOTIATION_FRONT, "%.*s (stunnel)", (int)line.len, line.p);
	return SERVER_COMMAND;
}

/* Ends the session on both sides. */
static int leave(struct negotiation *n)
{
	negotiation_say(n, NEGOTIATION_BACK, "stunnel LOGOUT");
	return NEGOTIATION_LEFT;
}

static int refuse_command(struct negotiation *n, struct span tag, struct span command)
{
	negotiation_say(n, NEGOTIATION_FRONT, "* BYE stunnel: unexpected command");
	negotiation_say(n, NEGOTIATION_FRONT, "%.*s BAD %.*s unexpected", (int)tag.len, tag.p,
			(int)command.len, command.p);
	return leave(n);
}

/* The word that a line begins with, which is skipped with the space behind it. */
static struct span take_word(struct span *line)
{
	const char *space = line->len != 0 ? memchr(line->p, ' ', line->len) : NULL;
	struct span word = span_of(line->p, space ? (size_t)(space - line->p) : line->len);

	span_skip(line, word.len + (space != NULL));
	return word;
}

/* RFC 9051 9: tag = 1*<any ASTRING-CHAR except "+">. */
static bool is_tag(struct span s)
{
	static const struct span others = SPAN_INIT("(){%*\"\\+");

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c >= 0x7f || memchr(others.p, c, others.len))
			return false;
	}
	return s.len != 0;
}

/*
 * Whether the server answers it whole, and in one way. Of anything else, as a literal that is to
 * follow or a tag `*`, something said before TLS would go on behind it (CVE-2011-0411).
 */
static bool may_be_passed(struct span tag, struct span command, struct span arguments)
{
	return command.len == 10 && negotiation_begins(command, "CAPABILITY") && is_tag(tag) &&
	       arguments.len == 0;
}

static int server_command(struct negotiation *n, struct span line)
{
	struct span rest = line, tag = take_word(&rest), command = take_word(&rest);

	if (may_be_passed(tag, command, rest) && tag.len < sizeof n->word) {
		memcpy(n->word, tag.p, tag.len);
		n->word[tag.len] = '\0';
		negotiation_say(n, NEGOTIATION_BACK, "%.*s", (int)line.len, line.p);
		return SERVER_CAPABILITY;
	}
	if (command.len == 8 && negotiation_begins(command, "STARTTLS")) {
		negotiation_say(n, NEGOTIATION_FRONT, "%.*s OK Begin TLS negotiation now",
				(int)tag.len, tag.p);
		return NEGOTIATION_DONE;
	}
	if (command.len == 6 && negotiation_begins(command, "LOGOUT")) {
		negotiation_say(n, NEGOTIATION_FRONT, "* BYE stunnel: Logout requested");
		negotiation_say(n, NEGOTIATION_FRONT, "%.*s OK LOGOUT completed", (int)tag.len,
				tag.p);
		return leave(n);
	}
	return refuse_command(n, tag, command);
}

static int server_capability(struct negotiation *n, struct span line)
{
	struct span rest = line, tag = take_word(&rest);
	bool whole = tag.len == strlen(n->word) && memcmp(tag.p, n->word, tag.len) == 0;

	negotiation_say(n, NEGOTIATION_FRONT, "%.*s%s", (int)line.len, line.p,
			negotiation_begins(line, "* CAPABILITY") ? " STARTTLS" : "");
	return whole ? SERVER_COMMAND : SERVER_CAPABILITY;
}

static const struct negotiation_state server_states[] = {
	[SERVER_LISTEN] = {.from = NEGOTIATION_FRONT, .listens = true, .take = server_heard},
	[SERVER_GREETING] = {.from = NEGOTIATION_BACK, .take = server_greeting},
	[SERVER_COMMAND] = {.from = NEGOTIATION_FRONT, .last = true, .take = server_command},
	[SERVER_CAPABILITY] = {.from = NEGOTIATION_BACK, .take = server_capability},
};

const struct negotiator imap_server = {
	.protocol = "imap",
	.phase = NEGOTIATION_GREETED,
	.states = server_states,
};

/* --- client ----------------------------------------------------------------------------------- */

enum { CLIENT_GREETING, CLIENT_STARTTLS };

static int client_greeting(struct negotiation *n, struct span line)
{
	if (!negotiation_begins(line, "* OK"))
		return negotiation_fail(n, "Unknown server welcome");
	negotiation_say(n, NEGOTIATION_BACK, "stunnel STARTTLS");
	return CLIENT_STARTTLS;
}

static int client_starttls(struct negotiation *n, struct span line)
{
	if (negotiation_begins(line, "* "))
		return CLIENT_STARTTLS;
	if (negotiation_begins(line, "stunnel OK")) {
		negotiation_say(n, NEGOTIATION_FRONT, "* OK Connected.");
		return NEGOTIATION_DONE;
	}
	negotiation_say(n, NEGOTIATION_FRONT, "* BYE stunnel: Server does not support TLS");
	n->say(n->owner, LOG_ERR, "Server does not support TLS");
	return leave(n);
}

static const struct negotiation_state client_states[] = {
	[CLIENT_GREETING] = {.from = NEGOTIATION_BACK, .take = client_greeting},
	[CLIENT_STARTTLS] = {.from = NEGOTIATION_BACK, .last = true, .take = client_starttls},
};

const struct negotiator imap_client = {
	.protocol = "imap",
	.phase = NEGOTIATION_PLAIN,
	.states = client_states,
};
