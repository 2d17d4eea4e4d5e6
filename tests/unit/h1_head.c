/* SPDX-License-Identifier: ISC */
#include "h1_head.h"

#include "harness.h"

#define LIMIT 512

/* A head as it comes in, and what became of it. */
struct reading {
	struct span input;
	size_t limit;
	size_t max_fields;
	unsigned allow;
	struct h1_head_scan scan;
	struct text *seen;
};

static void describe(struct text *seen, const struct h1_head *head)
{
	text_printf(seen, "%.*s %.*s %d", (int)head->method.len, head->method.p,
		    (int)head->target.len, head->target.p, head->minor);
	for (size_t i = 0; i < head->count; i++) {
		const struct h1_field *f = &head->field[i];

		assert_false(f->dropped);
		assert_int_equal(f->id, http_field(f->name));
		text_printf(seen, "|%.*s=", (int)f->name.len, f->name.p);
		text_add(seen, f->value);
	}
}

/* What a caller does with each longer view of an incomplete head. */
static long offer_head(struct span in, void *arg)
{
	struct reading *r = arg;
	static struct h1_head head;
	size_t end;
	int rc = h1_head_scan(&r->scan, r->allow & H1_ALLOW_BARE_LF, in, r->limit, &end);

	if (rc == 0 && end == 0) {
		/* Else a sender of single bytes would cost quadratic time. */
		assert_int_equal(r->scan.seen, in.len);
		return 0;
	}
	if (rc == 0)
		rc = h1_head_parse(span_of(in.p, end), r->max_fields, r->allow, &head);
	if (rc < 0)
		text_printf(r->seen, "%s", errors_info[-rc].name);
	else
		describe(r->seen, &head);
	return -1;
}

static void read_head(struct cut cut, struct text *seen, void *arg)
{
	struct reading r = *(struct reading *)arg;

	r.seen = seen;
	offer_pieces(r.input, cut, offer_head, &r);
	if (seen->len == 0)
		text_printf(seen, "incomplete");
}

static void check_with(struct reading reading, const char *expected)
{
	struct text seen = {0};

	every_cut(reading.input.len, read_head, &reading, &seen);
	assert_bytes(text_span(&seen), span_str(expected), reading.input.p);
	text_free(&seen);
}

static void check(struct span input, const char *expected)
{
	check_with((struct reading){.input = input, .limit = LIMIT, .max_fields = H1_FIELDS_MAX},
		   expected);
}

struct row {
	struct span input;
	const char *expected;
};

/* A row whose input is a string literal, NUL included. */
#define ROW(literal, expected)                               \
	{                                                    \
		{(literal), sizeof(literal) - 1}, (expected) \
	}

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check(rows[i].input, rows[i].expected);
}

#define CHECK_ROWS(rows) check_rows((rows), sizeof(rows) / sizeof(rows)[0])

