/* SPDX-License-Identifier: ISC */
#include "config/preflight.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sys/net.h"
#include "config/table.h"

static void complain(struct report *report, const struct report_line *line, const char *title,
		     const char *path, int error)
{
	report_add(report, REPORT_ERROR, &(struct report_place){.line = line, .service = title},
		   "%.300s: %s (%d)", path, strerror(error), error);
}

static int check_folder(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return errno;
	return S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
}

/* errno of a file that could neither be opened nor created; 0: it could. */
static int check_file(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];
	struct stat st;

	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? EISDIR : 0;
	if (!slash || slash == path)
		return 0;
	if ((size_t)snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path) >=
	    sizeof folder)
		return ENAMETOOLONG;
	return check_folder(folder);
}

static void check_path(struct config *config, struct report *report, const char *path,
		       const struct report_line *line, const char *title)
{
	const char *full = config_outside(config, path);
	int error = full ? check_file(full) : 0;

	if (error != 0)
		complain(report, line, title, full, error);
}

static void check_files(struct config *config, struct report *report)
{
	const struct config_globals *g = &config->globals;
	const struct config_section *d = &config->defaults;
	int error = g->chroot ? check_folder(g->chroot) : 0;

	if (error != 0) {
		complain(report, table_line(d, "chroot"), "Global options", g->chroot, error);
		return; /* every path inside would be reported as well */
	}
	check_path(config, report, g->output, table_line(d, "output"), "Global options");
	check_path(config, report, g->pid, table_line(d, "pid"), "Global options");
	for (size_t i = 0; i < config->count; i++) {
		const struct config_section *s = config->section[i];

		if (s->service.access && s->service.access->file)
			check_path(config, report, s->service.access->file->path,
				   table_line(s, "accessLog"), s->title);
	}
}

/* Unix sockets are bound before workers enter the chroot: their paths are those outside. */
static void check_socket_folders(struct config *config, struct report *report)
{
	for (size_t i = 0; i < config->count; i++) {
		const struct config_section *s = config->section[i];

		for (size_t j = 0; j < s->accept.count; j++) {
			struct net_addr addr = s->accept.addr[j];
			int error = net_is_unix(&addr) ? check_file(addr.u.un.sun_path) : 0;

			if (error != 0)
				complain(report, table_line(s, "accept"), s->title,
					 addr.u.un.sun_path, error);
		}
	}
}

/* A listening socket that a start would make. */
struct listener {
	const struct net_addr *addr;
	const struct config_section *section;
};

static const struct listener *in_the_way(const struct listener *listeners, size_t count,
					 const struct listener *wanted)
{
	for (size_t i = 0; i < count; i++)
		if (net_collide(listeners[i].addr, listeners[i].section->service.options,
				wanted->addr, wanted->section->service.options))
			return &listeners[i];
	return NULL;
}

/* Adds what a start would bind. One address is enough for a section: others are only warned of. */
static size_t add_listeners(struct listener *listeners, size_t count,
			    const struct config_section *s, struct report *report)
{
	struct report_place place = {table_line(s, "accept"), 0, s->title};
	const struct config_section *by = NULL;
	size_t before = count;

	for (size_t i = 0; i < s->accept.count; i++) {
		struct listener wanted = {&s->accept.addr[i], s};
		const struct listener *found = in_the_way(listeners, count, &wanted);

		if (!found)
			listeners[count++] = wanted;
		else if (!by && found->section != s)
			by = found->section;
	}
	if (by)
		report_add(report, count == before ? REPORT_ERROR : REPORT_WARNING, &place,
			   "%s listens on this address", by->title);
	return count;
}

static void check_addresses(struct config *config, struct report *report)
{
	struct listener *listeners;
	size_t count = 0;

	for (size_t i = 0; i < config->count; i++)
		count += config->section[i]->accept.count;
	listeners = arena_alloc(&config->arena, count * sizeof *listeners);
	if (!listeners)
		return;
	count = 0;
	for (size_t i = 0; i < config->count; i++)
		count = add_listeners(listeners, count, config->section[i], report);
}

void preflight_check(struct config *config, struct report *report)
{
	check_files(config, report);
	check_socket_folders(config, report);
	check_addresses(config, report);
}
