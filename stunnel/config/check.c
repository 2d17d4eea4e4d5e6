/* SPDX-License-Identifier: ISC */
#include "config/check.h"

#include <stdarg.h>
#include <stdio.h>

#include "config/table.h"

/* Reports what is wrong with the section, at the line at fault, or behind its last (NULL). */
static void complain(struct check *r, enum report_kind kind, struct report_line *line,
		     const char *format, va_list ap) __attribute__((format(printf, 4, 0)));

static void complain(struct check *r, enum report_kind kind, struct report_line *line,
		     const char *format, va_list ap)
{
	struct report_place place = {line, r->last_line, r->section->title};
	char reason[512];

	vsnprintf(reason, sizeof reason, format, ap);
	report_add(r->report, kind, &place, "%s", reason);
	if (line && kind == REPORT_ERROR)
		line->refused = true;
}

bool check_refuse(struct check *r, const char *option, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	complain(r, REPORT_ERROR, option ? table_line(r->section, option) : NULL, format, ap);
	va_end(ap);
	return false;
}

void check_tell(struct check *r, enum report_kind kind, struct report_line *line,
		const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	complain(r, kind, line, format, ap);
	va_end(ap);
}

bool check_any_refused(const struct check *r, const char *const *options)
{
	for (; *options; options++)
		if (table_refused(r->section, *options))
			return true;
	return false;
}
