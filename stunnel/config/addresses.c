/* SPDX-License-Identifier: ISC */
#include "config/addresses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/endpoint.h"
#include "config/prefetch.h"
#include "config/table.h"
#include "conn/steps/plan.h"

struct job {
	struct config *config;
	struct report *report;
	struct prefetch names;
};

/* A text without a colon is a port, so that a host alone is taken for a port's name. */
static const char *hint(const char *plain)
{
	return strchr(plain, ':') || *plain == '/' ? "" : " (a host needs a port: HOST:PORT)";
}

static void note_names(struct job *job, const struct values_list *list, bool passive)
{
	char plain[ENDPOINT_MAX];

	for (size_t i = 0; i < list->count; i++)
		if (!endpoint_check(list->item[i], passive, plain))
			prefetch_add(&job->names, plain, passive);
}

/* A host as an address to look up; false: it is none. */
static bool local_endpoint(const char *host, char plain[static ENDPOINT_MAX])
{
	char text[ENDPOINT_MAX];

	return *host != '/' && snprintf(text, sizeof text, "%s:0", host) < (int)sizeof text &&
	       !endpoint_check(text, true, plain);
}

static void note_local(struct job *job, const struct config_section *s)
{
	char plain[ENDPOINT_MAX];

	if (s->local && local_endpoint(s->local, plain))
		prefetch_add(&job->names, plain, true);
}

static void resolve_accept(struct job *job, struct config_section *s)
{
	const struct values_list *accept = &s->accept_on;
	char plain[ENDPOINT_MAX], why[256];

	for (size_t i = 0; i < accept->count; i++) {
		struct report_place place = {.line = accept->line[i], .service = s->title};
		const char *flaw = endpoint_check(accept->item[i], true, plain);

		if (!flaw &&
		    prefetch_resolve(&job->names, plain, true, &s->accept, why) == NET_RESOLVED)
			continue;
		report_add(job->report, REPORT_ERROR, &place, "Cannot resolve accept target: %s%s",
			   flaw ? flaw : why, flaw ? "" : hint(plain));
	}
}

/* Moves a list that the resolver has allocated into the arena. */
static void keep(struct arena *arena, struct net_addrs *list)
{
	struct net_addr *copy = arena_grown(arena, list->addr, list->count, sizeof *copy);

	free(list->addr);
	*list = (struct net_addrs){copy, copy ? list->count : 0};
}

/* One address is enough: there is one process to serve it. */
static void resolve_metrics(struct job *job, struct config_section *s)
{
	struct report_place place = {.line = s->accept_on.line[0], .service = s->title};
	char plain[ENDPOINT_MAX], why[256];
	const char *flaw = endpoint_check(s->accept_on.item[0], true, plain);

	if (flaw || prefetch_resolve(&job->names, plain, true, &s->accept, why) != NET_RESOLVED) {
		report_add(job->report, REPORT_ERROR, &place, "Cannot resolve metrics: %s",
			   flaw ? flaw : why);
		return;
	}
	s->accept.count = 1;
	keep(&job->config->arena, &s->accept);
}

static void resolve_local(struct job *job, struct config_section *s)
{
	struct report_place place = {.line = table_line(s, "local"), .service = s->title};
	char plain[ENDPOINT_MAX], why[256] = "not the name or address of a host";

	if (!s->local)
		return;
	if (!local_endpoint(s->local, plain) ||
	    prefetch_resolve(&job->names, plain, true, &s->service.local, why) != NET_RESOLVED)
		report_add(job->report, REPORT_ERROR, &place, "Failed to resolve local address: %s",
			   why);
}

static bool sessiond_endpoint(const char *text, char plain[static ENDPOINT_MAX])
{
	return *text != '/' && !endpoint_check(text, false, plain);
}

static void note_sessiond(struct job *job, const struct config_section *s)
{
	char plain[ENDPOINT_MAX];

	if (s->sessiond && sessiond_endpoint(s->sessiond, plain))
		prefetch_add(&job->names, plain, false);
}

/* The first address, or as in stock rather the first of IPv4. */
static void resolve_sessiond(struct job *job, struct config_section *s)
{
	struct report_place place = {.line = table_line(s, "sessiond"), .service = s->title};
	char plain[ENDPOINT_MAX], why[256] = "not HOST:PORT";
	struct net_addrs found = {0};
	size_t best = 0;

	if (!s->sessiond)
		return;
	if (!sessiond_endpoint(s->sessiond, plain) ||
	    prefetch_resolve(&job->names, plain, false, &found, why) != NET_RESOLVED) {
		report_add(job->report, REPORT_ERROR, &place,
			   "Failed to resolve sessiond server address: %s", why);
		return;
	}
	while (best < found.count && found.addr[best].u.sa.sa_family != AF_INET)
		best++;
	s->service.sessiond = found.addr[best < found.count ? best : 0];
	free(found.addr);
}

