/* SPDX-License-Identifier: ISC */
#include "conn/steps/connect.h"

#include <errno.h>
#include <string.h>

#include "conn/reuse.h"
#include "conn/steps/answer.h"
#include "conn/steps/negotiate.h"
#include "conn/target.h"
#include "sys/net.h"

/*
 * The client's address. Its port would make the connection to its destination the same one, to the
 * packet filter, as the one that it redirects here.
 */
static bool client_of(const struct conn *c, struct net_addr *client)
{
	struct facts_addr facts = c->front.facts.client;

	if (c->service->transparent & CONN_TO_DESTINATION)
		facts.port = 0;
	return net_of_facts(&facts, client);
}

/* Where the connection to a target comes from; false: no address of the target's family. */
static bool choose_source(const struct conn *c, const struct net_addr *target,
			  struct net_addr *client, struct net_source *source)
{
	const struct conn_service *s = c->service;

	*source = (struct net_source){0};
	if (net_is_unix(target))
		return true;
	if (s->local.count == 0 && s->transparent & CONN_FROM_CLIENT) {
		*source = (struct net_source){.addr = client, .foreign = true};
		return client_of(c, client) && net_same_family(client, target);
	}
	for (size_t i = 0; i < s->local.count && !source->addr; i++)
		if (net_same_family(&s->local.addr[i], target))
			source->addr = &s->local.addr[i];
	return s->local.count == 0 || source->addr;
}

/*
 * Whether there is something to say as soon as a target is there: a request, or what the back's
 * next step begins with. In some protocols the target speaks first, and must not wait for our ACK.
 */
static bool speaks(const struct conn *c)
{
	const struct step *next = c->back->at.current[1];

	return next ? next != &negotiate_plain_step : c->relay.write_first;
}

static int begin(struct conn *c, const struct net_addr *target, bool *now_connected)
{
	struct net_addr client;
	struct net_source source;

	if (!choose_source(c, target, &client, &source))
		return -EAFNOSUPPORT;
	source.speaks = speaks(c);
	return net_connect(target, &source, c->service->options, now_connected);
}

/* What came of the next target. */
enum progress {
	NO_TARGET, /* all were tried */
	CONNECTING,
	CONNECTED,
	REUSED, /* a connection that is there: there is another back, which is through its plan */
};

static enum progress connect_next(struct conn *c)
{
	const struct net_addr *addr;

	while ((addr = target_next(c))) {
		char text[NET_TEXT_MAX];
		bool now_connected = false;
		int fd;

		if (reuse_take(c, addr))
			return REUSED;
		net_text(addr, text);
		conn_log(c, LOG_INFO, "s_connect: connecting %s", text);
		fd = begin(c, addr, &now_connected);
		if (fd >= 0) {
			c->back->end = end_of(fd);
			c->back->walk.since = conn_now(c);
			return now_connected ? CONNECTED : CONNECTING;
		}
		target_failed(c, strerror(-fd), -fd);
	}
	conn_log(c, LOG_ERR, "No more addresses to connect");
	return NO_TARGET;
}

static enum step_result connected(struct conn *c, int level)
{
	char text[NET_TEXT_MAX];

	net_text(target_current(c), text);
	exchange_connected(&c->exchanges, span_of(text, strlen(text)));
	target_works(c, level);
	return STEP_NEXT;
}

static enum step_result run(struct conn *c, unsigned events)
{
	int rc;

	if (c->back->end.fd >= 0) {
		if (!(events & (CONN_BACK_READ | CONN_BACK_WRITE)))
			return STEP_WAIT;
		rc = net_connected(c->back->end.fd);
		if (rc == -EINPROGRESS)
			return STEP_WAIT;
		if (rc == 0)
			return connected(c, LOG_NOTICE);
		target_failed(c, strerror(-rc), -rc);
		back_hang_up(c->back, END_WHOLE);
	}
	switch (connect_next(c)) {
	case NO_TARGET:
		return answer_unavailable(c);
	case CONNECTED:
		return connected(c, LOG_INFO);
	case REUSED:
		return STEP_AGAIN;
	case CONNECTING:
		break;
	}
	conn_wait(c, RELAY_FRONT, false, false);
	conn_wait(c, RELAY_BACK, false, true);
	return STEP_WAIT;
}

static uint64_t deadline(const struct conn *c)
{
	return conn_after(c->back->walk.since, c->service->timeout.connect);
}

static enum step_result expired(struct conn *c)
{
	target_failed(c, "TIMEOUTconnect exceeded", 0);
	back_hang_up(c->back, END_RESET);
	return STEP_AGAIN;
}

const struct step connect_step = {"connecting", run, deadline, expired};
