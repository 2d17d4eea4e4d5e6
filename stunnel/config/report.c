/* SPDX-License-Identifier: ISC */
#include "config/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/log.h"

#define REASON_MAX 512

struct report_entry {
	enum report_kind kind;
	struct report_place place;
	size_t index; /* keeps the order of entries at one place: qsort() is not stable */
	char reason[REASON_MAX];
};

static bool known(const struct report *r, const struct report_entry *e)
{
	for (size_t i = 0; e->place.line && i < r->entries; i++)
		if (r->entry[i].place.line == e->place.line && r->entry[i].kind == e->kind &&
		    !strcmp(r->entry[i].reason, e->reason))
			return true;
	return false;
}

void report_add(struct report *r, enum report_kind kind, const struct report_place *place,
		const char *format, ...)
{
	struct report_entry e = {.kind = kind, .place = *place, .index = r->entries}, *grown;
	va_list ap;

	va_start(ap, format);
	vsnprintf(e.reason, sizeof e.reason, format, ap);
	va_end(ap);
	if (place->line)
		e.place.order = place->line->order;
	if (known(r, &e))
		return;
	/* Counted first: an error refuses the file even if there is no memory to tell of it. */
	if (r->count[kind]++ >= REPORT_MAX)
		return;
	grown = realloc(r->entry, (r->entries + 1) * sizeof *grown);
	if (!grown)
		return;
	r->entry = grown;
	grown[r->entries++] = e;
}

static int by_order(const void *a, const void *b)
{
	const struct report_entry *x = a, *y = b;

	if (x->place.order != y->place.order)
		return x->place.order < y->place.order ? -1 : 1;
	if (!x->place.line != !y->place.line)
		return x->place.line ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

static int level_of(enum report_kind kind, bool strict)
{
	switch (kind) {
	case REPORT_NOTE:
		return LOG_INFO;
	case REPORT_WARNING:
		return LOG_WARNING;
	case REPORT_FAULT:
		return strict ? LOG_ERR : LOG_WARNING;
	case REPORT_ERROR:
		break;
	}
	return LOG_ERR;
}

void report_tell(struct report *r, bool strict)
{
	static const char *const names[REPORT_KINDS] = {"notes", "warnings", "faults", "errors"};

	if (r->entries != 0)
		qsort(r->entry, r->entries, sizeof *r->entry, by_order);
	for (size_t i = 0; i < r->entries; i++) {
		const struct report_entry *e = &r->entry[i];
		const char *line = e->place.line ? e->place.line->text : NULL;
		const char *service = e->place.service;

		log_main(level_of(e->kind, strict), "%s%s%.100s%s%s", line ? line : "",
			 line ? ": " : "", service ? service : "", service ? ": " : "", e->reason);
	}
	for (enum report_kind kind = 0; kind < REPORT_KINDS; kind++)
		if (r->count[kind] > REPORT_MAX)
			log_main(level_of(kind, strict), "... and %zu more %s",
				 r->count[kind] - REPORT_MAX, names[kind]);
}

void report_free(struct report *r)
{
	free(r->entry);
	*r = (struct report){0};
}
