/* SPDX-License-Identifier: ISC */
#include "config/table.h"

#include <string.h>
#include <strings.h>
#include <syslog.h>

#include "config/rows.h"
#include "config/suggest.h"

/* --- applying --------------------------------------------------------------------------------- */

static const char *set(struct table_target *t, const struct row *row, const char *value)
{
	struct span word = {0};
	const char *why;
	struct config_globals ignored = {0}, *globals = t->global ? &t->config->globals : &ignored;
	const struct config_section *defaults = &t->config->defaults;
	char *base = row->scope == BEFORE_SECTIONS ? (char *)globals
		     : row->draft		   ? (char *)t->section->draft
						   : (char *)t->section;
	struct values_input in = {
		.value = value,
		.option = row->name,
		.bounds = &row->bounds,
		.line = t->line,
		.inherited = t->section != defaults &&
			     t->section->line[row - rows_all] == defaults->line[row - rows_all],
		.arena = &t->config->arena,
		.facility = t->global ? &globals->facility : NULL,
		.word = &word,
	};

	why = row->set(&in, base + row->offset);
	if (!why || word.len == 0)
		return why;
	snprintf(t->reason, sizeof t->reason, "%s: %.*s", why, word.len < 100 ? (int)word.len : 100,
		 word.p);
	return t->reason;
}

bool table_inherit(struct config_section *s, struct arena *arena)
{
	const size_t bytes = rows_count * sizeof(struct report_line *);
	struct report_line **own = arena_alloc(arena, bytes);

	if (own && s->line)
		memcpy(own, s->line, bytes);
	s->line = own;
	return own != NULL;
}

void table_default(struct table_target *t)
{
	config_section_draft(t->section, &t->config->initial);
	net_options_default(&t->section->draft->options);
	service_default(&t->section->draft->policy);
	t->config->globals.facility = LOG_DAEMON;
	table_inherit(t->section, &t->config->arena);
	for (size_t i = 0; i < rows_count; i++)
		if (rows_all[i].initial)
			set(t, &rows_all[i], rows_all[i].initial);
}

static bool may_stand(const struct row *row, bool global)
{
	switch (row->scope) {
	case BEFORE_SECTIONS:
		return global || row->in_section;
	case ANYWHERE:
		return true;
	case INSIDE_SECTION:
		return !global;
	}
	return false;
}

/* The option of that name that may stand there: options of one name are for different places. */
static const struct row *find(const char *name, size_t len, bool global)
{
	for (size_t i = 0; i < rows_count; i++)
		if (!strncasecmp(name, rows_all[i].name, len) && !rows_all[i].name[len] &&
		    may_stand(&rows_all[i], global))
			return &rows_all[i];
	return NULL;
}

/* A refused line counts as its option's as well: nobody is told that the option is missing. */
static void note_line(struct table_target *t, const struct row *row, bool refused)
{
	t->section->line[row - rows_all] = t->line;
	t->line->refused |= refused;
}

const char *table_spoilt(struct table_target *t, const char *text)
{
	static const char missing[] = "No '=' found";
	const struct row *row = find(text, strcspn(text, " \t:"), t->global);

	if (!row)
		return missing;
	note_line(t, row, true);
	snprintf(t->reason, sizeof t->reason, "%s: write %s = VALUE", missing, row->name);
	return t->reason;
}

static const struct row *nearest(const char *name)
{
	const struct row *found = NULL;
	int least = SUGGEST_FAR;

	for (size_t i = 0; i < rows_count; i++) {
		int distance = suggest_distance(name, rows_all[i].name);

		if (distance >= least)
			continue;
		least = distance;
		found = &rows_all[i];
	}
	return found;
}

/* The reason to refuse a name, with what may have been meant; row: a global option, or NULL. */
static const char *refuse_name(struct table_target *t, const struct row *row, const char *name)
{
	static const char invalid[] = "Specified option name is not valid here";
	const char *as, *option;

	if (row) {
		snprintf(t->reason, sizeof t->reason, "%s: it stands before the first section",
			 invalid);
		return t->reason;
	}
	option = suggest_foreign(name, &as);
	if (as && !option) {
		snprintf(t->reason, sizeof t->reason, "%s: %s", invalid, as);
		return t->reason;
	}
	row = option ? find(option, strlen(option), t->global) : nearest(name);
	if (!row)
		return invalid;
	note_line(t, row, true);
	snprintf(t->reason, sizeof t->reason, as ? "%s: write %s" : "%s: did you mean %s?", invalid,
		 as ? as : row->name);
	return t->reason;
}

