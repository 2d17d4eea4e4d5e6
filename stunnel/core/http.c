/* SPDX-License-Identifier: ISC */
#include "http.h"

/* Written out, since nothing may be computed at start-up; tests/unit/http.c derives it anew. */
/* clang-format off */
const uint8_t http_class[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	2, 15, 6, 3, 15, 15, 15, 15, 14, 14, 15, 15, 14, 15, 15, 6,
	31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 14, 14, 6, 14, 6, 6,
	6, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31,
	31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 14, 6, 14, 7, 15,
	7, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31,
	31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 6, 7, 6, 15, 0,
	2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
	2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
	2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
	2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
	2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
	2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
	2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
	2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
};
/* clang-format on */

bool http_all(struct span s, int class)
{
	for (size_t i = 0; i < s.len; i++)
		if (!http_is(s.p[i], class))
			return false;
	return true;
}

bool http_equal(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (http_lower(a.p[i]) != http_lower(b.p[i]))
			return false;
	return true;
}

/* The next letter or digit from *at on, in lower case, and *at behind it; 0 at the end. */
static char folded_next(struct span s, size_t *at)
{
	while (*at < s.len) {
		char c = s.p[(*at)++];

		if (http_is(c, HTTP_ALNUM))
			return http_lower(c);
	}
	return 0;
}

bool http_alias(struct span a, struct span b)
{
	size_t i = 0, j = 0;
	char c;

	do {
		c = folded_next(a, &i);
		if (c != folded_next(b, &j))
			return false;
	} while (c != 0);
	return true;
}

bool http_alias_begins(struct span name, struct span beginning)
{
	size_t i = 0, j = 0;
	char c;

	while ((c = folded_next(beginning, &j)) != 0)
		if (folded_next(name, &i) != c)
			return false;
	return true;
}

static const struct known_field {
	struct span name;
	enum http_field id;
} known_fields[] = {
	{SPAN_INIT("Host"), HTTP_HOST_FIELD},
	{SPAN_INIT("Connection"), HTTP_CONNECTION},
	{SPAN_INIT("Content-Length"), HTTP_CONTENT_LENGTH},
	{SPAN_INIT("Transfer-Encoding"), HTTP_TRANSFER_ENCODING},
	{SPAN_INIT("Upgrade"), HTTP_UPGRADE},
	{SPAN_INIT("HTTP2-Settings"), HTTP_HTTP2_SETTINGS},
	{SPAN_INIT("TE"), HTTP_TE},
	{SPAN_INIT("Trailer"), HTTP_TRAILER},
	{SPAN_INIT("Expect"), HTTP_EXPECT},
};

#define KNOWN_FIELDS (sizeof known_fields / sizeof known_fields[0])
#define FRAMING_FIELDS (KNOWN_FIELDS - 1) /* all but the last */

enum http_field http_field(struct span name)
{
	for (size_t i = 0; i < KNOWN_FIELDS; i++)
		if (name.len == known_fields[i].name.len && http_equal(name, known_fields[i].name))
			return known_fields[i].id;
	return HTTP_OTHER;
}

bool http_frames(struct span name)
{
	/* Most names are turned away by their first letter. */
	if (name.len == 0 ||
	    (http_is(name.p[0], HTTP_ALNUM) && !memchr("chtu", http_lower(name.p[0]), 4)))
		return false;
	for (size_t i = 0; i < FRAMING_FIELDS; i++)
		if (http_alias(name, known_fields[i].name))
			return true;
	return false;
}

struct span http_trim(struct span s)
{
	while (s.len != 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		span_skip(&s, 1);
	while (s.len != 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

bool http_list_next(struct span *list, struct span *element)
{
	while (list->len != 0) {
		const char *comma = memchr(list->p, ',', list->len);
		size_t len = comma ? (size_t)(comma - list->p) : list->len;

		*element = http_trim(span_of(list->p, len));
		span_skip(list, comma ? len + 1 : len);
		if (element->len != 0)
			return true;
	}
	return false;
}

static struct span reason_phrase(int status)
{
	switch (status) {
	case 405:
		return SPAN("Method Not Allowed");
	case 408:
		return SPAN("Request Timeout");
	case 411:
		return SPAN("Length Required");
	case 417:
		return SPAN("Expectation Failed");
	case 431:
		return SPAN("Request Header Fields Too Large");
	case 501:
		return SPAN("Not Implemented");
	case 502:
		return SPAN("Bad Gateway");
	case 503:
		return SPAN("Service Unavailable");
	case 504:
		return SPAN("Gateway Timeout");
	case 505:
		return SPAN("HTTP Version Not Supported");
	default:
		return SPAN("Bad Request");
	}
}

size_t http_error_length(enum error error)
{
	return errors_info[error].text_len + (size_t)1;
}

void http_error_reply(enum error error, bool to_head, struct out *out)
{
	struct span text = span_of(errors_info[error].text, errors_info[error].text_len);

	out_put(out, SPAN("HTTP/1.1 "));
	out_decimal(out, (uint64_t)errors_info[error].status);
	out_char(out, ' ');
	out_put(out, reason_phrase(errors_info[error].status));
	out_put(out, SPAN("\r\n"));
	/* RFC 9110 15.5.6: a 405 must carry Allow; an empty one would forbid every method. */
	if (errors_info[error].status == 405)
		out_put(out, SPAN("Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n"));
	out_put(out, SPAN("Content-Type: text/plain\r\nContent-Length: "));
	out_decimal(out, http_error_length(error));
	out_put(out, SPAN("\r\nConnection: close\r\n\r\n"));
	if (to_head)
		return;
	out_put(out, text);
	out_char(out, '\n');
}
