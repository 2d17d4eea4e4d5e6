/* SPDX-License-Identifier: ISC */
#include "h1_body.h"

#include "harness.h"

/* --- which length rule holds ---------------------------------------------------------------- */

static struct h1_head head_of(int minor, const char *fields)
{
	static struct h1_head head;
	static struct text section;
	int rc;

	text_free(&section);
	text_printf(&section, "%s\r\n", fields);
	rc = h1_head_fields(text_span(&section), H1_FIELDS_MAX, &head);
	assert_int_equal(rc, 0);
	head.minor = minor;
	return head;
}

static void describe_rule(struct text *t, int rc, const struct h1_body *body)
{
	if (rc < 0)
		text_printf(t, "%s", errors_info[-rc].name);
	else if (body->state == H1_BODY_COMPLETE)
		text_printf(t, "none");
	else if (body->state == H1_BODY_LENGTH)
		text_printf(t, "%llu", (unsigned long long)body->left);
	else
		text_printf(t, body->state == H1_BODY_CHUNK_SIZE ? "chunked" : "?");
}

static void check_request(int minor, const char *fields, const char *expected)
{
	struct h1_head head = head_of(minor, fields);
	struct h1_body body = {.left = 77, .digits = 7, .state = H1_BODY_TRAILERS};
	struct text seen = {0};

	describe_rule(&seen, h1_body_of_request(&head, &body), &body);
	assert_bytes(text_span(&seen), span_str(expected), fields);
	text_free(&seen);
}

