/* SPDX-License-Identifier: ISC */
#include "h1_answer.h"

#include "h1_judge.h"
#include "http.h"
#include "text.h"

/* --- lines ------------------------------------------------------------------------------------ */

struct line {
	struct span name, value; /* the value with its folds */
	enum http_field id;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Whether only the empty line is left of a section: any other line has one behind it. */
static bool is_empty_line(struct span section)
{
	return section.len <= 2;
}

static bool is_space(char c)
{
	return is_blank(c) || c == '\r' || c == '\n';
}

/* Without the white space and the folds at both ends. */
static struct span trim(struct span s)
{
	const char *p = s.p, *end = s.p + s.len;

	while (p != end && is_space(*p))
		p++;
	while (end != p && is_space(end[-1]))
		end--;
	return span_of(p, (size_t)(end - p));
}

/*
 * Skips the rest of a line: every byte of it but NUL and a CR that ends nothing passes (RFC 9110
 * 5.5). The LF that ends the section bounds the loop. 0 or -ERR_ANSWER_x.
 */
static int skip_line(const char **at, uint32_t *mended)
{
	const char *p = *at;

	while (http_is(*p, HTTP_VALUE) || (*p != '\r' && *p != '\n' && *p != '\0'))
		p++;
	if (*p == '\0')
		return -ERR_ANSWER_NUL;
	if (*p == '\n')
		*mended |= h1_answer_mended(ERR_ANSWER_BARE_LF);
	else if (*++p != '\n')
		return -ERR_ANSWER_BARE_CR;
	*at = p + 1;
	return 0;
}

/* Takes a field line and its folds from the front of *section: 0 or -ERR_ANSWER_x. */
static int next_line(struct span *section, struct line *line, uint32_t *mended)
{
	const char *p = section->p, *start = p;
	int rc;

	while (http_is(*p, HTTP_TOKEN))
		p++;
	line->name = span_of(start, (size_t)(p - start));
	if (line->name.len == 0 && *p == '\r')
		return -ERR_ANSWER_BARE_CR;
	if (line->name.len == 0)
		return is_blank(*p) ? -ERR_ANSWER_LEADING_SPACE : -ERR_ANSWER_FIELD_NAME;
	if (is_blank(*p)) {
		while (is_blank(*p))
			p++;
		*mended |= h1_answer_mended(ERR_ANSWER_SPACE_BEFORE_COLON);
	}
	if (*p != ':')
		return *p == '\r' || *p == '\n' ? -ERR_ANSWER_NO_COLON : -ERR_ANSWER_FIELD_NAME;
	start = ++p;
	while ((rc = skip_line(&p, mended)) == 0 && is_blank(*p))
		*mended |= h1_answer_mended(ERR_ANSWER_FOLD);
	if (rc != 0)
		return rc;
	line->value = trim(span_of(start, (size_t)(p - start)));
	line->id = http_field(line->name);
	span_skip(section, (size_t)(p - section->p));
	return 0;
}

/* The next line of a section that was parsed before; false at the empty line. */
static bool next_parsed(struct span *section, struct line *line)
{
	uint32_t mended = 0;

	return !is_empty_line(*section) && next_line(section, line, &mended) == 0;
}

bool h1_answer_next(struct span *fields, struct span *name, struct span *value)
{
	struct line line;

	if (!next_parsed(fields, &line))
		return false;
	*name = line.name;
	*value = line.value;
	return true;
}

/* A value in one line: RFC 9112 5.2, a fold is as good as a space. */
static void put_value(struct span value, struct out *out)
{
	const char *lf;

	while ((lf = memchr(value.p, '\n', value.len)) != NULL) {
		out_put(out, trim(span_of(value.p, (size_t)(lf - value.p))));
		out_char(out, ' ');
		span_skip(&value, (size_t)(lf - value.p) + 1);
		value = trim(value);
	}
	out_put(out, value);
}

static void put_line(const struct line *line, struct out *out)
{
	out_put(out, line->name);
	out_put(out, SPAN(": "));
	put_value(line->value, out);
	out_put(out, SPAN("\r\n"));
}

/* --- the status line -------------------------------------------------------------------------- */

/*
 * `HTTP/1.1 200 OK` (RFC 9112 4). What servers get wrong and everybody takes: no space behind the
 * status, several in front of it, a later minor version (RFC 9110 2.5).
 */
static int status_line(struct span *bytes, struct h1_answer *a)
{
	const char *p = bytes->p, *end = memchr(p, '\n', bytes->len);
	int rc;

	if (end - p < 12 || memcmp(p, "HTTP/1.", 7) != 0 || p[7] < '0' || p[7] > '9' || p[8] != ' ')
		return -ERR_ANSWER_STATUS_LINE;
	a->minor = p[7] > '0';
	a->anew = p[7] > '1' || p[9] == ' ';
	for (p += 8; *p == ' ';)
		p++;
	for (int digits = 0; digits < 3; digits++, p++) {
		if (*p < '0' || *p > '9')
			return -ERR_ANSWER_STATUS_LINE;
		a->status = a->status * 10 + (*p - '0');
	}
	if (a->status < 100 || (*p != ' ' && *p != '\r' && *p != '\n'))
		return -ERR_ANSWER_STATUS_LINE;
	if (*p != ' ')
		a->anew = true;
	if (a->anew)
		a->mended |= h1_answer_mended(ERR_ANSWER_STATUS_SPELLING);
	end = p + (*p == ' ');
	rc = skip_line(&p, &a->mended);
	if (rc != 0)
		return rc;
	a->reason = trim(span_of(end, (size_t)(p - end)));
	span_skip(bytes, (size_t)(p - bytes->p));
	return 0;
}

int h1_answer_begins(struct span in, bool first_line)
{
	static const struct span version = SPAN_INIT("HTTP/1.");
	struct h1_answer a = {0};

	if (first_line)
		return status_line(&in, &a);
	if (in.len > version.len)
		in.len = version.len;
	return memcmp(in.p, version.p, in.len) == 0 ? 0 : -ERR_ANSWER_STATUS_LINE;
}

/* --- fields that frame ------------------------------------------------------------------------ */

/* The part of a list up to its next comma; *more: whether another one follows, if an empty one. */
static struct span next_element(struct span *list, bool *more)
{
	const char *comma = memchr(list->p, ',', list->len);
	struct span element = span_of(list->p, comma ? (size_t)(comma - list->p) : list->len);

