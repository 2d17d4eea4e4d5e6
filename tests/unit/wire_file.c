/* SPDX-License-Identifier: ISC */
#include "wire_file.h"

/* Where a file is being read. */
struct reader {
	const char *path;
	int line;
};

static void bad(const struct reader *r, const char *why)
{
	fail_msg("%s:%d: %s", r->path, r->line, why);
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c != '\0' ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* One escape at the front of *line, behind its backslash. */
static char unescape(const struct reader *r, const char **line)
{
	int high, low;

	switch (*(*line)++) {
	case 'r':
		return '\r';
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case '0':
		return '\0';
	case '\\':
		return '\\';
	case 'x':
		high = hex_digit((*line)[0]);
		low = high < 0 ? -1 : hex_digit((*line)[1]);
		if (low >= 0) {
			*line += 2;
			return (char)(high << 4 | low);
		}
		break;
	default:
		break;
	}
	bad(r, "unknown escape");
	return 0;
}

/* A line of a byte block: its bytes and CRLF, unless a lone backslash ends it. */
static void add_line(const struct reader *r, const char *line, struct text *bytes)
{
	while (*line != '\0') {
		char c = *line++;

		if (c == '\\' && *line == '\0')
			return;
		if (c == '\\')
			c = unescape(r, &line);
		text_add(bytes, span_of(&c, 1));
	}
	text_add(bytes, SPAN("\r\n"));
}

/* `@repeat N LINE` stands for N such lines. */
static void add_lines(const struct reader *r, const char *line, struct text *bytes)
{
	char *rest;
	long n;

	if (line[0] != '@') {
		add_line(r, line, bytes);
		return;
	}
	if (strncmp(line, "@repeat ", 8) != 0)
		bad(r, "a line that begins with @ is not '@repeat N LINE'");
	n = strtol(line + 8, &rest, 10);
	if (n < 1 || *rest != ' ')
		bad(r, "@repeat without a number");
	while (n-- > 0)
		add_line(r, rest + 1, bytes);
}

/* The section that a heading begins; NULL for the settings. */
static struct wire_section *begin_section(const struct reader *r, const char *heading,
					  struct wire_case *wire)
{
	static const char *const kinds[] = {"client", "backend",   "response",
					    "reply",  "reconnect", "close"};
	struct wire_section *section = &wire->section[wire->count];

	if (strcmp(heading, "settings") == 0)
		return NULL;
	if (wire->count++ == WIRE_SECTIONS_MAX)
		bad(r, "too many sections");
	for (int kind = WIRE_CLIENT; kind < WIRE_ERROR; kind++) {
		section->kind = (enum wire_kind)kind;
		if (strcmp(heading, kinds[kind]) == 0)
			return section;
	}
	if (strncmp(heading, "error ", 6) != 0)
		bad(r, "unknown section");
	section->kind = WIRE_ERROR;
	heading += 6;
	text_add(&section->bytes, span_of(heading, strcspn(heading, " ")));
	section->unanswered = strcmp(heading + section->bytes.len, " unanswered") == 0;
	if (!section->unanswered && heading[section->bytes.len] != '\0')
		bad(r, "an error is 'NAME' or 'NAME unanswered'");
	return section;
}

static void read_lines(FILE *file, struct reader *r, struct wire_case *wire)
{
	struct wire_section *section = NULL;
	bool in_settings = false;
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	for (; (len = getline(&line, &size, file)) > 0; r->line++) {
		if (line[len - 1] == '\n')
			line[--len] = '\0';
		if (strncmp(line, "== ", 3) == 0) {
			section = begin_section(r, line + 3, wire);
			in_settings = section == NULL;
		} else if (in_settings) {
			text_printf(&wire->settings, "%s\n", line);
		} else if (section && section->kind != WIRE_ERROR) {
			add_lines(r, line, &section->bytes);
		} else if (section || line[0] != '#') {
			bad(r, "a line outside of any section");
		}
	}
	free(line);
}

void wire_read(const char *path, struct wire_case *wire)
{
	struct reader r = {.path = path, .line = 1};
	FILE *file = fopen(path, "r");

	*wire = (struct wire_case){0};
	if (!file) {
		bad(&r, "cannot be opened");
		return;
	}
	read_lines(file, &r, wire);
	fclose(file);
	if (wire->settings.len == 0 || wire->count == 0)
		bad(&r, "no settings, or nothing happens");
}

void wire_free(struct wire_case *wire)
{
	text_free(&wire->settings);
	for (size_t i = 0; i < wire->count; i++)
		text_free(&wire->section[i].bytes);
}
