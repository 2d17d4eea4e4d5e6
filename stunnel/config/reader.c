/* SPDX-License-Identifier: ISC */
#include "config/reader.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/addresses.h"
#include "config/metrics.h"
#include "config/preflight.h"
#include "config/report.h"
#include "config/section.h"
#include "config/table.h"
#include "sys/log.h"
#include "sys/log_file.h"

#define LINE_MAX_BYTES 16383 /* stock splits longer lines silently, on which nobody relies */
#define INCLUDES_MAX 16	     /* directories within one another; stock would loop for ever */
#define PATH_BYTES 4096
#define SHOWN_BYTES 400 /* of a line: the reason behind must still fit in the log's line */

struct reader {
	struct table_target target;
	struct config_section *section; /* the open one, or NULL */
	struct report report;
	size_t order; /* of the last line, see struct report_line */
	int depth;    /* of `include`s that are being read */
	bool pem;     /* in a certificate or key that stands in the file */
	bool unread;  /* a file could not be opened, or not be read */
};

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
	if (r->section)
		config_section_complete(r->target.config, r->section);
	r->section = NULL;
}

static void open_section(struct reader *r, const char *name)
{
	struct config *config = r->target.config;
	struct config_section *s = config_section_new(config, name);

	if (!s || !table_inherit(s, &config->arena))
		return;
	r->section = r->target.section = s;
	r->target.global = false;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\v' || c == '\f';
}

/* The text without white space at both ends; shortened in place. */
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

/* Stock ignores every CR, wherever it stands. */
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
 * Opens a section for `[NAME]`, and for a line that only begins so: else the lines behind it would
 * be taken for lines of the section before.
 */
static const char *apply_header(struct reader *r, char *line)
{
	size_t len = strlen(line);
	bool whole = line[len - 1] == ']';

	line[whole ? len - 1 : strcspn(line, "]")] = '\0';
	finish_section(r, r->order - 1);
	open_section(r, line + 1);
	if (whole || !r->section)
		return NULL;
	r->section->broken = true;
	return "No '=' found, nor a ']' at the end of a section's name";
}

/* Applies a line, and writes into it; NULL, or what is wrong with the line. */
static const char *apply_line(struct reader *r, char *line)
{
	char *value = strchr(line, '=');
	const char *include, *why;
	size_t len = strlen(line);

	if (line[0] == '[' && (line[len - 1] == ']' || !value))
		return apply_header(r, line);
	if (!value)
		return table_spoilt(&r->target, line);
	*value++ = '\0';
	why = table_apply(&r->target, trim(line), trim(value), &include);
	if (why || !include)
		return why;
	return read_directory(r, trim(value));
}

/* A line as messages show it, without a secret value; NULL without memory. */
static struct report_line *new_line(struct reader *r, const char *file, size_t number,
				    const char *text)
{
	struct arena *arena = &r->target.config->arena;
	struct report_line *line = arena_alloc(arena, sizeof *line);
	size_t len = table_is_secret(text) ? strcspn(text, " \t\v\f=:") : strlen(text);
	bool secret = len != strlen(text), cut = len > SHOWN_BYTES;

	if (!line)
		return NULL;
	line->order = ++r->order;
	line->text = arena_format(arena, "%.300s:%zu: \"%.*s%s\"", file, number,
				  cut ? SHOWN_BYTES : (int)len, text,
				  cut	   ? "..."
				  : secret ? " = ..."
					   : "");
	return line;
}

/* Of a key that was put into the configuration nothing may be shown but that it is there. */
static bool begins_pem(const char *line)
{
	return !strncmp(line, "-----BEGIN ", 11);
}

/* Whether the line is one of those behind -----BEGIN, up to -----END. */
static bool is_inside_pem(struct reader *r, const char *line)
{
	bool inside = r->pem;

	r->pem = inside ? strncmp(line, "-----END ", 9) != 0 : begins_pem(line);
	return inside;
}

static void read_line(struct reader *r, const char *file, size_t number, char *text, size_t len)
{
	bool too_long = len > LINE_MAX_BYTES, cut = strlen(text) != len;
	const char *why;
	char *line;

	drop_cr(text);
	line = trim(text);
	if (is_inside_pem(r, line))
		return;
	if (!too_long && !cut && (!*line || *line == ';' || *line == '#'))
		return;
	r->target.line = new_line(r, file, number, line);
	if (!r->target.line)
		return;
	why = too_long ? "The line is too long"
	      : cut    ? "The line holds a NUL byte"
	      : begins_pem(line)
		      ? "Certificates and keys stand in files of their own, which 'cert', "
			"'key' and 'CAfile' name"
		      : apply_line(r, line);
	if (why)
		refuse(r, why);
}

