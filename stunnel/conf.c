/* SPDX-License-Identifier: ISC */
#include "conf.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "options.h"
#include "section.h"
#include "tls_ctx.h"

#define LINE_MAX_BYTES 16383 /* stock splits longer ones silently; nobody relies on it */
#define INCLUDES_MAX 16	     /* nested; stock would loop for ever */
#define PATH_BYTES 4096

struct conf_kept {
	struct conf_kept *next;
	void *p;
};

struct reader {
	struct options_target target;
	struct conf_section *section; /* the open one, or NULL */
	int depth;		      /* of include */
	char *why;		      /* CONF_WHY_MAX bytes */
	char reason[128];	      /* of a line's failure, where that is not a fixed text */
};

/* --- memory ----------------------------------------------------------------------------------- */

static void *keep(struct config *config, void *p)
{
	struct conf_kept *kept = malloc(sizeof *kept);

	if (!p || !kept) {
		free(p);
		free(kept);
		return NULL;
	}
	kept->p = p;
	kept->next = config->kept;
	config->kept = kept;
	return p;
}

const char *conf_keep(struct config *config, const char *text)
{
	return keep(config, strdup(text));
}

const char **conf_keep_items(struct config *config, const char **items)
{
	return keep(config, items);
}

static void free_section(struct conf_section *s)
{
	tls_ctx_free(s->service.tls);
	free(s->service.targets.addr);
	free(s->service.sni);
	free(s->service.trusted);
	free(s->service.proxy_peers);
	free(s->service.access);
	free(s->accept.addr);
	free(s);
}

void conf_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->count; i++)
		free_section(config->section[i]);
	free(config->section);
	while (config->access) {
		struct access_file *next = config->access->next;

		access_close(config->access);
		free(config->access);
		config->access = next;
	}
	while (config->kept) {
		struct conf_kept *next = config->kept->next;

		free(config->kept->p);
		free(config->kept);
		config->kept = next;
	}
	free(config);
}

/* --- the file's grammar ----------------------------------------------------------------------- */

static bool finish_section(struct reader *r)
{
	return !r->section || section_finish(r->target.config, r->section, r->why);
}

static bool open_section(struct reader *r, const char *name)
{
	struct config *config = r->target.config;
	struct conf_section **grown, *s = calloc(1, sizeof *s);

	grown = realloc(config->section, (config->count + 1) * sizeof(struct conf_section *));
	if (grown)
		config->section = grown;
	if (!s || !grown) {
		free(s);
		snprintf(r->why, CONF_WHY_MAX, "Out of memory");
		return false;
	}
	config->section[config->count++] = s;
	s->name = conf_keep(config, name);
	s->options = config->defaults;
	r->section = s;
	r->target.options = &s->options;
	r->target.global = false;
	return s->name != NULL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\v' || c == '\f';
}

/* Without white space at both ends, in place. */
static char *trim(char *text)
{
	size_t len;

	while (is_blank(*text))
		text++;
	len = strlen(text);
	while (len != 0 && is_blank(text[len - 1]))
		text[--len] = '\0';
	return text;
}

/* Every CR goes, wherever it stands, as in stock. */
static void drop_cr(char *text)
{
	char *to = text;

	for (; *text; text++)
		if (*text != '\r')
			*to++ = *text;
	*to = '\0';
}

static const char *read_directory(struct reader *r, const char *path);

/* NULL, or what is wrong with the line; "" if r->why says it already. */
static const char *apply_line(struct reader *r, char *line)
{
	char *value = strchr(line, '=');
	const char *include, *why;
	size_t len = strlen(line);

	if (line[0] == '[' && line[len - 1] == ']') {
		line[len - 1] = '\0';
		return finish_section(r) && open_section(r, line + 1) ? NULL : "";
	}
	if (!value)
		return "No '=' found";
	*value++ = '\0';
	why = options_apply(&r->target, trim(line), trim(value), &include);
	if (why || !include)
		return why;
	return read_directory(r, trim(value));
}

/* The line as it stood there, for the message: apply_line() writes into it. */
static bool read_line(struct reader *r, const char *file, size_t number, char *text)
{
	char where[1600];
	const char *why;
	char *line;

	drop_cr(text);
	line = trim(text);
	if (!*line || *line == ';' || *line == '#')
		return true;
	snprintf(where, sizeof where, "%.500s:%zu: \"%.1000s\"", file, number, line);
	r->target.where = conf_keep(r->target.config, where);
	why = apply_line(r, line);
	if (!why)
		return true;
	if (*why)
		snprintf(r->why, CONF_WHY_MAX, "%s: %s", where, why);
	return false;
}

