/* SPDX-License-Identifier: ISC */
#include "sys/net_lookup.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define LOOKUP_STACK (256 * 1024) /* a module of nsswitch.conf may need more than glibc's own */

static enum net_answer no_memory(char why[static 256])
{
	snprintf(why, 256, "Out of memory");
	return NET_NO_ANSWER;
}

static bool append(struct net_addrs *list, const void *sa, socklen_t len)
{
	struct net_addr addr;

	memset(&addr, 0, sizeof addr);
	memcpy(&addr.u, sa, len);
	addr.len = len;
	return net_append(list, &(struct net_addrs){&addr, 1});
}

static enum net_answer resolve_path(const char *path, struct net_addrs *list, char why[static 256])
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	size_t len = strlen(path);

	if (len >= sizeof un.sun_path) {
		snprintf(why, 256, "Unix socket path is too long");
		return NET_MALFORMED;
	}
	memcpy(un.sun_path, path, len + 1);
	return append(list, &un, sizeof un) ? NET_RESOLVED : no_memory(why);
}

/* The two parts of [HOST:]PORT. */
struct endpoint {
	char name[256];
	const char *host; /* name, or NULL without HOST */
	const char *port;
};

static bool split(const char *text, struct endpoint *e)
{
	const char *colon = strrchr(text, ':');

	*e = (struct endpoint){.port = colon ? colon + 1 : text};
	if (!colon)
		return true;
	if (colon == text || (size_t)(colon - text) >= sizeof e->name)
		return false;
	snprintf(e->name, sizeof e->name, "%.*s", (int)(colon - text), text);
	e->host = e->name;
	return true;
}

static int ask(const struct endpoint *e, int flags, struct addrinfo **found)
{
	struct addrinfo hints = {
		.ai_flags = flags, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

	return getaddrinfo(e->host, e->port, &hints, found);
}

/* Whether getaddrinfo()'s error may mean only that AI_ADDRCONFIG left out the name's addresses. */
static bool of_another_family(int rc)
{
	switch (rc) {
#ifdef EAI_ADDRFAMILY
	case EAI_ADDRFAMILY:
#endif
#ifdef EAI_NODATA
	case EAI_NODATA:
#endif
	case EAI_NONAME:
		return true;
	default:
		return false;
	}
}

/*
 * Numeric addresses never reach the name service. A name is first asked for with AI_ADDRCONFIG,
 * which leaves out families that the host has only loopback addresses of: a name for ::1 is found
 * only by asking again without. A name service that did not answer is not asked again, since that
 * would double the wait.
 */
static int look_up(const struct endpoint *e, bool passive, struct addrinfo **found)
{
	int flags = passive ? AI_PASSIVE : 0;
	int rc = e->host ? ask(e, flags | AI_NUMERICHOST, found) : EAI_NONAME;

	if (rc == EAI_NONAME)
		rc = ask(e, flags | AI_ADDRCONFIG, found);
	if (of_another_family(rc))
		rc = ask(e, flags, found);
	return rc;
}

static enum net_answer not_found(const struct endpoint *e, int rc, char why[static 256])
{
	if (rc == EAI_SERVICE) {
		snprintf(why, 256, "Unknown TCP service \"%.200s\"", e->port);
		return NET_MALFORMED;
	}
	snprintf(why, 256, "Error resolving \"%.150s\": %s", e->name,
		 rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
	return of_another_family(rc) ? NET_UNKNOWN : NET_NO_ANSWER;
}

enum net_answer net_lookup(const char *text, bool passive, struct net_addrs *list,
			   char why[static 256])
{
	size_t had = list->count;
	struct addrinfo *found;
	struct endpoint e;
	bool ok = true;
	int rc;

	if (text[0] == '/')
		return resolve_path(text, list, why);
	if (!split(text, &e)) {
		snprintf(why, 256, "No host before the colon of \"%.200s\"", text);
		return NET_MALFORMED;
	}
	rc = look_up(&e, passive, &found);
	if (rc != 0)
		return not_found(&e, rc, why);
	for (struct addrinfo *ai = found; ai && ok; ai = ai->ai_next)
		ok = append(list, ai->ai_addr, ai->ai_addrlen);
	freeaddrinfo(found);
	if (ok)
		return NET_RESOLVED;
	list->count = had;
	return no_memory(why);
}

bool net_lookup_blocks(const char *text)
{
	struct addrinfo *found;
	struct endpoint e;
	int rc;

	if (text[0] == '/' || !split(text, &e) || !e.host)
		return false;
	rc = ask(&e, AI_NUMERICHOST, &found);
	if (rc == 0)
		freeaddrinfo(found);
	return rc == EAI_NONAME;
}

static void *run_lookup(void *argument)
{
	struct net_lookup *lookup = argument;

	lookup->answer = net_lookup(lookup->text, lookup->passive, &lookup->found, lookup->why);
	lookup->done(lookup);
	return NULL;
}

int net_lookup_start(struct net_lookup *lookup)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	lookup->found = (struct net_addrs){0};
	rc = pthread_attr_init(&attr);
	if (rc != 0)
		return -rc;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, LOOKUP_STACK);
	sigfillset(&all); /* signals must reach the worker's own thread only */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&thread, &attr, run_lookup, lookup);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -rc;
}
