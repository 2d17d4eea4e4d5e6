/* SPDX-License-Identifier: ISC */
#include "conn/steps/ident.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define IDENT_PORT 113

static enum step_result refuse(struct conn *c, const char *user)
{
	char text[NET_TEXT_MAX];

	tally_one(&c->tally->rejected[TALLY_IDENT]);
	net_text(&c->front.peer, text);
	conn_log(c, LOG_WARNING, "Connection from %s REFUSED by IDENT (user \"%s\")", text, user);
	return STEP_RESET;
}

static enum step_result give_up(struct conn *c, const char *why)
{
	conn_log(c, LOG_ERR, "%s", why);
	return refuse(c, "");
}

/* From the address that the client has connected: its host knows the two connections by it. */
static int call(const struct conn *c, bool *now)
{
	struct facts_addr server = c->front.facts.peer, own = c->front.own;
	struct net_addr to, from;

	server.port = IDENT_PORT;
	if (!net_of_facts(&server, &to) || !net_of_facts(&own, &from))
		return -EAFNOSUPPORT;
	return net_connect(&to, &(struct net_source){.addr = &from}, c->service->options, now);
}

static enum step_result begin(struct conn *c)
{
	bool now = false;
	int fd = call(c, &now);

	if (fd == -EAFNOSUPPORT)
		return give_up(c, "IDENT not supported on Unix sockets");
	if (fd < 0)
		return give_up(c, strerror(-fd));
	c->back->end = end_of(fd);
	conn_wait(c, RELAY_FRONT, false, false);
	conn_wait(c, RELAY_BACK, false, true);
	return now ? STEP_AGAIN : STEP_WAIT;
}

/* Takes the next word of a line up to the delimiter, without the spaces around it. */
static char *word(char **line, const char *delimiter)
{
	char *text = strsep(line, delimiter), *end;

	if (!text)
		return NULL;
	text += strspn(text, " \t");
	end = text + strlen(text);
	while (end > text && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
		*--end = '\0';
	return text;
}

/* PORT , PORT : USERID : SYSTEM : USER */
static enum step_result judge(struct conn *c, char *line)
{
	const char *kind, *user;

	if (!word(&line, ":") || !(kind = word(&line, ":")))
		return give_up(c, "Malformed IDENT response");
	if (strcasecmp(kind, "USERID") != 0)
		return give_up(c, "Incorrect IDENT response type");
	if (!word(&line, ":") || !(user = word(&line, "\n")))
		return give_up(c, "Malformed IDENT response");
	if (strcmp(user, c->service->ident) != 0)
		return refuse(c, user);
	conn_log(c, LOG_INFO, "IDENT authentication passed");
	conn_back_end(c, END_WHOLE);
	return STEP_AGAIN;
}

/* The line is short, and is read whole with one call, but for a peer that takes its time. */
static enum step_result hear(struct conn *c)
{
	struct back_ident *ident = c->back->ident;
	size_t room = sizeof ident->line - 1 - ident->len;
	ssize_t n = net_read(c->back->end.fd, ident->line + ident->len, room);

	conn_wait(c, RELAY_BACK, true, false);
	if (n == -EAGAIN)
		return STEP_WAIT;
	if (n <= 0)
		return give_up(c, n < 0 ? strerror((int)-n) : "Malformed IDENT response");
	ident->len += (size_t)n;
	if (memchr(ident->line, '\n', ident->len))
		return judge(c, ident->line);
	return ident->len < sizeof ident->line - 1 ? STEP_WAIT
						   : give_up(c, "Malformed IDENT response");
}

/* RFC 1413 3: the port of the host that is asked comes first. */
static enum step_result ask(struct conn *c)
{
	struct back_ident *ident;
	char line[32];
	int rc = net_connected(c->back->end.fd),
	    len = snprintf(line, sizeof line, "%u , %u\r\n", c->front.facts.peer.port,
			   c->front.own.port);

	if (rc == -EINPROGRESS)
		return STEP_WAIT;
	if (rc == 0 && net_write(c->back->end.fd, line, (size_t)len) != len)
		rc = -EPIPE; /* a new connection has room for a line */
	if (rc != 0)
		return give_up(c, strerror(-rc));
	ident = calloc(1, sizeof *ident);
	if (!ident)
		return give_up(c, "no memory");
	conn_log(c, LOG_DEBUG, "IDENT server connected");
	c->back->ident = ident;
	conn_begin_anew(c);
	return hear(c);
}

static enum step_result ask_host(struct conn *c, unsigned events)
{
	(void)events;
	if (c->back->end.fd < 0)
		return begin(c);
	return c->back->ident ? hear(c) : ask(c);
}

static uint64_t ask_deadline(const struct conn *c)
{
	const struct conn_timeouts *timeout = &c->service->timeout;

	return conn_after(conn_since(c), c->back->ident ? timeout->busy : timeout->connect);
}

static enum step_result ask_expired(struct conn *c)
{
	return give_up(c, c->back->ident ? "IDENT: TIMEOUTbusy exceeded: sending reset"
					 : "IDENT: TIMEOUTconnect exceeded");
}

static const struct step ask_step = {"ident", ask_host, ask_deadline, ask_expired};

static enum step_result run(struct conn *c, unsigned events)
{
	static const struct step *const plan[] = {&ask_step, NULL};

	(void)events;
	return conn_back_follow(c, plan) ? STEP_NEXT : STEP_RESET;
}

const struct step ident_step = {"ident", .run = run};