/* The targets of an option, as they are written, and what becomes of them. */
struct targets {
	const char *option;
	const struct values_list *written;
	struct conn_route *route;
};

/* NET_RESOLVED: the target's addresses are added; NET_NO_ANSWER: the workers have to look it up. */
static enum net_answer resolve_target(struct job *job, struct config_section *s,
				      const struct targets *t, size_t index,
				      char plain[static ENDPOINT_MAX])
{
	struct report_place place = {.line = t->written->line[index], .service = s->title};
	const char *flaw = endpoint_check(t->written->item[index], false, plain);
	enum net_answer answer = NET_MALFORMED;
	char why[256];

	if (!flaw && s->delay && net_lookup_blocks(plain))
		return NET_NO_ANSWER;
	if (!flaw)
		answer = prefetch_resolve(&job->names, plain, false, &t->route->targets, why);
	if (answer == NET_MALFORMED)
		report_add(job->report, REPORT_FAULT, &place, "Cannot resolve %s target: %s%s",
			   t->option, flaw ? flaw : why, flaw ? "" : hint(plain));
	else if (answer != NET_RESOLVED)
		report_add(job->report, REPORT_WARNING, &place,
			   "Cannot resolve %s target - delaying DNS lookup: %s", t->option, why);
	return answer;
}

/*
 * A target that can never be one is told where everybody sees it, but does not keep nine other
 * services from starting. A name that is not known now may be known at the next connection.
 */
static void resolve_targets(struct job *job, struct config_section *s, const struct targets *t)
{
	struct arena *arena = &job->config->arena;
	const char **names = arena_alloc(arena, (t->written->count + 1) * sizeof *names);
	bool delayed = false;
	size_t count = 0;

	for (size_t i = 0; names && i < t->written->count; i++) {
		char plain[ENDPOINT_MAX];
		enum net_answer answer = resolve_target(job, s, t, i, plain);

		if (answer == NET_MALFORMED)
			continue;
		delayed |= answer != NET_RESOLVED;
		names[count++] = arena_text(arena, plain);
	}
	if (delayed || count == 0) {
		t->route->names = names;
		t->route->name_count = count;
	}
}

static void resolve_routes(struct job *job, struct config_section *s)
{
	struct conn_service *service = &s->service;
	struct targets connect = {"connect", &s->connect_to, &service->route},
		       redirect = {"redirect", &s->redirect_to, &service->redirect};

	resolve_targets(job, s, &connect);
	for (size_t i = 0; i < service->alpn_count; i++) {
		struct values_list one = {&s->alpn_target.item[i], &s->alpn_target.line[i], 1};

		resolve_targets(job, s,
				&(struct targets){"alpnConnect", &one, &service->alpn[i].route});
	}
	if (service->redirects)
		resolve_targets(job, s, &redirect);
	/* As in stock: which target is next means little where the list can change. */
	if (s->delay)
		service->failover = CONN_PRIORITY;
}

void addresses_resolve(struct config *config, struct report *report)
{
	struct job job = {config, report, {.arena = &config->arena}};

	for (size_t i = 0; i < config->count; i++) {
		const struct config_section *s = config->section[i];

		note_names(&job, &s->accept_on, true);
		note_local(&job, s);
		note_sessiond(&job, s);
		if (!s->delay) {
			note_names(&job, &s->connect_to, false);
			note_names(&job, &s->redirect_to, false);
			note_names(&job, &s->alpn_target, false);
		}
	}
	for (size_t i = 0; config->metrics && i < config->metrics->count; i++)
		note_names(&job, &config->metrics->section[i]->accept_on, true);
	if (!config_count_turns(config))
		report_add(report, REPORT_ERROR, &(struct report_place){0}, "Out of memory");
	prefetch_run(&job.names);
	for (size_t i = 0; i < config->count; i++) {
		struct config_section *s = config->section[i];

		if (s->broken)
			continue;
		resolve_accept(&job, s);
		resolve_local(&job, s);
		resolve_sessiond(&job, s);
		resolve_routes(&job, s);
		keep(&config->arena, &s->accept);
		keep(&config->arena, &s->service.local);
		keep(&config->arena, &s->service.route.targets);
		keep(&config->arena, &s->service.redirect.targets);
		for (size_t n = 0; n < s->service.alpn_count; n++)
			keep(&config->arena, &s->service.alpn[n].route.targets);
		plan_compile(&s->service);
	}
	for (size_t i = 0; config->metrics && i < config->metrics->count; i++)
		resolve_metrics(&job, config->metrics->section[i]);
	prefetch_free(&job.names);
}
