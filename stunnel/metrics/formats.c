/* SPDX-License-Identifier: ISC */
#include "metrics/formats.h"

#include <inttypes.h>
#include <stdbool.h>
#include <time.h>

#include "conn/roster.h"

struct text {
	FILE *to;
	bool later; /* a family, or a sample of it, stands before in the list */
	bool later_family;
};

/* Both formats are UTF-8, which a section's name need not be: then only ASCII is left of it. */
static size_t character(const unsigned char *p)
{
	size_t more = p[0] >= 0xf0 && p[0] < 0xf5 ? 3 : p[0] >= 0xe0 ? 2 : p[0] >= 0xc2 ? 1 : 0;

	if (p[0] < 0x80)
		return 1;
	if (more == 0 || p[0] >= 0xf5)
		return 0;
	for (size_t i = 1; i <= more; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return more + 1;
}

/* A quoted text. What needs it is escaped as both formats have it; controls only JSON needs. */
static void put_quoted(FILE *to, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	putc('"', to);
	while (*p) {
		size_t len = character(p);

		if (*p == '"' || *p == '\\')
			fprintf(to, "\\%c", *p);
		else if (*p < ' ' || *p == 0x7f || len == 0)
			putc('?', to);
		else
			fwrite(p, 1, len, to);
		p += len != 0 ? len : 1;
	}
	putc('"', to);
}

static void put_value(FILE *to, const struct figures_sample *s)
{
	uint64_t unit = 1;

	for (unsigned i = 0; i < s->decimals; i++)
		unit *= 10;
	fprintf(to, "%" PRIu64, s->value / unit);
	if (s->decimals != 0)
		fprintf(to, ".%0*" PRIu64, (int)s->decimals, s->value % unit);
}

/* --- Prometheus ------------------------------------------------------------------------------- */

static void prometheus_begin(void *owner, const char *name, const char *type, const char *help)
{
	FILE *to = ((struct text *)owner)->to;

	fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void prometheus_sample(void *owner, const char *name, const struct figures_sample *s)
{
	FILE *to = ((struct text *)owner)->to;

	fprintf(to, "%s%s", name, s->suffix);
	for (size_t i = 0; i < s->labels; i++) {
		fprintf(to, "%c%s=", i == 0 ? '{' : ',', s->label[i].key);
		put_quoted(to, s->label[i].value);
	}
	fputs(s->labels != 0 ? "} " : " ", to);
	put_value(to, s);
	putc('\n', to);
}

static void prometheus_end(void *owner)
{
	(void)owner;
}

void formats_prometheus(const struct figures *f, FILE *to)
{
	static const struct figures_writer writer = {prometheus_begin, prometheus_sample,
						     prometheus_end};
	struct text text = {.to = to};

	figures_write(f, &writer, &text);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void json_begin(void *owner, const char *name, const char *type, const char *help)
{
	struct text *t = owner;

	fprintf(t->to, "%s\n{\"name\":\"%s\",\"type\":\"%s\",\"help\":", t->later_family ? "," : "",
		name, type);
	put_quoted(t->to, help);
	fputs(",\"samples\":[", t->to);
	t->later_family = true;
	t->later = false;
}

static void json_sample(void *owner, const char *name, const struct figures_sample *s)
{
	struct text *t = owner;

	(void)name;
	fprintf(t->to, "%s\n{\"suffix\":\"%s\",\"labels\":{", t->later ? "," : "", s->suffix);
	for (size_t i = 0; i < s->labels; i++) {
		fprintf(t->to, "%s\"%s\":", i == 0 ? "" : ",", s->label[i].key);
		put_quoted(t->to, s->label[i].value);
	}
	fputs("},\"value\":", t->to);
	put_value(t->to, s);
	putc('}', t->to);
	t->later = true;
}

static void json_end(void *owner)
{
	fputs("]}", ((struct text *)owner)->to);
}

void formats_json(const struct figures *f, FILE *to)
{
	static const struct figures_writer writer = {json_begin, json_sample, json_end};
	struct text text = {.to = to};

	fprintf(to, "{\"now\":%lld,\"families\":[", (long long)time(NULL));
	figures_write(f, &writer, &text);
	fputs("]}\n", to);
}

/* --- connections ------------------------------------------------------------------------------ */

static void put_connection(FILE *to, const struct roster_line *line, bool later)
{
	const struct {
		const char *key, *text;
	} texts[] = {
		{"service", line->service},
		{"peer", line->peer},
		{"phase", line->phase},
		{"request", line->request},
	};

	fputs(later ? ",\n{" : "\n{", to);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		fprintf(to, "\"%s\":", texts[i].key);
		put_quoted(to, texts[i].text);
		putc(',', to);
	}
	fprintf(to, "\"age\":%" PRIu64 ",\"to_backend\":%" PRIu64 ",\"to_client\":%" PRIu64 "}",
		line->age, line->to_backend, line->to_client);
}

void formats_connections(const struct figures *f, FILE *to)
{
	static struct roster_line line[ROSTER_LINES];
	bool later = false;

	fprintf(to, "{\"open\":%" PRIu64 ",\"shown\":[", board_sum(f->board, BOARD_ALL));
	roster_look(f->board);
	for (size_t worker = 0; worker < board_workers(f->board); worker++) {
		size_t count = roster_read(f->board, worker, line);

		for (size_t n = 0; n < count; n++) {
			put_connection(to, &line[n], later);
			later = true;
		}
	}
	fputs("]}\n", to);
}
