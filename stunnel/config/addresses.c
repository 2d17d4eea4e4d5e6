/* SPDX-License-Identifier: ISC */
#include "config/addresses.h"

#include <stdlib.h>
#include <string.h>

#include "sys/endpoint.h"
#include "config/prefetch.h"
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

/* NET_RESOLVED: the target's addresses are added; NET_NO_ANSWER: the workers have to look it up. */
static enum net_answer resolve_target(struct job *job, struct config_section *s, size_t index,
				      char plain[static ENDPOINT_MAX])
{
	const struct values_list *connect = &s->connect_to;
	struct report_place place = {.line = connect->line[index], .service = s->title};
	const char *flaw = endpoint_check(connect->item[index], false, plain);
	enum net_answer answer = NET_MALFORMED;
	char why[256];

	if (!flaw && s->delay && net_lookup_blocks(plain))
		return NET_NO_ANSWER;
	if (!flaw)
		answer =
			prefetch_resolve(&job->names, plain, false, &s->service.route.targets, why);
	if (answer == NET_MALFORMED)
		report_add(job->report, REPORT_FAULT, &place, "Cannot resolve connect target: %s%s",
			   flaw ? flaw : why, flaw ? "" : hint(plain));
	else if (answer != NET_RESOLVED)
		report_add(job->report, REPORT_WARNING, &place,
			   "Cannot resolve connect target - delaying DNS lookup: %s", why);
	return answer;
}

/*
 * A target that can never be one is told where everybody sees it, but does not keep nine other
 * services from starting. A name that is not known now may be known at the next connection.
 */
static void resolve_connect(struct job *job, struct config_section *s)
{
	const struct values_list *connect = &s->connect_to;
	struct arena *arena = &job->config->arena;
	const char **names = arena_alloc(arena, (connect->count + 1) * sizeof *names);
	bool delayed = false;
	size_t count = 0;

	for (size_t i = 0; names && i < connect->count; i++) {
		char plain[ENDPOINT_MAX];
		enum net_answer answer = resolve_target(job, s, i, plain);

		if (answer == NET_MALFORMED)
			continue;
		delayed |= answer != NET_RESOLVED;
		names[count++] = arena_text(arena, plain);
	}
	if (delayed || count == 0) {
		s->service.route.names = names;
		s->service.route.name_count = count;
	}
}

/* Moves a list that the resolver has allocated into the arena. */
static void keep(struct arena *arena, struct net_addrs *list)
{
	struct net_addr *copy = arena_grown(arena, list->addr, list->count, sizeof *copy);

	free(list->addr);
	*list = (struct net_addrs){copy, copy ? list->count : 0};
}

void addresses_resolve(struct config *config, struct report *report)
{
	struct job job = {config, report, {.arena = &config->arena}};

	for (size_t i = 0; i < config->count; i++) {
		const struct config_section *s = config->section[i];

		note_names(&job, &s->accept_on, true);
		if (!s->delay)
			note_names(&job, &s->connect_to, false);
	}
	prefetch_run(&job.names);
	for (size_t i = 0; i < config->count; i++) {
		struct config_section *s = config->section[i];

		if (s->broken)
			continue;
		resolve_accept(&job, s);
		resolve_connect(&job, s);
		keep(&config->arena, &s->accept);
		keep(&config->arena, &s->service.route.targets);
		plan_compile(&s->service);
	}
	prefetch_free(&job.names);
}