static const struct {
	const char *fields, *expected;
} request_rows[] = {
	{"", "none"},
	{"Content-Length: 0\r\n", "none"},
	{"Content-Length: 5\r\n", "5"},
	{"content-LENGTH:5\r\n", "5"},
	{"Content-Length: 0005\r\n", "5"},
	{"Content-Length: 000\r\n", "none"},
	{"Content-Length: 010\r\n", "10"},
	{"Content-Length: 9223372036854775807\r\n", "9223372036854775807"},
	{"Content-Length: 00000000000000000000000009223372036854775807\r\n", "9223372036854775807"},
	{"Content-Length: 9223372036854775808\r\n", "length-invalid"},
	{"Content-Length: 9223372036854775810\r\n", "length-invalid"},
	{"Content-Length: 18446744073709551616\r\n", "length-invalid"},
	{"Content-Length: 18446744073709551621\r\n", "length-invalid"},
	{"Content-Length: 99999999999999999999999999\r\n", "length-invalid"},
	{"Content-Length:\r\n", "length-invalid"},
	{"Content-Length: +5\r\n", "length-invalid"},
	{"Content-Length: -1\r\n", "length-invalid"},
	{"Content-Length: -0\r\n", "length-invalid"},
	{"Content-Length: 0x5\r\n", "length-invalid"},
	{"Content-Length: 5 5\r\n", "length-invalid"},
	{"Content-Length: 5, 5\r\n", "length-invalid"},
	{"Content-Length: 5,\r\n", "length-invalid"},
	{"Content-Length: 5;\r\n", "length-invalid"},
	{"Content-Length: 5_0\r\n", "length-invalid"},
	{"Content-Length: 5.0\r\n", "length-invalid"},
	{"Content-Length: 1e1\r\n", "length-invalid"},
	{"Content-Length: \"5\"\r\n", "length-invalid"},
	{"Content-Length: 5:\r\n", "length-invalid"},
	{"Content-Length: /\r\n", "length-invalid"},
	{"Content-Length: \xb5\r\n", "length-invalid"},
	{"Content-Length: 5\r\nContent-Length: 5\r\n", "length-duplicate"},
	{"Content-Length: 5\r\ncontent-length: 6\r\n", "length-duplicate"},
	{"Content-Length:\r\nA: b\r\nContent-Length: 6\r\n", "length-duplicate"},
	{"Transfer-Encoding: chunked\r\n", "chunked"},
	{"transfer-encoding: CHUNKED\r\n", "chunked"},
	{"Transfer-Encoding: \tchunked \t\r\n", "chunked"},
	{"Transfer-Encoding:\r\n", "coding-invalid"},
	{"Transfer-Encoding: identity\r\n", "coding-unknown"},
	{"Transfer-Encoding: xchunked\r\n", "coding-unknown"},
	{"Transfer-Encoding: chunkedx\r\n", "coding-unknown"},
	{"Transfer-Encoding: chunked, chunked\r\n", "coding-duplicate"},
	{"Transfer-Encoding: gzip, chunked\r\n", "coding-unknown"},
	{"Transfer-Encoding: chunked, gzip\r\n", "coding-invalid"},
	{"Transfer-Encoding: ,chunked\r\n", "coding-invalid"},
	{"Transfer-Encoding: chunked,\r\n", "coding-invalid"},
	{"Transfer-Encoding: chunked;q=1\r\n", "coding-invalid"},
	{"Transfer-Encoding: \"chunked\"\r\n", "coding-invalid"},
	{"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "coding-duplicate"},
	{"Transfer-Encoding: gzip\r\n", "coding-unknown"},
	{"Transfer-Encoding: gzip;q=1 , CHUNKED\r\n", "coding-unknown"},
	{"Transfer-Encoding: gzip gzip\r\n", "coding-invalid"},
	{"Transfer-Encoding: ;q\r\n", "coding-invalid"},
	{"Transfer-Encoding: chunked, gzip, chunked\r\n", "coding-duplicate"},
	{"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "coding-unknown"},
	{"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "coding-invalid"},
	{"Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n", "coding-invalid"},
	{"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "length-and-coding"},
	{"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "length-and-coding"},
	{"Content-Length: x\r\nTransfer-Encoding: x\r\n", "length-and-coding"},
	{"Content_Length: 5\r\nTransfer_Encoding: chunked\r\n", "none"},
};

static void rules_for_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof request_rows / sizeof request_rows[0]; i++)
		check_request(1, request_rows[i].fields, request_rows[i].expected);
	check_request(0, "Content-Length: 5\r\n", "5");
	check_request(0, "Transfer-Encoding: chunked\r\n", "coding-version");
	check_request(0, "Transfer-Encoding: x\r\n", "coding-version");
}

static void coding_has_one_spelling(void **state)
{
	struct h1_head head = head_of(1, "Transfer-Encoding: CHUNKED\r\n");
	struct h1_body body;

	(void)state;
	assert_int_equal(h1_body_of_request(&head, &body), 0);
	assert_bytes(head.field[0].value, SPAN("chunked"), "value");
}

static void length_is_made_canonical(void **state)
{
	struct h1_head head = head_of(1, "Content-Length: 000120\r\n");
	struct h1_body body;

	(void)state;
	assert_int_equal(h1_body_of_request(&head, &body), 0);
	assert_bytes(head.field[0].value, SPAN("120"), "value");
	head = head_of(1, "Content-Length: 000\r\n");
	assert_int_equal(h1_body_of_request(&head, &body), 0);
	assert_bytes(head.field[0].value, SPAN("0"), "value");
}

/* --- walking the body ----------------------------------------------------------------------- */

struct walk {
	struct span input;
	struct h1_body body;
	size_t max_data;
	bool bypass;
	bool in_data; /* content that goes on over pieces is one piece to the test */
	struct text *seen;
};

static void saw_data(struct walk *w, struct span data)
{
	if (!w->in_data)
		text_printf(w->seen, " \"");
	text_add(w->seen, data);
	w->in_data = true;
}

static void saw(struct walk *w, const char *format, unsigned long long n)
{
	if (w->in_data)
		text_printf(w->seen, "\"");
	w->in_data = false;
	text_printf(w->seen, "%s", w->seen->len != 0 ? " " : "");
	text_printf(w->seen, "%s", format);
	if (format[0] == '[')
		text_printf(w->seen, "%llx]", n);
}

/* What a caller may let pass unseen; true if there was something. */
static bool pass_by(struct walk *w, struct span *in)
{
	size_t n = h1_body_bypass(&w->body);

	if (!w->bypass || n == 0 || in->len == 0)
		return false;
	if (n > in->len)
		n = in->len;
	saw_data(w, span_of(in->p, n));
	h1_body_bypassed(&w->body, n);
	span_skip(in, n);
	return true;
}

/* One step; its event, or -1 if the walk is over. */
static int step(struct walk *w, struct span *in)
{
	struct span data = {0};
	size_t before = in->len;
	int event = h1_body_step(&w->body, in, w->max_data, &data);

	if (event < 0) {
		saw(w, errors_info[-event].name, 0);
		return -1;
	}
	if (event == H1_BODY_DATA) {
		assert_in_range(data.len, 1, w->max_data);
		assert_int_equal(before - in->len, data.len);
		saw_data(w, data);
	} else if (event == H1_BODY_CHUNK) {
		assert_int_not_equal(w->body.left, 0);
		saw(w, "[", (unsigned long long)w->body.left);
	} else if (event == H1_BODY_CHUNK_END) {
		saw(w, "end", 0);
	} else if (event == H1_BODY_LAST) {
		assert_int_equal(w->body.state, H1_BODY_TRAILERS);
		saw(w, "last", 0);
	}
	return event;
}

static long offer_body(struct span in, void *arg)
{
	struct walk *w = arg;
	size_t before = in.len;
	int event;

	do {
		if (pass_by(w, &in))
			continue;
		event = step(w, &in);
		if (event < 0)
			return -1;
	} while (in.len != 0 && w->body.state != H1_BODY_COMPLETE &&
		 w->body.state != H1_BODY_TRAILERS);
	return (long)(before - in.len);
}

static void walk_body(struct cut cut, struct text *seen, void *arg)
{
	struct walk w = *(struct walk *)arg;

	w.seen = seen;
	offer_pieces(w.input, cut, offer_body, &w);
	if (w.in_data)
		text_printf(seen, "\"");
	if (w.body.state == H1_BODY_COMPLETE)
		text_printf(seen, ".");
}

static void check_walk(struct walk walk, const char *expected)
{
	static const size_t max_data[] = {SIZE_MAX, 1, 3};

	for (int mode = 0; mode < 4; mode++) {
		struct text seen = {0};

		walk.max_data = max_data[mode % 3];
		walk.bypass = mode == 3;
		every_cut(walk.input.len, walk_body, &walk, &seen);
		assert_bytes(text_span(&seen), span_str(expected), walk.input.p);
		text_free(&seen);
	}
}

static void check_chunked(struct span input, const char *expected)
{
	check_walk((struct walk){.input = input, .body = {.state = H1_BODY_CHUNK_SIZE}}, expected);
}

static void counted_bodies(void **state)
{
	const struct h1_body five = {.state = H1_BODY_LENGTH, .left = 5};
	const struct h1_body close = {.state = H1_BODY_UNTIL_CLOSE};

	(void)state;
	check_walk((struct walk){.input = SPAN("hello"), .body = five}, " \"hello\".");
	check_walk((struct walk){.input = SPAN("he\r\no"), .body = five}, " \"he\r\no\".");
	check_walk((struct walk){.input = SPAN("hell"), .body = five}, " \"hell\"");
	check_walk((struct walk){.input = SPAN("hello, next"), .body = five}, " \"hello\".");
	check_walk((struct walk){.input = SPAN("5\r\n"), .body = close}, " \"5\r\n\"");
	check_walk((struct walk){.input = SPAN("GET"), .body = {0}}, ".");
}

static void chunked_bodies(void **state)
{
	static const struct {
		const char *input, *expected;
	} rows[] = {
		{"0\r\n", "last"},
		{"0\r\nX: a\r\n\r\n", "last"},
		{"000\r\n", "last"},
		{"0000000000000000\r\n", "last"},
		{"5\r\nhello\r\n0\r\n", "[5] \"hello\" end last"},
		{"5\r\nhe\r\no\r\n0\r\n", "[5] \"he\r\no\" end last"},
		{"1\r\na\r\n2\r\nbc\r\n", "[1] \"a\" end [2] \"bc\" end"},
		{"a\r\n0123456789\r\n", "[a] \"0123456789\" end"},
		{"B\r\n0123456789a\r\n", "[b] \"0123456789a\" end"},
		{"005\r\nhello\r\n", "[5] \"hello\" end"},
		{"0000000000000005\r\nhello\r\n", "[5] \"hello\" end"},
		{"00000000000000005\r\nhello\r\n", "chunk-too-large"},
		{"fffffffffffff\r\na", "[fffffffffffff] \"a\""},
		{"000FFFFFFFFFFFFF\r\na", "[fffffffffffff] \"a\""},
		/* A chunk is told of together with the first of its data. */
		{"5\r\n", ""},
		{"10000000000000\r\n", "chunk-too-large"},
		{"ffffffffffffffff\r\n", "chunk-too-large"},
		{"10000000000000005\r\n", "chunk-too-large"},
		{"\r\n", "chunk-size"},
		{"\r\n5\r\n", "chunk-size"},
		{" 5\r\n", "chunk-size"},
		{"\t5\r\n", "chunk-size"},
		{"5 \r\n", "chunk-size"},
		{"5\t\r\n", "chunk-size"},
		{"+5\r\n", "chunk-size"},
		{"-5\r\n", "chunk-size"},
		{"0x5\r\n", "chunk-size"},
		{"5_0\r\n", "chunk-size"},
		{"5h\r\n", "chunk-size"},
		{"g\r\n", "chunk-size"},
		{"5.0\r\n", "chunk-size"},
		{"5,5\r\n", "chunk-size"},
		{";a\r\n", "chunk-size"},
		{"5\n", "chunk-size"},
		{"5\rx", "chunk-size"},
		{"5\r\r\n", "chunk-size"},
		{"\n", "chunk-size"},
		{"5\r\nhello\n", "[5] \"hello\" chunk-end"},
		{"5\r\nhello0\r\n", "[5] \"hello\" chunk-end"},
		{"5\r\nhello\rx", "[5] \"hello\" chunk-end"},
		{"5\r\nhello\r\r\n", "[5] \"hello\" chunk-end"},
		{"5\r\nhello\r\n\r\n", "[5] \"hello\" end chunk-size"},
		{"5\r\nhello \r\n", "[5] \"hello\" chunk-end"},
		{"5\r\nhel", "[5] \"hel\""},
		{"5", ""},
		{"5\r", ""},
		{"5\r\nhello\r", "[5] \"hello\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		check_chunked(span_str(rows[i].input), rows[i].expected);
	check_chunked(SPAN("5\0\r\n"), "chunk-size");
	check_chunked(SPAN("\xb5\r\n"), "chunk-size");
}

/* What only an answer may do. */
static void lenient_bodies(void **state)
{
	static const struct {
		const char *input, *expected;
		bool spaced, bare_lf;
	} rows[] = {
		{"5\r\nhello\r\n0\r\n", "[5] \"hello\" end last", false, false},
		{"1 ;a\r\na\r\n", "[1] \"a\" end", false, false},
		{"5  \r\nhello\r\n0\t\r\n", "[5] \"hello\" end last", true, false},
		{" \t5\r\nhello\r\n", "[5] \"hello\" end", true, false},
		{"5\nhello\n0\n", "[5] \"hello\" end last", false, true},
		{"5 \nhello\r\n0\r\n", "[5] \"hello\" end last", true, true},
		{"5;a\nhello\r\n", "[5] \"hello\" end", false, true},
		{" \r\n", "chunk-size", true, false},
		{"\n", "chunk-size", false, false},
		{"5 5\r\n", "chunk-size", false, false},
		{"+5\r\n", "chunk-size", false, false},
		{"5\r5", "chunk-size", false, false},
		{"5\r\nhello\n\n", "[5] \"hello\" end chunk-size", false, true},
		{"5\r\nhello 0\n", "[5] \"hello\" chunk-end", false, false},
		{"5\r\nhello\rx", "[5] \"hello\" chunk-end", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct h1_body body = {
			.state = H1_BODY_CHUNK_SIZE, .takes_lf = true, .takes_space = true};
		struct span in = span_str(rows[i].input), data;

		check_walk((struct walk){.input = in, .body = body}, rows[i].expected);
		while (in.len != 0 && body.state != H1_BODY_TRAILERS &&
		       h1_body_step(&body, &in, SIZE_MAX, &data) >= 0)
			;
		assert_int_equal(body.spaced, rows[i].spaced);
		assert_int_equal(body.bare_lf, rows[i].bare_lf);
	}
}

static void white_space_around_a_size_is_bounded(void **state)
{
	struct h1_body body = {.state = H1_BODY_CHUNK_SIZE, .takes_lf = true, .takes_space = true};
	struct text line = {0};
	struct span in, data;

	(void)state;
	for (int i = 0; i <= H1_CHUNK_EXTENSION_MAX; i++)
		text_printf(&line, " ");
	in = text_span(&line);
	assert_int_equal(h1_body_step(&body, &in, SIZE_MAX, &data), -ERR_CHUNK_EXTENSION);
	text_free(&line);
}

static void chunk_extensions(void **state)
{
	(void)state;
	check_chunked(SPAN("1;\r\na\r\n"), "[1] \"a\" end");
	check_chunked(SPAN("1;a=b;c=\"d e\"\r\na\r\n"), "[1] \"a\" end");
	check_chunked(SPAN("0; a = b\r\n"), "last");
	check_chunked(SPAN("1;a\tb\xff\r\na\r\n"), "[1] \"a\" end");
	check_chunked(SPAN("1;a=\"\r\n\"\r\n"), "[1] \"\"\" end");
	check_chunked(SPAN("1 \t ;a\r\na\r\n"), "[1] \"a\" end");
	check_chunked(SPAN("1 \r\n"), "chunk-size");
	check_chunked(SPAN("1 \t\r\n"), "chunk-size");
	check_chunked(SPAN("1 1\r\n"), "chunk-size");
	check_chunked(SPAN("1 \n"), "chunk-size");
	check_chunked(SPAN("1 a\r\n"), "chunk-size");
	check_chunked(SPAN("1;a\nb\r\n"), "chunk-extension");
	check_chunked(SPAN("1;a\0\r\n"), "chunk-extension");
	check_chunked(SPAN("1;a\x7f\r\n"), "chunk-extension");
	check_chunked(SPAN("1;a\x01\r\n"), "chunk-extension");
	check_chunked(SPAN("1;a\rb\r\n"), "chunk-size");
	check_chunked(SPAN("1;\rx"), "chunk-size");
}

/* Chunks of one byte, each with an extension of `each` bytes, the first of them `first`. */
static void check_extensions(size_t chunks, char first, size_t each, const char *expected_end)
{
	struct text input = {0}, expected = {0};

	for (size_t i = 0; i < chunks; i++) {
		text_printf(&input, "1%c", first);
		for (size_t n = 1; n < each; n++)
			text_printf(&input, n + 2 < each ? " " : ";");
		text_printf(&input, "\r\na\r\n");
		text_printf(&expected, "%s[1] \"a\" end", i == 0 ? "" : " ");
	}
	if (expected_end) {
		size_t kept = expected.len - strlen("[1] \"a\" end");

		expected.len = kept;
		text_printf(&expected, "%s", expected_end);
	}
	check_chunked(text_span(&input), expected.p);
	text_free(&input);
	text_free(&expected);
}

static void extensions_are_bounded(void **state)
{
	(void)state;
	check_extensions(1, ';', H1_CHUNK_EXTENSION_MAX, NULL);
	check_extensions(1, ';', H1_CHUNK_EXTENSION_MAX + 1, "chunk-extension");
	check_extensions(1, ' ', H1_CHUNK_EXTENSION_MAX, NULL);
	check_extensions(1, ' ', H1_CHUNK_EXTENSION_MAX + 1, "chunk-extension");
	check_extensions(H1_EXTENSIONS_MAX / 128, ';', 128, NULL);
	check_extensions(H1_EXTENSIONS_MAX / 128, ' ', 128, NULL);
	check_extensions(H1_EXTENSIONS_MAX / 128 + 1, ';', 128, "chunk-extension");
}

/* The longest chunk line leaves its bounds as the header says. */
static void the_longest_chunk_line(void **state)
{
	struct text line = {0};
	struct h1_body body = {.state = H1_BODY_CHUNK_SIZE};
	struct span in, data;

	(void)state;
	text_printf(&line, "0000000000000001;");
	while (line.len < H1_CHUNK_LINE_MAX - 2)
		text_printf(&line, "x");
	text_printf(&line, "\r\n");
	assert_int_equal(line.len, H1_CHUNK_LINE_MAX);
	text_printf(&line, "a");
	in = text_span(&line);
	assert_int_equal(h1_body_step(&body, &in, SIZE_MAX, &data), H1_BODY_CHUNK);
	assert_int_equal(in.len, 1);
	text_free(&line);
}

static void bypass_lengths(void **state)
{
	struct h1_body body = {.state = H1_BODY_LENGTH, .left = 10};

	(void)state;
	assert_int_equal(h1_body_bypass(&body), 10);
	h1_body_bypassed(&body, 4);
	assert_int_equal(h1_body_bypass(&body), 6);
	h1_body_bypassed(&body, 6);
	assert_int_equal(body.state, H1_BODY_COMPLETE);
	assert_int_equal(h1_body_bypass(&body), 0);

	body = (struct h1_body){.state = H1_BODY_CHUNK_DATA, .left = 3};
	h1_body_bypassed(&body, 3);
	assert_int_equal(body.state, H1_BODY_CHUNK_DATA_CR);

	body = (struct h1_body){.state = H1_BODY_UNTIL_CLOSE};
	assert_int_equal(h1_body_bypass(&body), SIZE_MAX);
	h1_body_bypassed(&body, 1000);
	assert_int_equal(h1_body_bypass(&body), SIZE_MAX);

	for (int s = H1_BODY_CHUNK_SIZE; s <= H1_BODY_TRAILERS; s++) {
		body = (struct h1_body){.state = (uint8_t)s};
		assert_int_equal(h1_body_bypass(&body), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_for_requests),
		cmocka_unit_test(coding_has_one_spelling),
		cmocka_unit_test(length_is_made_canonical),
		cmocka_unit_test(counted_bodies),
		cmocka_unit_test(chunked_bodies),
		cmocka_unit_test(lenient_bodies),
		cmocka_unit_test(white_space_around_a_size_is_bounded),
		cmocka_unit_test(chunk_extensions),
		cmocka_unit_test(extensions_are_bounded),
		cmocka_unit_test(the_longest_chunk_line),
		cmocka_unit_test(bypass_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
