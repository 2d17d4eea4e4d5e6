/* SPDX-License-Identifier: ISC */
#include "h1_body.h"

#include "text.h"

/* 1*DIGIT (RFC 9110 8.6) up to 2^63 - 1: some receivers wrap at a larger length. */
static int parse_length(struct span *value, uint64_t *length)
{
	while (value->len > 1 && value->p[0] == '0')
		span_skip(value, 1);
	return text_decimal(*value, INT64_MAX, length) ? 0 : -ERR_LENGTH_INVALID;
}

/* What the lines of Transfer-Encoding say. */
struct codings {
	unsigned chunked, others;
	bool chunked_last;
};

/* Adds a coding; false for what is none, as `chunked` with a parameter (RFC 9112 7.1). */
static bool add_coding(struct codings *all, struct span coding)
{
	const char *semicolon = memchr(coding.p, ';', coding.len);
	struct span name = coding;

	if (semicolon)
		name = http_trim(span_of(coding.p, (size_t)(semicolon - coding.p)));
	all->chunked_last = http_equal(name, SPAN("chunked"));
	all->chunked += all->chunked_last;
	all->others += !all->chunked_last;
	return name.len != 0 && http_all(name, HTTP_TOKEN) && !(all->chunked_last && semicolon);
}

/* Adds a line's codings; false where an element of the list is empty or none. */
static bool add_codings(struct codings *all, struct span list)
{
	const char *comma;

	while ((comma = memchr(list.p, ',', list.len)) != NULL) {
		size_t len = (size_t)(comma - list.p);

		if (!add_coding(all, http_trim(span_of(list.p, len))))
			return false;
		span_skip(&list, len + 1);
	}
	return add_coding(all, http_trim(list));
}

/*
 * Only `chunked` is served, once and in one spelling. RFC 9112 6.1: a list of other codings may be
 * right but is not understood; 6.3: one that goes on behind `chunked` never is.
 */
static int judge_codings(struct h1_head *head)
{
	struct codings all = {0};

	for (size_t i = 0; i < head->count; i++) {
		if (head->field[i].id != HTTP_TRANSFER_ENCODING)
			continue;
		if (!add_codings(&all, head->field[i].value))
			return -ERR_CODING_INVALID;
		head->field[i].value = SPAN("chunked");
	}
	if (all.chunked > 1)
		return -ERR_CODING_DUPLICATE;
	if (all.chunked != 0 && !all.chunked_last)
		return -ERR_CODING_INVALID;
	return all.others != 0 ? -ERR_CODING_UNKNOWN : 0;
}

int h1_body_of_request(struct h1_head *head, struct h1_body *body)
{
	struct h1_field *length = NULL;
	unsigned lengths = 0, codings = 0;
	int rc;

	*body = (struct h1_body){0};
	if (!h1_head_has(head, HTTP_CONTENT_LENGTH) && !h1_head_has(head, HTTP_TRANSFER_ENCODING))
		return 0;
	for (size_t i = 0; i < head->count; i++) {
		if (head->field[i].id == HTTP_CONTENT_LENGTH) {
			length = &head->field[i];
			lengths++;
		} else if (head->field[i].id == HTTP_TRANSFER_ENCODING) {
			codings++;
		}
	}
	if (lengths > 1)
		return -ERR_LENGTH_DUPLICATE;
	if (codings != 0 && lengths != 0)
		return -ERR_LENGTH_AND_CODING;
	if (codings != 0) {
		if (head->minor == 0)
			return -ERR_CODING_VERSION;
		rc = judge_codings(head);
		if (rc != 0)
			return rc;
		body->state = H1_BODY_CHUNK_SIZE;
	}
	if (lengths != 0) {
		rc = parse_length(&length->value, &body->left);
		if (rc != 0)
			return rc;
		body->state = body->left != 0 ? H1_BODY_LENGTH : H1_BODY_COMPLETE;
	}
	return 0;
}

/* Counts a byte of a chunk extension, or of white space before it: endless ones would burn CPU. */
static int count_extension(struct h1_body *body)
{
	if (++body->extension > H1_CHUNK_EXTENSION_MAX || ++body->extensions > H1_EXTENSIONS_MAX)
		return -ERR_CHUNK_EXTENSION;
	return 0;
}

static int line_end(struct h1_body *body, char c)
{
	if (c != '\n')
		return -ERR_CHUNK_SIZE;
	body->digits = 0;
	body->extension = 0;
	if (body->left == 0) {
		body->state = H1_BODY_TRAILERS;
		return H1_BODY_LAST;
	}
	body->state = H1_BODY_CHUNK_FIRST;
	return 0;
}

/* Whether c ends a line that must end in CRLF, unless LF is taken, too. */
static bool ends_line(struct h1_body *body, char c)
{
	body->bare_lf |= body->takes_lf && c == '\n';
	return c == '\r' || (body->takes_lf && c == '\n');
}

static int end_of_line(struct h1_body *body, char c)
{
	if (c == '\n')
		return line_end(body, c);
	body->state = H1_BODY_CHUNK_LINE_LF;
	return 0;
}

/* RFC 9112 7.1.1: white space may stand before ';', but not before CRLF. */
static int extension_start(struct h1_body *body, char c)
{
	bool spaced = body->state == H1_BODY_CHUNK_SPACE;

	if (c == ';')
		body->state = H1_BODY_CHUNK_EXTENSION;
	else if (c == ' ' || c == '\t')
		body->state = H1_BODY_CHUNK_SPACE;
	else if ((body->takes_space || !spaced) && ends_line(body, c)) {
		body->spaced |= spaced;
		return end_of_line(body, c);
	} else
		return -ERR_CHUNK_SIZE;
	return count_extension(body);
}

