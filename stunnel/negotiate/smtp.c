/* SPDX-License-Identifier: ISC */
/* SMTP with STARTTLS (RFC 3207) and AUTH (RFC 4954, 4616). */
#include "negotiate/smtp.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

/* A line of a reply that another one follows has a hyphen behind its code (RFC 5321 4.2.1). */
static bool is_last_line(struct span line)
{
	return line.len < 4 || line.p[3] != '-';
}

/* --- server ----------------------------------------------------------------------------------- */

enum { SERVER_LISTEN, SERVER_GREETING, SERVER_GREETING_REST, SERVER_EHLO, SERVER_STARTTLS };

/* A client of SMTP waits for the greeting, and one of SMTPS does not. */
static int server_heard(struct negotiation *n, struct span unit)
{
	if (!unit.p)
		return SERVER_GREETING;
	n->say(n->owner, LOG_DEBUG, "RFC 2487 not detected");
	return NEGOTIATION_DONE;
}

static int server_greeting(struct negotiation *n, struct span line)
{
	const char *rest, *end = line.p + line.len;
	size_t domain;

	if (!negotiation_begins(line, "220"))
		return negotiation_fail(n, "Unknown server welcome");
	if (line.len < 4)
		return negotiation_fail(n, "The server's welcome has no domain");
	rest = memchr(line.p + 4, ' ', line.len - 4);
	domain = (size_t)((rest ? rest : end) - line.p) - 4;
	if (domain >= sizeof n->kept)
		return negotiation_fail(n, "The domain of the server is too long");
	memcpy(n->kept, line.p + 4, domain);
	negotiation_say(n, NEGOTIATION_FRONT, "220%c%s stunnel for%.*s", line.p[3], n->kept,
			rest ? (int)(end - rest) : 0, rest);
	return is_last_line(line) ? SERVER_EHLO : SERVER_GREETING_REST;
}

static int server_greeting_rest(struct negotiation *n, struct span line)
{
	negotiation_say(n, NEGOTIATION_FRONT, "%.*s", (int)line.len, line.p);
	return is_last_line(line) ? SERVER_EHLO : SERVER_GREETING_REST;
}

static int server_ehlo(struct negotiation *n, struct span line)
{
	if (!negotiation_begins(line, "EHLO "))
		return negotiation_fail(n, "Unknown client EHLO");
	negotiation_say(n, NEGOTIATION_FRONT, "250-%s", n->kept);
	negotiation_say(n, NEGOTIATION_FRONT, "250 STARTTLS");
	return SERVER_STARTTLS;
}

static int server_starttls(struct negotiation *n, struct span line)
{
	if (!negotiation_begins(line, "STARTTLS"))
		return negotiation_fail(n, "STARTTLS expected");
	negotiation_say(n, NEGOTIATION_FRONT, "220 Go ahead");
	return NEGOTIATION_DONE;
}

static const struct negotiation_state server_states[] = {
	[SERVER_LISTEN] = {.from = NEGOTIATION_FRONT, .listens = true, .take = server_heard},
	[SERVER_GREETING] = {.from = NEGOTIATION_BACK, .take = server_greeting},
	[SERVER_GREETING_REST] = {.from = NEGOTIATION_BACK, .take = server_greeting_rest},
	[SERVER_EHLO] = {.from = NEGOTIATION_FRONT, .take = server_ehlo},
	[SERVER_STARTTLS] = {.from = NEGOTIATION_FRONT, .last = true, .take = server_starttls},
};

const struct negotiator smtp_server = {
	.protocol = "smtp",
	.phase = NEGOTIATION_GREETED,
	.states = server_states,
};

/* --- client ----------------------------------------------------------------------------------- */

enum { CLIENT_GREETING, CLIENT_EHLO, CLIENT_STARTTLS };

static void say_ehlo(struct negotiation *n)
{
	negotiation_say(n, NEGOTIATION_BACK, "EHLO %s",
			n->options->host ? n->options->host : "localhost");
}

static int client_greeting(struct negotiation *n, struct span line)
{
	if (!negotiation_begins(line, "220"))
		return negotiation_fail(n, "Unknown server welcome");
	negotiation_say(n, NEGOTIATION_FRONT, "%.*s", (int)line.len, line.p);
	if (!is_last_line(line))
		return CLIENT_GREETING;
	say_ehlo(n);
	return CLIENT_EHLO;
}