static void request_lines(void **state)
{
	static const struct row rows[] = {
		ROW("GET / HTTP/1.1\r\n\r\n", "GET / 1"),
		ROW("GET / HTTP/1.0\r\n\r\n", "GET / 0"),
		ROW("x!#$%&'*+-.^_`|~9 /a?b%20c HTTP/1.1\r\n\r\n", "x!#$%&'*+-.^_`|~9 /a?b%20c 1"),
		ROW("OPTIONS * HTTP/1.1\r\n\r\n", "OPTIONS * 1"),
		ROW("GET http://a/ HTTP/1.1\r\n\r\n", "GET http://a/ 1"),
		ROW("GET /\"<>\\^`{|} HTTP/1.1\r\n\r\n", "GET /\"<>\\^`{|} 1"),
		ROW(" GET / HTTP/1.1\r\n\r\n", "method-invalid"),
		ROW("GET\t/\tHTTP/1.1\r\n\r\n", "method-invalid"),
		ROW("G(T / HTTP/1.1\r\n\r\n", "method-invalid"),
		ROW("G\0T / HTTP/1.1\r\n\r\n", "method-invalid"),
		ROW("G\xc3\x84T / HTTP/1.1\r\n\r\n", "method-invalid"),
		ROW("GET\r\n\r\n", "request-line"),
		ROW("GET \r\n\r\n", "request-line"),
		ROW("GET /\r\n\r\n", "request-line"),
		ROW("GET  / HTTP/1.1\r\n\r\n", "request-line"),
		ROW("GET /  HTTP/1.1\r\n\r\n", "version-invalid"),
		ROW("GET / x HTTP/1.1\r\n\r\n", "version-invalid"),
		ROW("GET / HTTP/1.1 \r\n\r\n", "version-invalid"),
		ROW("GET / HTTP/1.1\r\r\n\r\n", "version-invalid"),
		ROW("GET / http/1.1\r\n\r\n", "version-invalid"),
		ROW("GET / HTTP/1,1\r\n\r\n", "version-invalid"),
		ROW("GET / HTTP/1.\r\n\r\n", "version-invalid"),
		ROW("GET / HTTP/11\r\n\r\n", "version-invalid"),
		ROW("GET / HTTP/1.10\r\n\r\n", "version-invalid"),
		ROW("GET / HTTP/a.1\r\n\r\n", "version-invalid"),
		ROW("GET / HTTP/1.x\r\n\r\n", "version-invalid"),
		ROW("GET / HTTP/:.1\r\n\r\n", "version-invalid"),
		ROW("GET / HTTP/1./\r\n\r\n", "version-invalid"),
		ROW("GET / \r\n\r\n", "version-invalid"),
		ROW("GET / HTTP/1.2\r\n\r\n", "version-unsupported"),
		ROW("GET / HTTP/2.0\r\n\r\n", "version-unsupported"),
		ROW("GET / HTTP/0.9\r\n\r\n", "version-unsupported"),
		ROW("GET / HTTP/9.9\r\n\r\n", "version-unsupported"),
		ROW("PRI * HTTP/2.0\r\n\r\n", "http2-preface"),
		ROW("PRI / HTTP/1.1\r\n\r\n", "http2-preface"),
		ROW("PRIX / HTTP/1.1\r\n\r\n", "PRIX / 1"),
		ROW("GET /# HTTP/1.1\r\n\r\n", "target-invalid"),
		ROW("GET /\t HTTP/1.1\r\n\r\n", "target-invalid"),
		ROW("GET /\0 HTTP/1.1\r\n\r\n", "target-invalid"),
		ROW("GET /\x7f HTTP/1.1\r\n\r\n", "target-invalid"),
		ROW("GET /\xc3\xa4 HTTP/1.1\r\n\r\n", "target-invalid"),
		ROW("GET /\r/ HTTP/1.1\r\n\r\n", "target-invalid"),
	};

	(void)state;
	CHECK_ROWS(rows);
}

#define GET "GET / HTTP/1.1\r\n"

