/* SPDX-License-Identifier: ISC */
#include "config/config.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/log_file.h"
#include "sys/shared.h"

struct config_section *config_section_new(struct config *config, const char *name)
{
	struct arena *arena = &config->arena;
	struct config_section *s = arena_alloc(arena, sizeof *s);
	struct config_section **grown =
		arena_grow(arena, config->section, config->count, sizeof *grown);

	if (!s || !grown)
		return NULL;
	*s = config->defaults;
	config->draft = config->initial;
	config_section_draft(s, &config->draft);
	s->service.name = s->tls.service = arena_text(arena, name);
	s->title = arena_format(arena, "Service [%.200s]", name);
	s->service.index = config->count;
	config->section = grown;
	config->section[config->count++] = s;
	return arena->failed ? NULL : s;
}

void config_section_draft(struct config_section *s, struct config_draft *draft)
{
	s->draft = draft;
	s->service.policy = &draft->policy;
	s->service.options = &draft->options;
}

void config_section_complete(struct config *config, struct config_section *s)
{
	const struct service *policy =
		arena_share(&config->arena, &s->draft->policy, sizeof *policy);
	const struct net_options *options =
		arena_share(&config->arena, &s->draft->options, sizeof *options);

	if (!policy || !options)
		return;
	s->service.policy = policy;
	s->service.options = options;
	s->draft = NULL;
}

struct config_section *config_section_named(struct config *config, const char *name, size_t len)
{
	for (size_t i = 0; i < config->count; i++) {
		const char *known = config->section[i]->service.name;

		if (strlen(known) == len && !memcmp(known, name, len))
			return config->section[i];
	}
	return NULL;
}

bool config_has_standard(const struct config *config, const char *word)
{
	return config->globals.foreground != CONFIG_BACKGROUND &&
	       !(config->inetd && log_file_standard(word) == STDOUT_FILENO);
}

const char *config_outside(struct config *config, const char *path)
{
	const char *root = config->globals.chroot;

	if (!path || !root)
		return path;
	return arena_format(&config->arena, path[0] == '/' ? "%s%s" : "%s/%s", root, path);
}

/* `connect`, `redirect` and each protocol of `alpnConnect`. */
static size_t route_count(const struct config *config)
{
	size_t count = 0;

	for (size_t i = 0; i < config->count; i++)
		count += 2 + config->section[i]->service.alpn_count;
	return count;
}

static size_t turns_size(const struct config *config)
{
	return route_count(config) * sizeof(_Atomic size_t);
}

bool config_count_turns(struct config *config)
{
	_Atomic size_t *turn;

	if (config->count == 0)
		return true;
	turn = shared_new(turns_size(config));
	if (!turn)
		return false;
	config->turns = turn;
	for (size_t i = 0; i < config->count; i++) {
		struct conn_service *service = &config->section[i]->service;

		service->route.turn = turn++;
		service->redirect.turn = turn++;
		for (size_t n = 0; n < service->alpn_count; n++)
			service->alpn[n].route.turn = turn++;
	}
	return true;
}

static void drop_section_keys(struct config_section *s)
{
	tls_ctx_free(s->service.tls);
	s->service.tls = NULL;
	tls_tickets_forget(&s->tls.ticket_key);
	tls_tickets_forget(&s->tls.ticket_mac);
}

void config_drop_keys(struct config *config)
{
	for (size_t i = 0; i < config->count; i++)
		drop_section_keys(config->section[i]);
	drop_section_keys(&config->defaults);
}

void config_free(struct config *config)
{
	if (!config)
		return;
	config_drop_keys(config);
	shared_free(config->turns, turns_size(config));
	access_close(config->access);
	access_unshare(config->access);
	arena_free(&config->arena);
	free(config);
#ifdef __GLIBC__
	malloc_trim(0); /* what lies below a newer configuration is not returned otherwise */
#endif
}
