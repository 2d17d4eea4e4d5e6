/* SPDX-License-Identifier: ISC */
#include "process/services.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn/backends.h"
#include "sys/shared.h"

/* The nth service of a name, from 0 on. */
struct place {
	const char *name;
	size_t nth, index; /* in services.service */
	/* Of the first one: how many of the name there are, and were given in services_place(). */
	size_t count, given;
};

static int compare(const void *left, const void *right)
{
	const struct place *a = left, *b = right;
	int names = strcmp(a->name, b->name);

	return names != 0 ? names : (a->nth > b->nth) - (a->nth < b->nth);
}

static int compare_labels(const void *left, const void *right)
{
	return strcmp(left, right);
}

static struct place *find(const struct services *all, const char *name, size_t nth)
{
	const struct place key = {.name = name, .nth = nth};
	struct place **found = tfind(&key, &all->by_name, compare);

	return found ? *found : NULL;
}

/* Another service's name may be like it. NULL without memory. The caller frees it. */
static char *make_label(const struct services *all, const char *name)
{
	const struct place *first = find(all, name, 0);
	size_t n = first ? first->count : 0;
	char *label = NULL;

	do {
		free(label);
		n++;
		if (asprintf(&label, n == 1 ? "%s" : "%s#%zu", name, n) < 0)
			label = NULL;
	} while (label && tfind(label, &all->by_label, compare_labels));
	return label;
}

static void free_service(const struct figures_service *service)
{
	free(service->name);
	free(service->label);
	tally_free(service->tallies);
	backends_free(service->backends);
}

/* Enters the service that is to be the last one. */
static bool enter(struct services *all, const struct figures_service *service)
{
	struct place *place = calloc(1, sizeof *place), *first = find(all, service->name, 0);

	if (!place)
		return false;
	*place = (struct place){
		.name = service->name, .nth = first ? first->count : 0, .index = all->count};
	if (!first)
		first = place;
	if (!tsearch(service->label, &all->by_label, compare_labels)) {
		free(place);
		return false;
	}
	if (tsearch(place, &all->by_name, compare)) {
		first->count++;
		return true;
	}
	tdelete(service->label, &all->by_label, compare_labels);
	free(place);
	return false;
}

static bool add_service(struct services *all, const char *name, size_t workers)
{
	struct figures_service *grown = realloc(all->service, (all->count + 1) * sizeof *grown);
	struct figures_service *added;

	if (!grown)
		return false;
	all->service = grown;
	added = &grown[all->count];
	*added = (struct figures_service){
		.name = strdup(name),
		.label = make_label(all, name),
		.tallies = tally_new(name, all->layout, workers),
		.backends =
			backends_left(name, all->layout) ? backends_new(name, all->layout) : NULL,
	};
	if (added->name && added->label && added->tallies && enter(all, added)) {
		all->count++;
		return true;
	}
	free_service(added);
	return false;
}

static void forget_given(const void *node, VISIT visit, int depth)
{
	(void)depth;
	if (visit == postorder || visit == leaf)
		(*(struct place *const *)node)->given = 0;
}

static size_t target_count(const struct conn_service *s)
{
	size_t count = s->route.targets.count + s->redirect.targets.count;

	for (size_t i = 0; i < s->alpn_count; i++)
		count += s->alpn[i].route.targets.count;
	return count;
}

static void enter_targets(struct backends *backends, struct config *config,
			  struct conn_route *route)
{
	size_t count = route->targets.count;

	if (count != 0)
		route->backend = arena_alloc(&config->arena, count * sizeof *route->backend);
	for (size_t i = 0; route->backend && i < count; i++)
		route->backend[i] = backends_enter(backends, &route->targets.addr[i]);
}

/* Tells the addresses of a service apart if it has several; false without memory. */
static bool place_targets(const struct services *all, struct figures_service *service,
			  struct config *config, struct conn_service *s)
{
	if (service->backends)
		backends_begin(service->backends);
	if (target_count(s) < 2)
		return true;
	if (!service->backends)
		service->backends = backends_new(service->name, all->layout);
	if (!service->backends)
		return false;
	enter_targets(service->backends, config, &s->route);
	enter_targets(service->backends, config, &s->redirect);
	for (size_t i = 0; i < s->alpn_count; i++)
		enter_targets(service->backends, config, &s->alpn[i].route);
	return true;
}

bool services_place(struct services *all, struct config *config, size_t workers)
{
	twalk(all->by_name, forget_given);
	for (size_t i = 0; i < config->count; i++) {
		struct conn_service *s = &config->section[i]->service;
		struct place *first = find(all, s->name, 0), *place;

		if ((!first || first->given == first->count) && !add_service(all, s->name, workers))
			return false;
		first = find(all, s->name, 0);
		place = find(all, s->name, first->given++);
		s->admit.column = board_column(place->index);
		s->tallies = all->service[place->index].tallies;
		if (!place_targets(all, &all->service[place->index], config, s))
			return false;
	}
	return true;
}

bool services_find_left(struct services *all)
{
	const char *name;

	all->layout = figures_layout();
	while ((name = tally_left(all->layout)))
		if (!add_service(all, name, 1))
			return false;
	return true;
}

uint64_t services_meaning(const void *services, size_t columns)
{
	const struct services *all = services;
	uint64_t meaning = shared_layout(0, &columns, sizeof columns);

	for (size_t i = 0; i < all->count && board_column(i) < columns; i++)
		meaning = shared_layout(meaning, all->service[i].label,
					strlen(all->service[i].label) + 1);
	return meaning;
}

static void keep_label(void *label)
{
	(void)label;
}

void services_free(struct services *all)
{
	tdestroy(all->by_name, free);
	tdestroy(all->by_label, keep_label);
	while (all->count != 0)
		free_service(&all->service[--all->count]);
	free(all->service);
	*all = (struct services){0};
}
