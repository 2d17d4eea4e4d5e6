/* SPDX-License-Identifier: ISC */
/* What report.py says, for servers in C and C++. */

#ifndef REPORT_H
#define REPORT_H

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* On the heap: threads of servers have small stacks. */
struct report {
	char probe[4096], forwarded[65536], line[2 * 65536];
};

static inline struct report *report_new(void)
{
	struct report *r = (struct report *)calloc(1, sizeof *r);

	if (!r)
		abort();
	return r;
}

static inline int report_reads(const char *method)
{
	static const char *const unread[] = {"GET",    "HEAD",	"OPTIONS",
					     "DELETE", "TRACE", "CONNECT"};

	for (size_t i = 0; i < sizeof unread / sizeof unread[0]; i++)
		if (!strcmp(method, unread[i]))
			return 0;
	return 1;
}

static inline int report_status(const char *method)
{
	return strcmp(method, "CONNECT") ? 200 : 405;
}

/* Whether the letters and digits of `name` are those of `alias`. */
static inline int report_is(const char *name, const char *alias)
{
	for (; *name; name++)
		if (isalnum((unsigned char)*name) &&
		    tolower((unsigned char)*name) != (unsigned char)*alias++)
			return 0;
	return *alias == '\0';
}

static inline void report_append(char *to, size_t size, const char *value)
{
	size_t len = strlen(to);

	snprintf(to + len, size - len, "%s%s", len != 0 ? ", " : "", value);
}

static inline void report_field(struct report *r, const char *name, const char *value)
{
	if (report_is(name, "xstunnelprobe"))
		report_append(r->probe, sizeof r->probe, value);
	if (report_is(name, "xforwardedfor"))
		report_append(r->forwarded, sizeof r->forwarded, value);
}

/* One write(2), so that lines of several threads do not mix. Frees `r`. */
static inline void report_tell(struct report *r, const char *method, const char *target,
			       long content)
{
	char size[24] = "-";
	int len;

	if (content >= 0)
		snprintf(size, sizeof size, "%ld", content);
	len = snprintf(r->line, sizeof r->line, "SEEN|-|-|%s|%s|%s|%s %.4096s", r->probe,
		       r->forwarded, size, method, target);
	for (int i = 0; i < len; i++)
		if (r->line[i] == '\r' || r->line[i] == '\n')
			r->line[i] = '?';
	r->line[len++] = '\n';
	if (write(STDOUT_FILENO, r->line, (size_t)len) != len)
		_exit(1);
	free(r);
}

#endif