static int client_ehlo(struct negotiation *n, struct span line)
{
	if (!negotiation_begins(line, "250"))
		return negotiation_fail(n, "Remote server is not RFC 1425 compliant");
	if (!is_last_line(line))
		return CLIENT_EHLO;
	negotiation_say(n, NEGOTIATION_BACK, "STARTTLS");
	return CLIENT_STARTTLS;
}

static int client_starttls(struct negotiation *n, struct span line)
{
	if (!negotiation_begins(line, "220 "))
		return negotiation_fail(n, "Remote server is not RFC 2487 compliant");
	return NEGOTIATION_DONE;
}

static const struct negotiation_state client_states[] = {
	[CLIENT_GREETING] = {.from = NEGOTIATION_BACK, .take = client_greeting},
	[CLIENT_EHLO] = {.from = NEGOTIATION_BACK, .take = client_ehlo},
	[CLIENT_STARTTLS] = {.from = NEGOTIATION_BACK, .last = true, .take = client_starttls},
};

const struct negotiator smtp_client = {
	.protocol = "smtp",
	.phase = NEGOTIATION_PLAIN,
	.states = client_states,
};

/* --- login, inside TLS ------------------------------------------------------------------------ */

enum { LOGIN_EHLO, LOGIN_USER, LOGIN_PASSWORD, LOGIN_RESULT };

static bool login_needed(const struct negotiation_options *o)
{
	return o->user && o->password;
}

static int login_begin(struct negotiation *n)
{
	say_ehlo(n);
	return LOGIN_EHLO;
}

/* Says the base64 of the bytes behind `verb`. */
static int say_secret(struct negotiation *n, const char *verb, struct span bytes, int next)
{
	char text[sizeof n->kept * 2];

	if (!negotiation_base64(bytes, text, sizeof text))
		return negotiation_fail(n, "protocolUsername or protocolPassword is too long");
	n->secret = true;
	negotiation_say(n, NEGOTIATION_BACK, "%s%s", verb, text);
	explicit_bzero(text, sizeof text);
	return next;
}

static int say_plain(struct negotiation *n)
{
	const struct negotiation_options *o = n->options;
	int len = snprintf(n->kept, sizeof n->kept, "%c%s%c%s", '\0', o->user, '\0', o->password);

	if (len < 0 || (size_t)len >= sizeof n->kept)
		return negotiation_fail(n, "protocolUsername or protocolPassword is too long");
	return say_secret(n, "AUTH PLAIN ", span_of(n->kept, (size_t)len), LOGIN_RESULT);
}

static int login_ehlo(struct negotiation *n, struct span line)
{
	const char *how = n->options->authentication;

	if (!negotiation_begins(line, "250"))
		return negotiation_fail(n, "Remote server is not RFC 1425 compliant");
	if (!is_last_line(line))
		return LOGIN_EHLO;
	if (!how || strcasecmp(how, "login") != 0)
		return say_plain(n);
	negotiation_say(n, NEGOTIATION_BACK, "AUTH LOGIN");
	return LOGIN_USER;
}

static int login_user(struct negotiation *n, struct span line)
{
	if (!negotiation_begins(line, "334"))
		return negotiation_fail(n, "Remote server does not support LOGIN authentication");
	return say_secret(n, "", span_of(n->options->user, strlen(n->options->user)),
			  LOGIN_PASSWORD);
}

static int login_password(struct negotiation *n, struct span line)
{
	const char *password = n->options->password;

	if (!negotiation_begins(line, "334"))
		return negotiation_fail(n, "Remote server does not support LOGIN authentication");
	return say_secret(n, "", span_of(password, strlen(password)), LOGIN_RESULT);
}

static int login_result(struct negotiation *n, struct span line)
{
	if (!negotiation_begins(line, "235"))
		return negotiation_fail(n, "SMTP authentication failed: %.*s",
					line.len < 150 ? (int)line.len : 150, line.p);
	return is_last_line(line) ? NEGOTIATION_DONE : LOGIN_RESULT;
}

static const struct negotiation_state login_states[] = {
	[LOGIN_EHLO] = {.from = NEGOTIATION_BACK, .take = login_ehlo},
	[LOGIN_USER] = {.from = NEGOTIATION_BACK, .take = login_user},
	[LOGIN_PASSWORD] = {.from = NEGOTIATION_BACK, .take = login_password},
	[LOGIN_RESULT] = {.from = NEGOTIATION_BACK, .take = login_result},
};

const struct negotiator smtp_login = {
	.protocol = "smtp",
	.phase = NEGOTIATION_INSIDE,
	.begin = login_begin,
	.states = login_states,
	.needed = login_needed,
};