bool table_is_secret(const char *line)
{
	const struct row *row;
	char name[64];

	snprintf(name, sizeof name, "%.*s", (int)strcspn(line, " \t\v\f=:"), line);
	row = find(name, strlen(name), false);
	if (!row)
		row = nearest(name);
	return row && row->secret;
}

static void note_idle(struct table_target *t, const struct row *row)
{
	struct report_place place = {.line = t->line};

	if (row->set == values_idle)
		report_add(t->report, REPORT_NOTE, &place, "It has no effect here: %s", row->help);
	else if (row->set == values_send_proxy)
		report_add(t->report, REPORT_NOTE, &place, "Newer files have protocol = proxy");
	else if (row->scope == BEFORE_SECTIONS && !t->global)
		report_add(t->report, REPORT_WARNING, &place, "It has no effect here: %s",
			   row->in_section);
}

/* A value goes on to the end of its line, as in stock. */
static bool has_comment(const char *value)
{
	for (; *value; value++)
		if ((*value == ' ' || *value == '\t') && (value[1] == ';' || value[1] == '#'))
			return true;
	return false;
}

static const char *explain_comment(struct table_target *t, const char *why)
{
	char reason[sizeof t->reason];

	snprintf(reason, sizeof reason, "%s", why);
	snprintf(t->reason, sizeof t->reason, "%.200s: comments stand on lines of their own",
		 reason);
	return t->reason;
}

const char *table_apply(struct table_target *t, const char *name, const char *value,
			const char **include)
{
	const struct row *row = find(name, strlen(name), t->global);
	const char *why;

	*include = NULL;
	if (!row)
		return refuse_name(t, find(name, strlen(name), true), name);
	if (row->set == values_include)
		*include = value;
	why = set(t, row, value);
	note_line(t, row, why != NULL);
	if (why && has_comment(value))
		why = explain_comment(t, why);
	if (!why)
		note_idle(t, row);
	return why;
}

/* --- lines ------------------------------------------------------------------------------------ */

static bool is_way_to_write(const struct row *row, const char *name)
{
	return !strcasecmp(row->name, name) || (row->same_as && !strcmp(row->same_as, name));
}

/* The row whose line came last among the ways to write an option; NULL: none has a line. */
static const struct row *latest(const struct config_section *s, const char *name)
{
	const struct row *found = NULL;

	for (size_t i = 0; i < rows_count; i++)
		if (s->line[i] && is_way_to_write(&rows_all[i], name) &&
		    (!found || s->line[i]->order >= s->line[found - rows_all]->order))
			found = &rows_all[i];
	return found;
}

struct report_line *table_line(const struct config_section *s, const char *name)
{
	const struct row *row = latest(s, name);

	return row ? s->line[row - rows_all] : NULL;
}

const char *table_written(const struct config_section *s, const char *name)
{
	const struct row *row = latest(s, name);

	return row ? row->name : NULL;
}

bool table_refused(const struct config_section *s, const char *name)
{
	for (size_t i = 0; i < rows_count; i++)
		if (s->line[i] && s->line[i]->refused && is_way_to_write(&rows_all[i], name))
			return true;
	return false;
}

/* --- -help ------------------------------------------------------------------------------------ */

static void print_names(FILE *to, const char *heading, values_setter *setter)
{
	fprintf(to, "%s\n   ", heading);
	for (size_t i = 0; i < rows_count; i++)
		if (rows_all[i].set == setter)
			fprintf(to, " %s", rows_all[i].name);
	fprintf(to, "\n");
}

/* Help and default of a row: its own, or those of core/service.c. */
static struct service_info info_of(const struct row *row)
{
	struct service_info info = {row->name, row->initial, row->help};

	for (size_t n = 0; !info.help && service_row(n, &info); n++)
		if (strcasecmp(info.name, row->name) != 0)
			info.help = NULL;
	if (row->initial)
		info.initial = row->initial;
	return info;
}

void table_print_defaults(FILE *to)
{
	for (size_t i = 0; i < rows_count; i++) {
		struct service_info info = info_of(&rows_all[i]);

		if (info.initial)
			fprintf(to, "%-22s = %s\n", info.name, info.initial);
	}
}

void table_print(FILE *to)
{
	for (size_t i = 0; i < rows_count; i++) {
		struct service_info info = info_of(&rows_all[i]);

		if (rows_all[i].set != values_unbuilt && rows_all[i].set != values_idle)
			fprintf(to, "%-15s = %s%s%s%s\n", info.name, info.help,
				info.initial ? " (" : "", info.initial ? info.initial : "",
				info.initial ? ")" : "");
	}
	print_names(to, "Taken from stock stunnel, without effect:", values_idle);
	print_names(to, "Known from stock stunnel, not built yet:", values_unbuilt);
}