static void field_lines(void **state)
{
	static const struct row rows[] = {
		ROW(GET "Host: a\r\n\r\n", "GET / 1|Host=a"),
		ROW(GET "Host:a\r\nX:\r\n\r\n", "GET / 1|Host=a|X="),
		ROW(GET "X: \t a b\t \t\r\n\r\n", "GET / 1|X=a b"),
		ROW(GET "X: \t \r\n\r\n", "GET / 1|X="),
		ROW(GET "X: a:b: c\r\n\r\n", "GET / 1|X=a:b: c"),
		ROW(GET "X: \x80\xff\r\n\r\n", "GET / 1|X=\x80\xff"),
		ROW(GET "x!#$%&'*+-.^_`|~9: 1\r\n\r\n", "GET / 1|x!#$%&'*+-.^_`|~9=1"),
		ROW(GET "A: 1\r\na: 2\r\nA: 1\r\n\r\n", "GET / 1|A=1|a=2|A=1"),
		ROW(GET " X: a\r\n\r\n", "leading-space"),
		ROW(GET "\tX: a\r\n\r\n", "leading-space"),
		ROW(GET " \r\nX: a\r\n\r\n", "leading-space"),
		ROW(GET "X: a\r\n b\r\n\r\n", "obs-fold"),
		ROW(GET "X: a\r\n\tb\r\n\r\n", "obs-fold"),
		ROW(GET "X: a\r\n \r\n\r\n", "obs-fold"),
		ROW(GET "X a\r\n\r\n", "field-name"),
		ROW(GET "X\r\n\r\n", "field-no-colon"),
		ROW(GET "X: a\r\nnonsense\r\n\r\n", "field-no-colon"),
		ROW(GET "\rX: a\r\n\r\n", "field-no-colon"),
		ROW(GET "X\ra: b\r\n\r\n", "field-no-colon"),
		ROW(GET "X: a\r\n\r\r\n\r\n", "field-no-colon"),
		ROW(GET ": a\r\n\r\n", "field-name-empty"),
		ROW(GET "X: a\r\n:\r\n\r\n", "field-name-empty"),
		ROW(GET "X : a\r\n\r\n", "field-name"),
		ROW(GET "X\t: a\r\n\r\n", "field-name"),
		ROW(GET "X(: a\r\n\r\n", "field-name"),
		ROW(GET "X\0: a\r\n\r\n", "field-name"),
		ROW(GET "X\x80: a\r\n\r\n", "field-name"),
		ROW(GET "@X: a\r\n\r\n", "field-name"),
		ROW(GET "X: a\0b\r\n\r\n", "field-value"),
		ROW(GET "X: a\rb\r\n\r\n", "bare-cr"),
		ROW(GET "X: a\r\r\n\r\n", "bare-cr"),
		ROW(GET "X:\r\r\n\r\n", "bare-cr"),
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void ends_of_lines(void **state)
{
	static const struct row rows[] = {
		ROW("\n", "bare-lf"),
		ROW("GET / HTTP/1.1\n", "bare-lf"),
		ROW("GET / HTTP/1.1\n\n", "bare-lf"),
		ROW(GET "\n", "bare-lf"),
		ROW(GET "X: a\n\r\n", "bare-lf"),
		ROW(GET "X: a\r\n\n", "bare-lf"),
		ROW(GET "X: a\r\nY: b\nZ: c\r\n\r\n", "bare-lf"),
		ROW("", "incomplete"),
		ROW(GET, "incomplete"),
		ROW(GET "\r", "incomplete"),
		ROW(GET "X: a\r\n", "incomplete"),
		ROW(GET "X: a\r\n\r", "incomplete"),
		ROW(GET "X: a\r\n\rX", "incomplete"),
		/* What follows the head is not looked at. */
		ROW(GET "X: a\r\n\r\nfoo\nbar\0", "GET / 1|X=a"),
	};

	(void)state;
	CHECK_ROWS(rows);
}

/* A head of exactly `len` bytes. */
static struct text head_of(size_t len)
{
	struct text head = {0};

	text_printf(&head, GET "X: ");
	while (head.len < len - 4)
		text_add(&head, SPAN("a"));
	text_add(&head, SPAN("\r\n\r\n"));
	assert_int_equal(head.len, len);
	return head;
}

static void check_limit(struct span input, const char *expected_prefix)
{
	struct reading r = {.input = input, .limit = LIMIT, .max_fields = H1_FIELDS_MAX};
	struct text seen = {0};

	every_cut(input.len, read_head, &r, &seen);
	assert_int_equal(strncmp(seen.p, expected_prefix, strlen(expected_prefix)), 0);
	text_free(&seen);
}

static void size_limit_is_exact(void **state)
{
	struct text head = head_of(LIMIT), longer = head_of(LIMIT + 1);

	(void)state;
	check_limit(text_span(&head), "GET / 1|X=aaa");
	check_limit(text_span(&longer), "head-too-large");
	/* What comes behind a head that just fits is not part of it. */
	text_add(&head, SPAN("GET / HTTP/1.1\r\n\r\n"));
	check_limit(text_span(&head), "GET / 1|X=aaa");
	text_free(&head);
	text_free(&longer);
}

static void size_limit_counts_before_the_end_is_seen(void **state)
{
	struct text line = {0};

	(void)state;
	for (size_t i = 0; i < LIMIT; i++)
		text_add(&line, SPAN("a"));
	check_limit(text_span(&line), "head-too-large");
	/* A LF behind the limit must not be looked at: it depends on how much came at once. */
	text_add(&line, SPAN("\n"));
	check_limit(text_span(&line), "head-too-large");
	line.len = LIMIT - 1;
	check_limit(text_span(&line), "incomplete");
	text_free(&line);
}

static void check_fields(size_t count, size_t max, const char *expected)
{
	struct text head = {0}, description = {0};

	text_printf(&head, GET);
	text_printf(&description, "GET / 1");
	for (size_t i = 0; i < count; i++) {
		text_printf(&head, "A:%zu\r\n", i);
		text_printf(&description, "|A=%zu", i);
	}
	text_printf(&head, "\r\n");
	check_with((struct reading){.input = text_span(&head), .limit = 4096, .max_fields = max},
		   expected ? expected : description.p);
	text_free(&head);
	text_free(&description);
}

static void field_limit_is_exact(void **state)
{
	(void)state;
	check_fields(0, 0, NULL);
	check_fields(1, 0, "too-many-fields");
	check_fields(3, 3, NULL);
	check_fields(4, 3, "too-many-fields");
	check_fields(H1_FIELDS_MAX, H1_FIELDS_MAX, NULL);
	check_fields(H1_FIELDS_MAX + 1, H1_FIELDS_MAX, "too-many-fields");
}

static void trailer_sections(void **state)
{
	static struct h1_head head;
	struct guard guard = guard_new(64);
	struct h1_head_scan scan = {0};
	struct span in = guard_place(&guard, SPAN("\r\n"));
	size_t end;

	(void)state;
	assert_int_equal(h1_head_scan(&scan, false, in, LIMIT, &end), 0);
	assert_int_equal(end, 2);
	assert_int_equal(h1_head_fields(in, H1_FIELDS_MAX, &head), 0);
	assert_int_equal(head.count, 0);

	in = guard_place(&guard, SPAN("A: b\r\nC:d\r\n\r\n"));
	scan = (struct h1_head_scan){0};
	assert_int_equal(h1_head_scan(&scan, false, in, LIMIT, &end), 0);
	assert_int_equal(end, in.len);
	assert_int_equal(h1_head_fields(in, H1_FIELDS_MAX, &head), 0);
	assert_int_equal(head.count, 2);
	assert_bytes(head.field[1].name, SPAN("C"), "name");
	assert_bytes(head.field[1].value, SPAN("d"), "value");
	assert_int_equal(h1_head_fields(guard_place(&guard, SPAN(" A: b\r\n\r\n")), 4, &head),
			 -ERR_LEADING_SPACE);
}

/* Where an answer's head ends, or 0. */
static size_t lenient_end(const char *head)
{
	struct h1_head_scan scan = {0};
	size_t end, len = strlen(head);

	for (size_t n = 0; n <= len; n++) {
		assert_int_equal(h1_head_scan(&scan, true, span_of(head, n), LIMIT, &end), 0);
		if (end != 0)
			return end;
	}
	return 0;
}

static void lines_that_end_in_lf_alone(void **state)
{
	(void)state;
	assert_int_equal(lenient_end("A\n\nB"), 3);
	assert_int_equal(lenient_end("A\r\n\nB"), 4);
	assert_int_equal(lenient_end("A\n\r\nB"), 4);
	assert_int_equal(lenient_end("\nB"), 1);
	assert_int_equal(lenient_end("\r\nB"), 2);
	assert_int_equal(lenient_end("A\n \n\r\r\n\t\n"), 0);
}

static void check_allowed(unsigned allow, struct span input, const char *expected)
{
	check_with((struct reading){.input = input,
				    .limit = LIMIT,
				    .max_fields = H1_FIELDS_MAX,
				    .allow = allow},
		   expected);
}

static void what_is_allowed(void **state)
{
	const unsigned lf = H1_ALLOW_BARE_LF, raw = H1_ALLOW_RAW_TARGET;

	(void)state;
	check_allowed(lf, SPAN("GET / HTTP/1.0\n\n"), "GET / 0");
	check_allowed(lf, SPAN("GET / HTTP/1.1\nA: b\nC:\r\nD: e \n\n"), "GET / 1|A=b|C=|D=e");
	check_allowed(lf, SPAN("GET / HTTP/1.1\r\nA: b\n\r\n"), "GET / 1|A=b");
	check_allowed(lf, SPAN("GET / HTTP/1.1\nA\n\n"), "field-no-colon");
	check_allowed(lf, SPAN("GET / HTTP/1.1\nA: b\n c\n\n"), "obs-fold");
	check_allowed(lf, SPAN("GET / HTTP/1.1\n A: b\n\n"), "leading-space");
	check_allowed(lf, SPAN("GET / HTTP/1.1\nA: b\rc\n\n"), "bare-cr");
	check_allowed(lf, SPAN("GET / HTTP/1.1\nA: b\r\r\n\n"), "bare-cr");
	check_allowed(lf, SPAN("GET / HTTP/1.1\n\r\r\n\n"), "field-no-colon");
	check_allowed(lf, SPAN("GET / HTTP/1.1\r\r\n\n"), "version-invalid");
	check_allowed(lf, SPAN("GET /\xc3\x9c HTTP/1.1\n\n"), "target-invalid");
	check_allowed(raw, SPAN("GET /\xc3\x9c?\x80\xff HTTP/1.1\r\n\r\n"),
		      "GET /\xc3\x9c?\x80\xff 1");
	check_allowed(raw, SPAN("GET /#\xc3 HTTP/1.1\r\n\r\n"), "target-invalid");
	check_allowed(raw, SPAN("GET /\x7f HTTP/1.1\r\n\r\n"), "target-invalid");
	check_allowed(raw, SPAN("GET /\0 HTTP/1.1\r\n\r\n"), "target-invalid");
	check_allowed(raw, SPAN("G\xc3T / HTTP/1.1\r\n\r\n"), "method-invalid");
	check_allowed(raw, SPAN("GET / HTTP/1.1\n\n"), "bare-lf");
}

static void the_first_line_is_known_before_the_head_is_complete(void **state)
{
	struct guard guard = guard_new(64);
	const struct span input = SPAN("SSH-2.0-x\r\nX: a\r\n");
	struct h1_head_scan scan = {0};
	size_t end;

	(void)state;
	for (size_t n = 1; n <= input.len; n++) {
		struct span in = guard_place(&guard, span_of(input.p, n));
		struct span line;

		assert_int_equal(h1_head_scan(&scan, false, in, LIMIT, &end), 0);
		line = h1_head_first_line(&scan, in);
		if (n < 11)
			assert_null(line.p);
		else
			assert_bytes(line, SPAN("SSH-2.0-x"), "first line");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_lines),
		cmocka_unit_test(field_lines),
		cmocka_unit_test(ends_of_lines),
		cmocka_unit_test(size_limit_is_exact),
		cmocka_unit_test(size_limit_counts_before_the_end_is_seen),
		cmocka_unit_test(field_limit_is_exact),
		cmocka_unit_test(trailer_sections),
		cmocka_unit_test(lines_that_end_in_lf_alone),
		cmocka_unit_test(what_is_allowed),
		cmocka_unit_test(the_first_line_is_known_before_the_head_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
