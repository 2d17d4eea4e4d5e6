/* SPDX-License-Identifier: ISC */
#include "conn/backends.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/shared.h"

/* Of the name among names of shared memory; the caller frees it. */
static char *whole_name(const char *service)
{
	char *name;

	return asprintf(&name, "backends %s", service) < 0 ? NULL : name;
}

static uint64_t whole_layout(uint64_t layout)
{
	const size_t sizes[] = {sizeof(struct backend), offsetof(struct backend, connected)};

	return shared_layout(layout, sizes, sizeof sizes);
}

struct backends *backends_new(const char *service, uint64_t layout)
{
	char *name = whole_name(service);
	struct backends *all = name ? shared_map(name, whole_layout(layout), sizeof *all) : NULL;

	free(name);
	return all;
}

bool backends_left(const char *service, uint64_t layout)
{
	char *name = whole_name(service);
	bool left = name && shared_left(name, whole_layout(layout)) == sizeof(struct backends);

	free(name);
	return left;
}

void backends_free(struct backends *all)
{
	shared_unmap(all);
}

void backends_begin(struct backends *all)
{
	for (size_t i = 0; i < BACKENDS_MAX; i++)
		if (all->of[i].used)
			all->of[i].used = false;
}

struct backend *backends_enter(struct backends *all, const struct net_addr *addr)
{
	struct backend *unused = NULL;
	char text[NET_TEXT_MAX];

	net_text(addr, text);
	for (size_t i = BACKENDS_MAX; i-- > 0;) {
		struct backend *b = &all->of[i];

		if (!strcmp(b->text, text)) {
			b->used = true;
			return b;
		}
		/* One that was never used is better than one that some worker may still count. */
		if (!b->used && !(unused && !*unused->text && *b->text))
			unused = b;
	}
	if (!unused)
		return NULL;
	memset(unused, 0, sizeof *unused);
	memcpy(unused->text, text, sizeof text);
	unused->used = true;
	return unused;
}
