/* SPDX-License-Identifier: ISC */
#include "process/services.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool label_is_taken(const struct services *all, const char *label)
{
	for (size_t i = 0; i < all->count; i++)
		if (!strcmp(all->service[i].label, label))
			return true;
	return false;
}

/* NULL without memory. The caller frees it. */
static char *make_label(const struct services *all, const char *name)
{
	char *label = strdup(name);

	for (unsigned n = 2; label && label_is_taken(all, label); n++) {
		free(label);
		if (asprintf(&label, "%s#%u", name, n) < 0)
			label = NULL;
	}
	return label;
}

static void free_service(const struct figures_service *service)
{
	free(service->name);
	free(service->label);
	tally_free(service->tallies);
}

static bool add_service(struct services *all, const char *name, size_t workers)
{
	struct figures_service *grown = realloc(all->service, (all->count + 1) * sizeof *grown);
	struct figures_service *added;

	if (!grown)
		return false;
	all->service = grown;
	added = &grown[all->count];
	*added = (struct figures_service){strdup(name), make_label(all, name),
					  tally_new(name, figures_layout(), workers)};
	if (!added->name || !added->label || !added->tallies) {
		free_service(added);
		return false;
	}
	all->count++;
	return true;
}

/* Finds or adds *place in all->service of the nth section (from 0) of that name. */
static bool find_service(struct services *all, const char *name, size_t nth, size_t workers,
			 size_t *place)
{
	for (*place = 0; *place < all->count; ++*place)
		if (!strcmp(all->service[*place].name, name) && nth-- == 0)
			return true;
	return add_service(all, name, workers);
}

bool services_place(struct services *all, struct config *config, size_t workers)
{
	for (size_t i = 0; i < config->count; i++) {
		struct config_section *s = config->section[i];
		size_t nth = 0, place;

		for (size_t j = 0; j < i; j++)
			nth += !strcmp(config->section[j]->service.name, s->service.name);
		if (!find_service(all, s->service.name, nth, workers, &place))
			return false;
		s->service.admit.column = board_column(place);
		s->service.tallies = all->service[place].tallies;
	}
	return true;
}

bool services_find_left(struct services *all)
{
	const char *name;

	while ((name = tally_left(figures_layout())))
		if (!add_service(all, name, 1))
			return false;
	return true;
}

void services_free(struct services *all)
{
	while (all->count != 0)
		free_service(&all->service[--all->count]);
	free(all->service);
	all->service = NULL;
}
