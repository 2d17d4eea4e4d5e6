/* SPDX-License-Identifier: ISC */
#include "preflight.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "options.h"

static void complain(struct report *report, const struct conf_line *line, const char *title,
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

/* A file that is to be opened or created: 0, or why that cannot be. */
static int check_file(char *path)
{
	char *slash = strrchr(path, '/');
	struct stat st;
	int error;

	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? EISDIR : 0;
	if (!slash || slash == path)
		return 0;
	*slash = '\0';
	error = check_folder(path);
	*slash = '/';
	return error;
}

static void check_path(const struct config *config, struct report *report, const char *path,
		       const struct conf_line *line, const char *title)
{
	char *full = conf_outside(&config->globals, path);
	int error = full ? check_file(full) : 0;

	if (error != 0)
		complain(report, line, title, full, error);
	free(full);
}

static void check_files(const struct config *config, struct report *report)
{
	const struct conf_globals *g = &config->globals;
	const struct conf_options *d = &config->defaults;
	int error = g->chroot ? check_folder(g->chroot) : 0;

	if (error != 0) {
		complain(report, options_line(d, "chroot"), "Global options", g->chroot, error);
		return; /* every path would be missing with it */
	}
	check_path(config, report, g->output, options_line(d, "output"), "Global options");
	check_path(config, report, g->pid, options_line(d, "pid"), "Global options");
	for (size_t i = 0; i < config->count; i++) {
		const struct conf_section *s = config->section[i];

		if (s->service.access && s->service.access->file)
			check_path(config, report, s->service.access->file->path,
				   options_line(&s->options, "accessLog"), s->title);
	}
}

/* Whether a listener of each could be there at the same time. */
static bool collide(const struct net_addrs *a, const struct net_addrs *b)
{
	for (size_t i = 0; i < a->count; i++)
		for (size_t j = 0; j < b->count; j++)
			if (net_equal(&a->addr[i], &b->addr[j]) && !net_is_any_port(&a->addr[i]))
				return true;
	return false;
}

static void check_addresses(const struct config *config, struct report *report)
{
	for (size_t i = 1; i < config->count; i++) {
		const struct conf_section *s = config->section[i];
		struct report_place place = {options_line(&s->options, "accept"), 0, s->title};

		for (size_t j = 0; j < i; j++)
			if (collide(&s->accept, &config->section[j]->accept))
				report_add(report, REPORT_ERROR, &place,
					   "%s listens on this address", config->section[j]->title);
	}
}

void preflight_check(const struct config *config, struct report *report)
{
	check_files(config, report);
	check_addresses(config, report);
}