	*more = comma != NULL;
	span_skip(list, element.len + *more);
	return trim(element);
}

/* RFC 9110 8.6: equal lengths count as one. At most 2^63 - 1, since clients wrap beyond that. */
static int add_lengths(struct h1_answer *a, struct span list)
{
	bool more = true;

	while (more) {
		struct span element = next_element(&list, &more);
		uint64_t length;

		a->anew |= element.len > 1 && element.p[0] == '0';
		while (element.len > 1 && element.p[0] == '0')
			span_skip(&element, 1);
		if (!text_decimal(element, INT64_MAX, &length))
			return -ERR_ANSWER_LENGTH_INVALID;
		if (a->lengths++ == 0)
			a->length = length;
		else if (length != a->length)
			return -ERR_ANSWER_LENGTHS_DIFFER;
	}
	if (a->lengths > 1)
		a->mended |= h1_answer_mended(ERR_ANSWER_LENGTH_REPEATED);
	return 0;
}

/* A coding is one that can be sent on: in order, `chunked` once, and without `identity`. */
static int add_coding(struct h1_answer *a, struct span coding)
{
	bool chunked = http_equal(coding, SPAN("chunked"));

	if (++a->codings > H1_ANSWER_CODINGS_MAX || !http_all(coding, HTTP_TOKEN))
		return -ERR_ANSWER_CODING;
	if (http_equal(coding, SPAN("identity")) || (chunked && a->is_chunked)) {
		a->mended |= h1_answer_mended(ERR_ANSWER_CODING_REPEATED);
		return 0;
	}
	if (chunked && a->was_chunked) /* with another coding in between */
		return -ERR_ANSWER_CODING;
	a->is_coded = true;
	a->is_chunked = chunked;
	a->was_chunked |= chunked;
	return 0;
}

static int add_codings(struct h1_answer *a, struct span list)
{
	bool more = true, found = false;

	a->anew |= a->codings != 0; /* of several lines some readers take one */
	while (more) {
		struct span element = next_element(&list, &more);
		int rc = element.len != 0 ? add_coding(a, element) : 0;

		if (rc != 0)
			return rc;
		found |= element.len != 0;
	}
	return found ? 0 : -ERR_ANSWER_CODING;
}

static void add_options(struct h1_answer *a, struct span list)
{
	bool more = true;

	while (more) {
		struct span option = next_element(&list, &more);

		/* Some readers find `close` between spaces as well. */
		a->anew |= !http_all(option, HTTP_TOKEN);
		if (http_equal(option, SPAN("close")))
			a->options |= H1_ANSWER_CLOSE;
		else if (http_equal(option, SPAN("keep-alive")))
			a->options |= H1_ANSWER_KEEP_ALIVE;
		else if (http_equal(option, SPAN("upgrade")))
			a->options |= H1_ANSWER_UPGRADE;
	}
}

static int judge_line(struct h1_answer *a, const struct line *line)
{
	if (line->id == HTTP_CONTENT_LENGTH)
		return add_lengths(a, line->value);
	if (line->id == HTTP_TRANSFER_ENCODING)
		return add_codings(a, line->value);
	if (line->id == HTTP_CONNECTION)
		add_options(a, line->value);
	return 0;
}

int h1_answer_parse(struct span bytes, struct h1_answer *a)
{
	struct span rest = bytes;
	unsigned count = 0;
	int rc;

	*a = (struct h1_answer){.bytes = bytes};
	rc = status_line(&rest, a);
	a->fields = rest;
	while (rc == 0 && !is_empty_line(rest)) {
		struct line line;

		if (count++ == H1_ANSWER_FIELDS_MAX)
			return -ERR_ANSWER_TOO_MANY_FIELDS;
		rc = next_line(&rest, &line, &a->mended);
		if (rc == 0)
			rc = judge_line(a, &line);
	}
	if (rc != 0)
		return rc;
	if (rest.p[0] == '\n')
		a->mended |= h1_answer_mended(ERR_ANSWER_BARE_LF);
	if (a->is_coded && a->lengths != 0)
		a->mended |= h1_answer_mended(ERR_ANSWER_LENGTH_AND_CODING);
	if (a->is_coded && a->minor == 0)
		a->mended |= h1_answer_mended(ERR_ANSWER_CODING_VERSION);
	if (a->is_coded && !a->is_chunked)
		a->mended |= h1_answer_mended(ERR_ANSWER_CODING_OTHER);
	return 0;
}

void h1_answer_frame(struct h1_answer *a, unsigned kind, struct h1_body *body)
{
	bool opens = (kind & H1_KIND_CONNECT) && a->status < 300;

	*body = (struct h1_body){.takes_lf = true, .takes_space = true};
	if (a->status < 200 || a->status == 204 || opens) {
		a->no_framing = a->is_coded || a->lengths != 0;
		if (a->no_framing)
			a->mended |= h1_answer_mended(ERR_ANSWER_NO_CONTENT);
		return;
	}
	if ((kind & H1_KIND_HTTP10) && a->is_chunked) {
		a->no_framing = true;
		a->mended |= h1_answer_mended(ERR_ANSWER_CHUNKS_UNASKED);
		body->plain = true;
	}
	if ((kind & H1_KIND_HEAD) || a->status == 304)
		return;
	if (a->is_chunked) {
		body->state = H1_BODY_CHUNK_SIZE;
	} else if (a->is_coded || a->lengths == 0) {
		body->state = H1_BODY_UNTIL_CLOSE;
	} else if (a->length != 0) {
		body->left = a->length;
		body->state = H1_BODY_LENGTH;
	}
}

bool h1_answer_switches(const struct h1_answer *a, struct span offered)
{
	struct span section = a->fields;
	bool upgrade = false;
	struct line line;

	while (next_parsed(&section, &line)) {
		bool more = line.id == HTTP_UPGRADE;

		while (more) {
			struct span protocol = next_element(&line.value, &more);

			if (protocol.len != 0 && !http_equal(protocol, offered))
				return false;
			upgrade |= protocol.len != 0;
		}
	}
	return upgrade && (a->options & H1_ANSWER_UPGRADE);
}

/* --- written anew ----------------------------------------------------------------------------- */

/* The codings of all lines in one line. */
static void put_codings(const struct h1_answer *a, struct out *out)
{
	struct span section = a->fields, separator = SPAN("Transfer-Encoding: ");
	bool chunked = false;
	struct line line;

	while (next_parsed(&section, &line)) {
		bool more = line.id == HTTP_TRANSFER_ENCODING;

		while (more) {
			struct span coding = next_element(&line.value, &more);
			bool again = chunked && http_equal(coding, SPAN("chunked"));

			if (coding.len == 0 || again || http_equal(coding, SPAN("identity")))
				continue;
			chunked |= http_equal(coding, SPAN("chunked"));
			out_put(out, separator);
			out_put(out, coding);
			separator = SPAN(", ");
		}
	}
	out_put(out, SPAN("\r\n"));
}

/* A field line as it is sent on; *framed: Content-Length or Transfer-Encoding was there before. */
static void put_judged(const struct h1_answer *a, const struct line *line, bool *framed,
		       struct out *out)
{
	bool frames = line->id == HTTP_CONTENT_LENGTH || line->id == HTTP_TRANSFER_ENCODING;
	bool coding = line->id == HTTP_TRANSFER_ENCODING;