static char *skip_bom(char *line)
{
	bool found = !strncmp(line, "\xef\xbb\xbf", 3);

	log_main(LOG_NOTICE, "UTF-8 byte order mark %s", found ? "detected" : "not detected");
	return found ? line + 3 : line;
}

/* As an editor of Windows writes it: each of its lines would be told of a NUL byte. */
static bool is_utf16(const char *line)
{
	return !strncmp(line, "\xff\xfe", 2) || !strncmp(line, "\xfe\xff", 2);
}

static void read_stream(struct reader *r, FILE *stream, const char *file)
{
	const struct arena *arena = &r->target.config->arena;
	char *text = NULL;
	size_t size = 0, number = 0;
	ssize_t len;

	while (!arena->failed && (len = getline(&text, &size, stream)) > 0) {
		char *begin = ++number == 1 ? skip_bom(text) : text;

		if (number == 1 && is_utf16(begin)) {
			report_add(&r->report, REPORT_ERROR,
				   &(struct report_place){.order = r->order},
				   "%.300s: The file is written in UTF-16: save it as UTF-8", file);
			r->unread = true;
			break;
		}
		read_line(r, file, number, begin, (size_t)(text + len - begin));
	}
	free(text);
	r->pem = false;
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
 * Reads the regular files of a directory in alphabetical order, whatever their names, as in stock.
 * NULL, or what is wrong with the line that includes the directory.
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

/* A daemon changes to the root directory, from where a relative path means another file. */
static void check_path(struct reader *r, const char *option, const char *path, const char *what)
{
	const struct config *config = r->target.config;
	struct report_place place = {.line = table_line(&config->defaults, option),
				     .service = "Global options"};

	if (path && log_file_standard(path) >= 0 && !config_has_standard(config, path))
		report_add(&r->report, REPORT_ERROR, &place, CONFIG_NO_STANDARD, path);
	else if (config->globals.foreground == CONFIG_BACKGROUND && !config->inetd && path &&
		 path[0] != '/')
		report_add(&r->report, REPORT_ERROR, &place, "%s file must include full path name",
			   what);
}

static void check_globals(struct reader *r)
{
	const struct config *config = r->target.config;

	check_path(r, "output", config->globals.output, "Log");
	if (config->inetd)
		return;
	check_path(r, "pid", config->globals.pid, "Pid");
}

/* Without a section the lines are a service's whose client is there (inetd). */
static void open_inetd(struct reader *r)
{
	struct config *config = r->target.config;
	const struct config_section *d = &config->defaults;
	struct report_place place = {.line = table_line(d, "include"), .service = "Global options"};

	if (config->count != 0 || r->unread)
		return;
	if (place.line && d->connect_to.count == 0 && !d->service.program.path) {
		report_add(&r->report, REPORT_ERROR, &place,
			   "No section: there is none in this directory either");
		return;
	}
	config->inetd = true;
	open_section(r, config->globals.service);
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

/* Whether the configuration may be used. What a load without memory has reported is forgotten. */
static bool judge(struct reader *r, enum reader_use use)
{
	bool strict = use == READER_TEST;
	bool ok;

	if (r->target.config->arena.failed) {
		report_free(&r->report);
		report_add(&r->report, REPORT_ERROR, &(struct report_place){0}, "Out of memory");
	}
	ok = r->report.count[REPORT_ERROR] == 0 && !(strict && r->report.count[REPORT_FAULT] != 0);
	report_tell(&r->report, strict);
	report_free(&r->report);
	log_main(ok ? LOG_NOTICE : LOG_ERR,
		 ok ? "Configuration successful" : "Configuration failed");
	return ok;
}

/* Checks and makes what takes all lines. */
static void finish(struct reader *r, enum reader_use use)
{
	struct config *config = r->target.config;

	open_inetd(r);
	finish_section(r, r->order);
	metrics_make(config, &r->report);
	section_index_names(config);
	addresses_resolve(config, &r->report);
	check_globals(r);
	if (use == READER_TEST)
		preflight_check(config, &r->report);
}

struct config *reader_load(const char *path, int fd, enum reader_use use)
{
	struct config *config = calloc(1, sizeof *config);
	struct reader r = {.target = {.config = config, .global = true}};

	if (!config) {
		log_main(LOG_ERR, "Out of memory");
		return NULL;
	}
	r.target.section = &config->defaults;
	r.target.report = &r.report;
	table_default(&r.target);
	if (fd >= 0)
		read_fd(&r, fd);
	else
		read_file(&r, path);
	if (!config->arena.failed)
		finish(&r, use);
	if (judge(&r, use))
		return config;
	config_free(config);
	return NULL;
}