/* A byte of a chunk size, 1*HEXDIG: a sign or a prefix is refused, and a request's white space. */
static int size_byte(struct h1_body *body, char c)
{
	int digit = text_hex_digit(c);

	if (digit >= 0) {
		if (body->digits == H1_CHUNK_DIGITS_MAX)
			return -ERR_CHUNK_TOO_LARGE;
		body->digits++;
		body->left = body->left << 4 | (uint64_t)digit;
		return body->left > H1_CHUNK_SIZE_MAX ? -ERR_CHUNK_TOO_LARGE : 0;
	}
	if (body->digits != 0)
		return extension_start(body, c);
	if (!body->takes_space || (c != ' ' && c != '\t'))
		return -ERR_CHUNK_SIZE;
	body->spaced = true;
	return count_extension(body);
}

static int extension_byte(struct h1_body *body, char c)
{
	if (ends_line(body, c))
		return end_of_line(body, c);
	return http_is(c, HTTP_VALUE) ? count_extension(body) : -ERR_CHUNK_EXTENSION;
}

static int data_end(struct h1_body *body, char c)
{
	if (body->state == H1_BODY_CHUNK_DATA_CR && c != '\n') {
		body->state = H1_BODY_CHUNK_DATA_LF;
		return c == '\r' ? 0 : -ERR_CHUNK_END;
	}
	if (body->state == H1_BODY_CHUNK_DATA_CR && !ends_line(body, c))
		return -ERR_CHUNK_END;
	body->state = H1_BODY_CHUNK_SIZE;
	return c == '\n' ? H1_BODY_CHUNK_END : -ERR_CHUNK_END;
}

size_t h1_body_bypass(const struct h1_body *body)
{
	if (body->state == H1_BODY_UNTIL_CLOSE)
		return SIZE_MAX;
	if (body->state == H1_BODY_LENGTH || body->state == H1_BODY_CHUNK_DATA)
		return body->left < SIZE_MAX ? (size_t)body->left : SIZE_MAX;
	return 0;
}

void h1_body_bypassed(struct h1_body *body, size_t n)
{
	if (body->state == H1_BODY_UNTIL_CLOSE)
		return;
	body->left -= n;
	if (body->left == 0)
		body->state =
			body->state == H1_BODY_LENGTH ? H1_BODY_COMPLETE : H1_BODY_CHUNK_DATA_CR;
}

static int take_data(struct h1_body *body, struct span *in, size_t max, struct span *data)
{
	size_t n = h1_body_bypass(body);

	if (n > in->len)
		n = in->len;
	if (n > max)
		n = max;
	if (n == 0)
		return H1_BODY_MORE;
	*data = span_of(in->p, n);
	span_skip(in, n);
	h1_body_bypassed(body, n);
	return H1_BODY_DATA;
}

static int framing_byte(struct h1_body *body, char c)
{
	switch ((enum h1_body_state)body->state) {
	case H1_BODY_CHUNK_SIZE:
		return size_byte(body, c);
	case H1_BODY_CHUNK_SPACE:
		return extension_start(body, c);
	case H1_BODY_CHUNK_EXTENSION:
		return extension_byte(body, c);
	case H1_BODY_CHUNK_LINE_LF:
		return line_end(body, c);
	case H1_BODY_CHUNK_DATA_CR:
	case H1_BODY_CHUNK_DATA_LF:
		return data_end(body, c);
	case H1_BODY_COMPLETE:
	case H1_BODY_LENGTH:
	case H1_BODY_UNTIL_CLOSE:
	case H1_BODY_CHUNK_FIRST:
	case H1_BODY_CHUNK_DATA:
	case H1_BODY_TRAILERS:
		break;
	}
	return H1_BODY_MORE;
}

int h1_body_step(struct h1_body *body, struct span *in, size_t max_data, struct span *data)
{
	int event = H1_BODY_MORE;

	while (in->len != 0 && event == H1_BODY_MORE) {
		if (body->state == H1_BODY_COMPLETE || body->state == H1_BODY_TRAILERS)
			break;
		if (body->state == H1_BODY_CHUNK_FIRST) {
			body->state = H1_BODY_CHUNK_DATA;
			return H1_BODY_CHUNK;
		}
		if (h1_body_bypass(body) != 0)
			return take_data(body, in, max_data, data);
		event = framing_byte(body, in->p[0]);
		span_skip(in, 1);
	}
	return event;
}

int h1_body_copy(struct h1_body *body, struct span *in, struct out *out)
{
	struct span data;
	int event;

	if (out_room(out) < H1_CHUNK_LINE_MAX)
		return H1_BODY_MORE;
	event = h1_body_step(body, in, out_room(out), &data);
	if (event == H1_BODY_DATA) {
		out_put(out, data);
	} else if (event == H1_BODY_CHUNK) {
		if (!body->plain) {
			out_hex(out, body->left);
			out_put(out, SPAN("\r\n"));
		}
		/* At once: a sender must not choose what a segment begins with. */
		event = h1_body_step(body, in, out_room(out), &data);
		out_put(out, data);
	} else if (event == H1_BODY_CHUNK_END && !body->plain) {
		out_put(out, SPAN("\r\n"));
	}
	return event;
}
