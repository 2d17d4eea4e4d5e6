/* SPDX-License-Identifier: ISC */
#include "sys/log_form.h"

#include <stdio.h>
#include <string.h>

#include "core/out.h"
#include "core/text.h"

static void put_text(struct out *out, const char *text)
{
	out_put(out, span_of(text, strlen(text)));
}

static void put_ms(struct out *out, const struct timespec *now)
{
	char text[8];

	snprintf(text, sizeof text, ".%03u", (unsigned)(now->tv_nsec / 1000000) % 1000);
	put_text(out, text);
}

/* RFC 8259 7. Bytes need not be UTF-8, so those that are not ASCII are taken for Latin-1. */
static void put_string(struct out *out, const char *text)
{
	out_char(out, '"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			out_char(out, '\\');
		if (c >= 0x20 && c < 0x7f) {
			out_char(out, (char)c);
		} else {
			put_text(out, "\\u00");
			text_put_byte(out, c, false);
		}
	}
	out_char(out, '"');
}

static void put_json(struct out *out, const struct timespec *now, const struct log_form_line *of)
{
	static const char *const levels[] = {"emerg",	"alert",  "crit", "err",
					     "warning", "notice", "info", "debug"};

	char text[40];
	struct tm tm = {0};

	gmtime_r(&now->tv_sec, &tm);
	strftime(text, sizeof text, "{\"time\":\"%Y-%m-%dT%H:%M:%S", &tm);
	put_text(out, text);
	put_ms(out, now);
	put_text(out, "Z\",\"level\":\"");
	put_text(out, levels[of->level & 7]);
	put_text(out, "\",\"id\":");
	put_string(out, of->id);
	put_text(out, ",\"text\":");
	put_string(out, of->text);
	put_text(out, "}\n");
}

/* A second's text serves all its lines: the C library takes 3,000 instructions to make one. */
static const char *local_time(time_t now)
{
	static char text[40];
	static time_t of;
	struct tm tm = {0};

	if (now == of && text[0])
		return text;
	of = now;
	localtime_r(&now, &tm);
	strftime(text, sizeof text, "%Y.%m.%d %H:%M:%S", &tm);
	return text;
}

static void put_time(struct out *out, const struct timespec *now, bool ms)
{
	put_text(out, local_time(now->tv_sec));
	if (ms)
		put_ms(out, now);
	out_char(out, ' ');
}

size_t log_form_put(char *line, size_t cap, enum log_format format, bool journal,
		    const struct timespec *now, const struct log_form_line *of)
{
	struct out out = out_of(line, cap);
	char level = (char)('0' + of->level % 10);

	if (journal) {
		out_char(&out, '<');
		out_char(&out, level);
		out_char(&out, '>');
	}
	if (format == LOG_JSON) {
		put_json(&out, now, of);
		return out.full ? 0 : out.len;
	}
	if (!journal)
		put_time(&out, now, format == LOG_TEXT_WITH_MS);
	put_text(&out, "LOG");
	out_char(&out, level);
	out_char(&out, '[');
	put_text(&out, of->id);
	put_text(&out, "]: ");
	put_text(&out, of->text);
	out_char(&out, '\n');
	return out.full ? 0 : out.len;
}