	if (line->id == HTTP_CONNECTION && (a->connection != 0 || a->no_connection))
		return;
	if (!frames) {
		put_line(line, out);
		return;
	}
	if (*framed || coding != a->is_coded || a->no_framing)
		return;
	*framed = true;
	if (coding) {
		put_codings(a, out);
		return;
	}
	out_put(out, line->name);
	out_put(out, SPAN(": "));
	out_decimal(out, a->length);
	out_put(out, SPAN("\r\n"));
}

static void put_connection(unsigned options, struct out *out)
{
	out_put(out, options & H1_ANSWER_CLOSE ? SPAN("Connection: close")
					       : SPAN("Connection: keep-alive"));
	if (options & H1_ANSWER_UPGRADE)
		out_put(out, SPAN(", Upgrade"));
	out_put(out, SPAN("\r\n"));
}

void h1_answer_put(const struct h1_answer *a, struct out *out)
{
	struct span section = a->fields;
	bool framed = false;
	struct line line;

	if (!a->anew && a->mended == 0 && a->connection == 0 && !a->no_connection) {
		out_put(out, a->bytes);
		return;
	}
	/* RFC 9110 2.5; after HTTP/1.0 some clients ask for no more on the same connection. */
	out_put(out, SPAN("HTTP/1.1 "));
	out_decimal(out, (uint64_t)a->status);
	out_char(out, ' ');
	out_put(out, a->reason);
	out_put(out, SPAN("\r\n"));
	while (next_parsed(&section, &line))
		put_judged(a, &line, &framed, out);
	if (a->connection != 0)
		put_connection(a->connection, out);
	out_put(out, SPAN("\r\n"));
}

int h1_answer_trailers(struct span section, uint32_t *mended, struct out *out)
{
	for (unsigned count = 0; !is_empty_line(section); count++) {
		struct line line;
		int rc = count < H1_ANSWER_FIELDS_MAX ? next_line(&section, &line, mended)
						      : -ERR_ANSWER_TOO_MANY_FIELDS;

		if (rc != 0)
			return rc;
		if (http_frames(line.name))
			*mended |= h1_answer_mended(ERR_ANSWER_TRAILER);
		else
			put_line(&line, out);
	}
	if (section.p[0] == '\n')
		*mended |= h1_answer_mended(ERR_ANSWER_BARE_LF);
	out_put(out, SPAN("\r\n"));
	return 0;
}
