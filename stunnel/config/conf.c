/* SPDX-License-Identifier: ISC */
#include "config/conf.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/addresses.h"
#include "sys/log.h"
#include "config/options.h"
#include "config/preflight.h"
#include "config/report.h"
#include "config/section.h"
#include "tls/ctx.h"

#define LINE_MAX_BYTES 16383 /* stock splits longer ones silently; nobody relies on it */
#define INCLUDES_MAX 16	     /* nested; stock would loop for ever */
#define PATH_BYTES 4096
#define SHOWN_BYTES 400 /* of a line: the reason behind it must not fall off the log's line */

struct conf_kept {
	struct conf_kept *next;
	void *p;
};

struct reader {
	struct options_target target;
	struct conf_section *section; /* the open one, or NULL */
	struct report report;
	size_t order; /* of the last line */
	int depth;    /* of include */
	bool unread;  /* there was a file that could not be */
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

void *conf_keep_block(struct config *config, void *block)
{
	return keep(config, block);
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
	access_close(config->access);
	while (config->access) {
		struct access_file *next = config->access->next;

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

char *conf_outside(const struct conf_globals *g, const char *path)
{
	size_t size = (g->chroot ? strlen(g->chroot) : 0) + (path ? strlen(path) : 0) + 2;
	char *full = path ? malloc(size) : NULL;

	if (full)
		snprintf(full, size, "%s%s%s", g->chroot ? g->chroot : "",
			 g->chroot && path[0] != '/' ? "/" : "", path);
	return full;
}

/* --- the file's grammar ----------------------------------------------------------------------- */

static void refuse(struct reader *r, const char *why)
{
	struct report_place place = {.line = r->target.line};

	r->target.line->refused = true;
	report_add(&r->report, REPORT_ERROR, &place, "%s", why);
}

static void finish_section(struct reader *r, size_t last_line)
{
	if (r->section && !r->section->broken)
		section_finish(r->target.config, r->section, &r->report, last_line);
	r->section = NULL;
}

static struct conf_section *new_section(struct config *config, const char *name)
{
	struct conf_section **grown, *s = calloc(1, sizeof *s);
	char title[256];

	grown = realloc(config->section, (config->count + 1) * sizeof(struct conf_section *));
	if (grown)
		config->section = grown;
	if (!s || !grown) {
		free(s);
		return NULL;
	}
	snprintf(title, sizeof title, "Service [%.200s]", name);
	s->name = conf_keep(config, name);
	s->title = conf_keep(config, title);
	if (!s->name || !s->title) {
		free(s);
		return NULL;
	}
	s->options = config->defaults;
	config->section[config->count++] = s;
	return s;
}

static const char *open_section(struct reader *r, const char *name)
{
	struct conf_section *s = new_section(r->target.config, name);

	if (!s)
		return "Out of memory";
	r->section = s;
	r->target.options = &s->options;
	r->target.global = false;
	return NULL;
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

/*
 * `[NAME]`. What only begins so opens a section as well, so that the lines behind it are not taken
 * for the section's before.
 */
static const char *apply_header(struct reader *r, char *line)
{
	size_t len = strlen(line);
	bool whole = line[len - 1] == ']';
	const char *why;

	line[whole ? len - 1 : strcspn(line, "]")] = '\0';
	finish_section(r, r->order - 1);
	why = open_section(r, line + 1);
	if (why || whole)
		return why;
	r->section->broken = true;
	return "No '=' found, nor a ']' at the end of a section's name";
}

/* NULL, or what is wrong with the line. */
static const char *apply_line(struct reader *r, char *line)
{
	char *value = strchr(line, '=');
	const char *include, *why;
	size_t len = strlen(line);

	if (line[0] == '[' && (line[len - 1] == ']' || !value))
		return apply_header(r, line);
	if (!value) {
		options_spoilt(&r->target, line);
		return "No '=' found";
	}
	*value++ = '\0';
	why = options_apply(&r->target, trim(line), trim(value), &include);
	if (why || !include)
		return why;
	return read_directory(r, trim(value));
}

/* A line as it is called in messages. */
static struct conf_line *new_line(struct reader *r, const char *file, size_t number,
				  const char *text)
{
	struct config *config = r->target.config;
	struct conf_line *line = conf_keep_block(config, calloc(1, sizeof *line));
	size_t len = options_is_secret(text) ? strcspn(text, " \t\v\f=:") : strlen(text);
	bool secret = len != strlen(text), cut = len > SHOWN_BYTES;
	char shown[300 + SHOWN_BYTES + 64];

	snprintf(shown, sizeof shown, "%.300s:%zu: \"%.*s%s\"", file, number,
		 cut ? SHOWN_BYTES : (int)len, text,
		 cut	  ? "..."
		 : secret ? " = ..."
			  : "");
	if (line) {
		line->text = conf_keep(config, shown);
		line->order = ++r->order;
	}
	return line && line->text ? line : NULL;
}

/* The line as it stood there goes into messages: apply_line() writes into it. */
static bool read_line(struct reader *r, const char *file, size_t number, char *text, size_t len)
{
	bool too_long = len > LINE_MAX_BYTES, cut = strlen(text) != len;
	const char *why;
	char *line;

	drop_cr(text);
	line = trim(text);
	if (!too_long && !cut && (!*line || *line == ';' || *line == '#'))
		return true;
	r->target.line = new_line(r, file, number, line);
	if (!r->target.line)
		return false;
	why = too_long ? "The line is too long"
	      : cut    ? "The line holds a NUL byte"
		       : apply_line(r, line);
	if (why)
		refuse(r, why);
	return true;
}

static char *skip_bom(char *line)
{
	bool found = !strncmp(line, "\xef\xbb\xbf", 3);

	log_main(LOG_NOTICE, "UTF-8 byte order mark %s", found ? "detected" : "not detected");
	return found ? line + 3 : line;
}

static void out_of_memory(struct reader *r)
{
	report_add(&r->report, REPORT_ERROR, &(struct report_place){.order = r->order},
		   "Out of memory");
}

static void read_stream(struct reader *r, FILE *stream, const char *file)
{
	char *text = NULL;
	size_t size = 0, number = 0;
	bool ok = true;
	ssize_t len;

	while (ok && (len = getline(&text, &size, stream)) > 0) {
		char *begin = ++number == 1 ? skip_bom(text) : text;

		ok = read_line(r, file, number, begin, (size_t)(text + len - begin));
	}
	if (!ok)
		out_of_memory(r);
	free(text);
}

static void cannot_open(struct reader *r, const char *path)
{
	r->unread = true;
	report_add(&r->report, REPORT_ERROR, &(struct report_place){.order = r->order},
		   "Cannot open configuration file: %.300s: %s (%d)", path, strerror(errno), errno);
}

static void read_file(struct reader *r, const char *path)
{
	FILE *stream = fopen(path, "re");

	if (!stream) {
		cannot_open(r, path);
		return;
	}
	log_main(LOG_NOTICE, "Reading configuration from file %s", path);
	read_stream(r, stream, path);
	fclose(stream);
}

/*
 * Regular files of the directory in alphabetical order, whatever their names, as in stock. Returns
 * as apply_line().
 */
static const char *read_directory(struct reader *r, const char *path)
{
	struct dirent **entries;
	int count;

	if (r->depth == INCLUDES_MAX)
		return "Failed to include directory: too many of them in one another";
	count = scandir(path, &entries, NULL, alphasort);
	if (count < 0) {
		r->unread = true;
		snprintf(r->target.reason, sizeof r->target.reason,
			 "Failed to include directory: %s (%d)", strerror(errno), errno);
		return r->target.reason;
	}
	r->depth++;
	for (int i = 0; i < count; i++) {
		char file[PATH_BYTES];
		struct stat st;

		snprintf(file, sizeof file, "%.3800s/%s", path, entries[i]->d_name);
		if (stat(file, &st) == 0 && S_ISREG(st.st_mode))
			read_file(r, file);
		free(entries[i]);
	}
	free(entries);
	r->depth--;
	return NULL;
}

/* A daemon's directory is the root: a path that does not begin there means another file. */
static void check_path(struct reader *r, const char *option, const char *path, const char *what)
{
	const struct config *config = r->target.config;
	struct report_place place = {.line = options_line(&config->defaults, option),
				     .service = "Global options"};

	if (config->globals.foreground == CONF_BACKGROUND && path && path[0] != '/')
		report_add(&r->report, REPORT_ERROR, &place, "%s file must include full path name",
			   what);
}

static void check_globals(struct reader *r)
{
	const struct config *config = r->target.config;
	struct report_place place = {.order = r->order, .service = "Global options"};

	check_path(r, "output", config->globals.output, "Log");
	check_path(r, "pid", config->globals.pid, "Pid");
	if (config->count != 0 || r->unread)
		return;
	place.line = options_line(&config->defaults, "include");
	report_add(&r->report, REPORT_ERROR, &place, "%s",
		   place.line ? "No section: there is none in this directory either"
			      : "No section: inetd mode is not built yet");
}

static void read_fd(struct reader *r, int fd)
{
	char name[32];
	FILE *stream = fdopen(fd, "r");

	snprintf(name, sizeof name, "descriptor %d", fd);
	if (!stream) {
		cannot_open(r, name);
		return;
	}
	log_main(LOG_NOTICE, "Reading configuration from %s", name);
	read_stream(r, stream, name);
	if (fd > STDERR_FILENO)
		fclose(stream);
}

/* Whether it may be used. */
static bool judge(struct reader *r, enum conf_use use)
{
	bool strict = use == CONF_TEST;
	bool ok = r->report.count[REPORT_ERROR] == 0 &&
		  !(strict && r->report.count[REPORT_FAULT] != 0);

	report_tell(&r->report, strict);
	report_free(&r->report);
	log_main(ok ? LOG_NOTICE : LOG_ERR,
		 ok ? "Configuration successful" : "Configuration failed");
	return ok;
}

struct config *conf_load(const char *path, int fd, enum conf_use use)
{
	struct config *config = calloc(1, sizeof *config);
	struct reader r = {.target = {.config = config, .global = true}};

	if (!config) {
		log_main(LOG_ERR, "Out of memory");
		return NULL;
	}
	r.target.options = &config->defaults;
	r.target.report = &r.report;
	options_default(&r.target);
	if (fd >= 0)
		read_fd(&r, fd);
	else
		read_file(&r, path);
	finish_section(&r, r.order);
	addresses_resolve(config, &r.report);
	check_globals(&r);
	if (use == CONF_TEST)
		preflight_check(config, &r.report);
	if (judge(&r, use))
		return config;
	conf_free(config);
	return NULL;
}
