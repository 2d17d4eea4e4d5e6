/* SPDX-License-Identifier: ISC */
#include "h1_head.h"

int h1_head_scan(struct h1_head_scan *scan, bool bare_lf, struct span in, size_t limit, size_t *end)
{
	size_t n = in.len < limit ? in.len : limit;

	*end = 0;
	while (scan->seen < n) {
		const char *lf = memchr(in.p + scan->seen, '\n', n - scan->seen);
		size_t at, len; /* of the line without its end */

		if (!lf) {
			scan->seen = (uint32_t)n;
			break;
		}
		at = (size_t)(lf - in.p);
		len = at - scan->line;
		if (len != 0 && in.p[at - 1] == '\r')
			len--;
		else if (!bare_lf)
			return -ERR_BARE_LF;
		scan->seen = (uint32_t)(at + 1);
		if (len == 0) {
			*end = at + 1;
			return 0;
		}
		scan->line = (uint32_t)(at + 1);
	}
	return in.len >= limit ? -ERR_HEAD_TOO_LARGE : 0;
}

/* The line that ends in this LF; h1_head_scan() has judged what stands before it. */
static struct span line_before(const char *p, const char *lf)
{
	size_t len = (size_t)(lf - p);

	return span_of(p, len != 0 && p[len - 1] == '\r' ? len - 1 : len);
}

struct span h1_head_first_line(const struct h1_head_scan *scan, struct span in)
{
	const char *lf;

	if (scan->line == 0)
		return span_of(NULL, 0);
	lf = memchr(in.p, '\n', in.len);
	return line_before(in.p, lf);
}

/* s must be `HTTP/1.` and 0 or 1; 0 and the minor version, or -ERR_x. */
static int parse_version(struct span s, int *minor)
{
	if (s.len != 8 || memcmp(s.p, "HTTP/", 5) != 0 || s.p[6] != '.')
		return -ERR_VERSION_INVALID;
	if (s.p[5] < '0' || s.p[5] > '9' || s.p[7] < '0' || s.p[7] > '9')
		return -ERR_VERSION_INVALID;
	if (s.p[5] != '1' || s.p[7] > '1')
		return -ERR_VERSION_UNSUPPORTED;
	*minor = s.p[7] - '0';
	return 0;
}

static bool is_target(struct span s, unsigned allow)
{
	for (size_t i = 0; i < s.len; i++)
		if (!http_is(s.p[i], HTTP_TARGET) &&
		    !((allow & H1_ALLOW_RAW_TARGET) && (s.p[i] & 0x80)))
			return false;
	return true;
}

int h1_head_request_line(struct span line, unsigned allow, struct h1_head *head)
{
	const char *space = memchr(line.p, ' ', line.len);

	head->method = span_of(line.p, space ? (size_t)(space - line.p) : line.len);
	if (head->method.len == 0 || !http_all(head->method, HTTP_TOKEN))
		return -ERR_METHOD_INVALID;
	if (span_eq(head->method, SPAN("PRI")))
		return -ERR_HTTP2_PREFACE;
	if (!space)
		return -ERR_REQUEST_LINE;
	span_skip(&line, head->method.len + 1);

	space = memchr(line.p, ' ', line.len);
	if (!space || space == line.p)
		return -ERR_REQUEST_LINE;
	head->target = span_of(line.p, (size_t)(space - line.p));
	span_skip(&line, head->target.len + 1);
	if (!is_target(head->target, allow))
		return -ERR_TARGET_INVALID;
	return parse_version(line, &head->minor);
}

/* What is wrong with a field line whose name is followed by `c` instead of a colon. */
static int name_error(size_t name_len, char c, bool first)
{
	if (name_len == 0 && (c == ' ' || c == '\t'))
		return first ? -ERR_LEADING_SPACE : -ERR_OBS_FOLD;
	if (c == '\r' || c == '\n')
		return -ERR_FIELD_NO_COLON;
	return -ERR_FIELD_NAME;
}

/* RFC 9110 5.5: what may be kept in a value that is only data. */
static bool is_data(char c)
{
	return c != '\0' && c != '\r' && c != '\n';
}

/*
 * Skips eight bytes at once as long as none of them is a control, which field_line() judges byte
 * by byte: most of a head is plain text in values.
 */
static const char *skip_text(const char *p, const char *end)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones * 0x80;

	while (end - p >= 8) {
		uint64_t word, del;

		memcpy(&word, p, sizeof word);
		del = word ^ ones * 0x7f;
		/* Of a byte below 0x20, or of DEL, the top bit is set; maybe of one above it, too.
		 */
		if ((((word - ones * 0x20) & ~word) | ((del - ones) & ~del)) & tops)
			break;
		p += 8;
	}
	return p;
}

/*
 * Parses the field line at p into *field; *controls is set where its value holds some. The LF that
 * ends the section bounds every loop, since no class of characters holds LF; that one without CR
 * may stand here, h1_head_scan() has judged. Returns the next line, or NULL with the error in
 * *error.
 */
static const char *field_line(const char *p, const char *end, bool first, struct h1_field *field,
			      bool *controls, int *error)
{
	const char *start = p;

	while (http_is(*p, HTTP_TOKEN))
		p++;
	field->name = span_of(start, (size_t)(p - start));
	if (*p != ':') {
		*error = name_error(field->name.len, *p, first);
		return NULL;
	}
	if (field->name.len == 0) {
		*error = -ERR_FIELD_NAME_EMPTY;
		return NULL;
	}
	start = ++p;
	p = skip_text(p, end);
	while (http_is(*p, HTTP_VALUE))
		p++;
	if (is_data(*p)) {
		*controls = true;
		while (is_data(*p))
			p++;
	}
	field->value = http_trim(span_of(start, (size_t)(p - start)));
	if (*p == '\0') {
		*error = -ERR_FIELD_VALUE;
		return NULL;
	}
	if (*p == '\r' && *++p != '\n') {
		*error = -ERR_BARE_CR;
		return NULL;
	}
	return p + 1;
}

int h1_head_fields(struct span section, size_t max_fields, struct h1_head *head)
{
	const char *p = section.p;
	const char *end = section.p + section.len - 1; /* the empty line */
	int error = 0;

	if (end != section.p && end[-1] == '\r')
		end--;
	head->count = 0;
	head->controls = false;
	head->ids = 0;
	while (p < end) {
		struct h1_field *field = &head->field[head->count];

		if (head->count == max_fields)
			return -ERR_TOO_MANY_FIELDS;
		p = field_line(p, end, head->count == 0, field, &head->controls, &error);
		if (!p)
			return error;
		field->id = http_field(field->name);
		head->ids |= UINT32_C(1) << field->id;
		field->dropped = false;
		head->count++;
	}
	return 0;
}

int h1_head_parse(struct span bytes, size_t max_fields, unsigned allow, struct h1_head *head)
{
	const char *lf = memchr(bytes.p, '\n', bytes.len);
	int rc = h1_head_request_line(line_before(bytes.p, lf), allow, head);

	if (rc != 0)
		return rc;
	span_skip(&bytes, (size_t)(lf - bytes.p) + 1);
	return h1_head_fields(bytes, max_fields, head);
}
