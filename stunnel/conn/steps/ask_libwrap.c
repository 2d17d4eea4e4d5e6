/* SPDX-License-Identifier: ISC */
#include "conn/steps/ask_libwrap.h"

#include <stdio.h>

static enum step_result refuse(struct conn *c)
{
	char text[NET_TEXT_MAX];

	tally_one(&c->tally->rejected[TALLY_LIBWRAP]);
	front_client(&c->front, text);
	conn_log(c, LOG_WARNING, "Service [%s] REFUSED by libwrap from %s", c->service->name, text);
	conn_log(c, LOG_DEBUG, "See hosts_access(5) manual for details");
	return STEP_RESET;
}

/* Who could not be judged is not let in. */
static enum step_result fail(struct conn *c, const char *why)
{
	conn_log(c, LOG_ERR, "libwrap: %s", why);
	return refuse(c);
}

/* The client that a PROXY header names, if the header has an address, or else who connected. */
static bool find_client(const struct conn *c, struct libwrap_question *question)
{
	const struct front *f = &c->front;

	if (net_of_facts(&f->facts.client, &question->client))
		net_of_facts(&f->facts.server, &question->server);
	else if (net_of_facts(&f->facts.peer, &question->client))
		net_of_facts(&f->own, &question->server);
	else
		return false;
	return true;
}

static enum step_result ask(struct conn *c)
{
	struct libwrap_question question = {.seconds = c->service->timeout.busy};
	struct questions *q = conn_questions(c);

	if (!find_client(c, &question)) {
		conn_log(c, LOG_INFO, "Libwrap is not supported on Unix sockets");
		return STEP_NEXT;
	}
	snprintf(question.daemon, sizeof question.daemon, "%s", c->service->name);
	if (!q)
		return fail(c, "no memory");
	q->inquiry.answer = &c->front.libwrap.answer.head;
	q->inquiry.len = sizeof c->front.libwrap.answer;
	if (!inquiry_ask(&c->pool->libwrap, &q->inquiry, &question.head, sizeof question))
		return fail(c, "too many clients wait for an answer");
	c->front.libwrap.asked = true;
	conn_wait(c, RELAY_FRONT, false, false);
	return STEP_WAIT;
}

static enum step_result judge(struct conn *c)
{
	char text[NET_TEXT_MAX];

	c->front.libwrap.asked = false;
	c->questions->inquiry.answered = false; /* the handshake may ask, too */
	switch (c->front.libwrap.answer.verdict) {
	case LIBWRAP_PERMITTED:
		front_client(&c->front, text);
		conn_log(c, LOG_DEBUG, "Service [%s] permitted by libwrap from %s",
			 c->service->name, text);
		return STEP_NEXT;
	case LIBWRAP_DENIED:
		return refuse(c);
	case LIBWRAP_FAILED:
		break;
	}
	return fail(c, "the rules could not be asked");
}

static enum step_result run(struct conn *c, unsigned events)
{
	(void)events;
	if (!c->front.libwrap.asked)
		return ask(c);
	return c->questions->inquiry.answered ? judge(c) : STEP_WAIT;
}

static enum step_result run_again(struct conn *c, unsigned events)
{
	return c->service == c->accepted ? STEP_NEXT : run(c, events);
}

static uint64_t deadline(const struct conn *c)
{
	return conn_after(c->front.at.since, c->service->timeout.busy);
}

static enum step_result expired(struct conn *c)
{
	return fail(c, "TIMEOUTbusy exceeded");
}

const struct step ask_libwrap_step = {"libwrap", run, deadline, expired};
const struct step ask_libwrap_again_step = {"libwrap", run_again, deadline, expired};