static char *skip_bom(char *line)
{
	bool found = !strncmp(line, "\xef\xbb\xbf", 3);

	log_main(LOG_NOTICE, "UTF-8 byte order mark %s", found ? "detected" : "not detected");
	return found ? line + 3 : line;
}

static bool read_stream(struct reader *r, FILE *stream, const char *file)
{
	char *text = NULL;
	size_t size = 0, number = 0;
	bool ok = true;
	ssize_t len;

	while (ok && (len = getline(&text, &size, stream)) > 0) {
		number++;
		if (len > LINE_MAX_BYTES || memchr(text, 0, (size_t)len)) {
			snprintf(r->why, CONF_WHY_MAX, "%.500s:%zu: \"%.40s\": %s", file, number,
				 text,
				 len > LINE_MAX_BYTES ? "The line is too long"
						      : "The line holds a NUL byte");
			ok = false;
			break;
		}
		ok = read_line(r, file, number, number == 1 ? skip_bom(text) : text);
	}
	free(text);
	return ok;
}

static bool cannot_open(struct reader *r, const char *what, const char *path)
{
	snprintf(r->why, CONF_WHY_MAX, "%s: %.500s: %s (%d)", what, path, strerror(errno), errno);
	return false;
}

static bool read_file(struct reader *r, const char *path)
{
	FILE *stream = fopen(path, "re");
	bool ok;

	if (!stream)
		return cannot_open(r, "Cannot open configuration file", path);
	log_main(LOG_NOTICE, "Reading configuration from file %s", path);
	ok = read_stream(r, stream, path);
	fclose(stream);
	return ok;
}

/*
 * Regular files of the directory in alphabetical order, whatever their names, as in stock. Returns
 * as apply_line().
 */
static const char *read_directory(struct reader *r, const char *path)
{
	struct dirent **entries;
	int count;
	bool ok = true;

	if (r->depth == INCLUDES_MAX)
		return "Failed to include directory: too many of them in one another";
	count = scandir(path, &entries, NULL, alphasort);
	if (count < 0) {
		snprintf(r->reason, sizeof r->reason, "Failed to include directory: %s (%d)",
			 strerror(errno), errno);
		return r->reason;
	}
	r->depth++;
	for (int i = 0; i < count; i++) {
		char file[PATH_BYTES];
		struct stat st;

		snprintf(file, sizeof file, "%.3800s/%s", path, entries[i]->d_name);
		if (ok && stat(file, &st) == 0 && S_ISREG(st.st_mode))
			ok = read_file(r, file);
		free(entries[i]);
	}
	free(entries);
	r->depth--;
	return ok ? NULL : "";
}

static bool check_globals(struct reader *r)
{
	const struct conf_globals *g = &r->target.config->globals;
	const char *why = NULL;

	if (r->target.config->count == 0)
		why = "No section: inetd mode is not built yet";
	else if (g->foreground == CONF_BACKGROUND && g->output && g->output[0] != '/')
		why = "Log file must include full path name";
	else if (g->foreground == CONF_BACKGROUND && g->pid && g->pid[0] != '/')
		why = "Pid file must include full path name";
	if (!why)
		return true;
	snprintf(r->why, CONF_WHY_MAX, "Global options: %s", why);
	return false;
}

static bool read_fd(struct reader *r, int fd)
{
	char name[32];
	FILE *stream = fdopen(fd, "r");
	bool ok;

	snprintf(name, sizeof name, "descriptor %d", fd);
	if (!stream)
		return cannot_open(r, "Cannot open configuration file", name);
	log_main(LOG_NOTICE, "Reading configuration from %s", name);
	ok = read_stream(r, stream, name);
	if (fd > STDERR_FILENO)
		fclose(stream);
	return ok;
}

struct config *conf_load(const char *path, int fd, char why[static CONF_WHY_MAX])
{
	struct config *config = calloc(1, sizeof *config);
	struct reader r = {.why = why};

	snprintf(why, CONF_WHY_MAX, "Out of memory");
	if (!config)
		return NULL;
	r.target = (struct options_target){config, &config->defaults, true, NULL};
	options_default(&r.target);
	if ((fd >= 0 ? read_fd(&r, fd) : read_file(&r, path)) && finish_section(&r) &&
	    check_globals(&r)) {
		log_main(LOG_NOTICE, "Configuration successful");
		return config;
	}
	conf_free(config);
	return NULL;
}
