/* SPDX-License-Identifier: ISC */
#include "h1_answer.h"

#include "h1_judge.h"
#include "harness.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

static void describe_rule(struct text *t, const struct h1_body *body)
{
	if (body->state == H1_BODY_COMPLETE)
		text_printf(t, "none");
	else if (body->state == H1_BODY_LENGTH)
		text_printf(t, "%llu", (unsigned long long)body->left);
	else
		text_printf(t, body->state == H1_BODY_CHUNK_SIZE ? "chunked" : "until close");
}

/* A head of an answer to a request of that kind, what it comes to, and what goes to the client. */
struct row {
	const char *head;
	unsigned kind;
	const char *rule;   /* where it ends and what was mended, or the error */
	const char *client; /* NULL: the same bytes */
};

static void check(const struct row *row)
{
	static struct guard guard;
	struct span in = span_str(row->head);
	struct text seen = {0};
	struct h1_answer a;
	struct h1_body body;
	char buffer[1024];
	struct out out = out_of(buffer, sizeof buffer);
	int rc;

	if (!guard.end)
		guard = guard_new(1 << 17);
	rc = h1_answer_parse(guard_place(&guard, in), &a);
	if (rc != 0) {
		assert_bytes(span_str(errors_info[-rc].name), span_str(row->rule), row->head);
		return;
	}
	h1_answer_frame(&a, row->kind, &body);
	describe_rule(&seen, &body);
	for (int e = ERR_MENDED_FIRST; e < ERR_COUNT; e++)
		if (a.mended & h1_answer_mended((enum error)e))
			text_printf(&seen, " %s", errors_info[e].name + strlen("answer-"));
	assert_bytes(text_span(&seen), span_str(row->rule), row->head);
	h1_answer_put(&a, &out);
	assert_bytes(out_span(&out), row->client ? span_str(row->client) : in, row->head);
	text_free(&seen);
}

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check(&rows[i]);
}

#define CHECK_ROWS(rows) check_rows((rows), sizeof(rows) / sizeof(rows)[0])

static void status_lines(void **state)
{
	static const struct row rows[] = {
		{OK "\r\n", 0, "until close", NULL},
		{"HTTP/1.0 404 Not Found\r\nA:b\r\n\r\n", 0, "until close", NULL},
		{"HTTP/1.1 200 \r\n\r\n", 0, "until close", NULL},
		{"HTTP/1.1 999 \xe4\x01\x7f\r\n\r\n", 0, "until close", NULL},
		{"HTTP/1.1 100 Continue\r\n\r\n", 0, "none", NULL},
		{"HTTP/1.1 200\r\n\r\n", 0, "until close status-spelling", "HTTP/1.1 200 \r\n\r\n"},
		{"HTTP/1.1   200 OK\r\n\r\n", 0, "until close status-spelling", OK "\r\n"},
		{"HTTP/1.2 200 OK\r\n\r\n", 0, "until close status-spelling", OK "\r\n"},
		{"HTTP/1.1 200 OK\nA: b\r\n\r\n", 0, "until close bare-lf", OK "A: b\r\n\r\n"},
		{"HTTP/1.1 200\n\n", 0, "until close status-spelling bare-lf",
		 "HTTP/1.1 200 \r\n\r\n"},
		{"HTTP/1.1 099 x\r\n\r\n", 0, "answer-status-line", NULL},
		{"HTTP/1.1 20 OK\r\n\r\n", 0, "answer-status-line", NULL},
		{"HTTP/1.1 2000 OK\r\n\r\n", 0, "answer-status-line", NULL},
		{"HTTP/1.1 20x OK\r\n\r\n", 0, "answer-status-line", NULL},
		{"HTTP/1.1 2/0 OK\r\n\r\n", 0, "answer-status-line", NULL},
		{"HTTP/1.1 2:0 OK\r\n\r\n", 0, "answer-status-line", NULL},
		{"HTTP/1.1 +20 OK\r\n\r\n", 0, "answer-status-line", NULL},
		{"HTTP/1.1\t200 OK\r\n\r\n", 0, "answer-status-line", NULL},
		{"HTTP/1.1 200\tOK\r\n\r\n", 0, "answer-status-line", NULL},
		{"HTTP/1.1            \r\n\r\n", 0, "answer-status-line", NULL},
		{"HTTP/1.1\r\n\r\n", 0, "answer-status-line", NULL},
		{"HTTP/1.10 200 OK\r\n\r\n", 0, "answer-status-line", NULL},
		{"HTTP/1.x 200 OK\r\n\r\n", 0, "answer-status-line", NULL},
		{"HTTP/1 200 OK\r\n\r\n", 0, "answer-status-line", NULL},
		{"HTTP/2 200\r\n\r\n", 0, "answer-status-line", NULL},
		{"HTTP/2.0 200 OK\r\n\r\n", 0, "answer-status-line", NULL},
		{"HTTP/0.9 200 OK\r\n\r\n", 0, "answer-status-line", NULL},
		{"ICY 200 OK\r\n\r\n", 0, "answer-status-line", NULL},
		{"http/1.1 200 OK\r\n\r\n", 0, "answer-status-line", NULL},
		{" HTTP/1.1 200 OK\r\n\r\n", 0, "answer-status-line", NULL},
		{"HTTP/1.1 200 O\rK\r\n\r\n", 0, "answer-bare-cr", NULL},
		{"HTTP/1.1 200 OK\r\r\n\r\n", 0, "answer-bare-cr", NULL},
		{OK " A: b\r\n\r\n", 0, "answer-leading-space", NULL},
		{OK "\t\r\nA: b\r\n\r\n", 0, "answer-leading-space", NULL},
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void field_lines(void **state)
{
	static const struct row rows[] = {
		{OK "A:b\r\nA: c\r\nB:  \r\n\r\n", 0, "until close", NULL},
		{OK "Set-Cookie: a=TkE\x01sCv\x7f\xff; b\r\n\r\n", 0, "until close", NULL},
		{OK "A:b\nB:\tc \r\n\r\n", 0, "until close bare-lf", OK "A: b\r\nB: c\r\n\r\n"},
		{OK "A: b\r\n\n", 0, "until close bare-lf", OK "A: b\r\n\r\n"},
		{OK "A: b\r\n  c\r\n\td \r\nE: f\r\n\r\n", 0, "until close fold",
		 OK "A: b c d\r\nE: f\r\n\r\n"},
		{OK "A:\r\n b\r\n \r\n\r\n", 0, "until close fold", OK "A: b\r\n\r\n"},
		{OK "A: b\n\tc\n\n", 0, "until close bare-lf fold", OK "A: b c\r\n\r\n"},
		{OK "A: b\r\n HTTP/1.1 200 OK\r\n\r\n", 0, "until close fold",
		 OK "A: b HTTP/1.1 200 OK\r\n\r\n"},
		{OK "A : b\r\nC\t : d\r\n\r\n", 0, "until close space-before-colon",
		 OK "A: b\r\nC: d\r\n\r\n"},
		{OK "Content-Length : 5\r\n\r\n", 0, "5 space-before-colon",
		 OK "Content-Length: 5\r\n\r\n"},
		{OK "A\r\n\r\n", 0, "answer-no-colon", NULL},
		{OK "A \r\n: b\r\n\r\n", 0, "answer-no-colon", NULL},
		{OK "A\n\n", 0, "answer-no-colon", NULL},
		{OK "Secured by A :\r\n\r\n", 0, "answer-field-name", NULL},
		{OK ": b\r\n\r\n", 0, "answer-field-name", NULL},
		{OK "A(: b\r\n\r\n", 0, "answer-field-name", NULL},
		{OK "A\x01: b\r\n\r\n", 0, "answer-field-name", NULL},
		{OK "A: b\rc\r\n\r\n", 0, "answer-bare-cr", NULL},
		{OK "A: b\r\r\n\r\n", 0, "answer-bare-cr", NULL},
		{OK "A: b\r\n\rB: c\r\n\r\n", 0, "answer-bare-cr", NULL},
		{OK "A: b\r\n \r \r\n\r\n", 0, "answer-bare-cr", NULL},
	};
	struct h1_answer a;

	(void)state;
	CHECK_ROWS(rows);
	assert_int_equal(h1_answer_parse(SPAN(OK "A: b\0c\r\n\r\n"), &a), -ERR_ANSWER_NUL);
	assert_int_equal(h1_answer_parse(SPAN(OK "A\0: b\r\n\r\n"), &a), -ERR_ANSWER_FIELD_NAME);
	assert_int_equal(h1_answer_parse(SPAN("HTTP/1.1 200 \0\r\n\r\n"), &a), -ERR_ANSWER_NUL);
}

static void lengths(void **state)
{
	static const struct row rows[] = {
		{OK "Content-Length: 5\r\n\r\n", 0, "5", NULL},
		{OK "Content-Length: 0\r\n\r\n", 0, "none", NULL},
		{OK "content-length: 5, 5\r\n\r\n", 0, "5 length-repeated",
		 OK "content-length: 5\r\n\r\n"},
		{OK "Content-Length: 5\r\nA: b\r\nCONTENT-LENGTH: 05\r\n\r\n", 0,
		 "5 length-repeated", OK "Content-Length: 5\r\nA: b\r\n\r\n"},
		/* Some clients would read these in octal. */
		{OK "Content-Length: 010\r\n\r\n", 0, "10", OK "Content-Length: 10\r\n\r\n"},
		{OK "Content-Length: 000\r\n\r\n", 0, "none", OK "Content-Length: 0\r\n\r\n"},
		{OK "Content-Length:\r\n 5\r\n\r\n", 0, "5 fold", OK "Content-Length: 5\r\n\r\n"},
		{OK "Content-Length: 5,\r\n 5\r\n\r\n", 0, "5 fold length-repeated",
		 OK "Content-Length: 5\r\n\r\n"},
		{OK "Content-Length: 9223372036854775807\r\n\r\n", 0, "9223372036854775807", NULL},
		{OK "Content-Length: 9223372036854775808\r\n\r\n", 0, "answer-length-invalid",
		 NULL},
		{OK "Content-Length: 18446744073709551621\r\n\r\n", 0, "answer-length-invalid",
		 NULL},
		{OK "Content-Length:\r\n\r\n", 0, "answer-length-invalid", NULL},
		{OK "Content-Length: 5,\r\n\r\n", 0, "answer-length-invalid", NULL},
		{OK "Content-Length: ,5\r\n\r\n", 0, "answer-length-invalid", NULL},
		{OK "Content-Length: +5\r\n\r\n", 0, "answer-length-invalid", NULL},
		{OK "Content-Length: -5\r\n\r\n", 0, "answer-length-invalid", NULL},
		{OK "Content-Length: 0x5\r\n\r\n", 0, "answer-length-invalid", NULL},
		{OK "Content-Length: 5 5\r\n\r\n", 0, "answer-length-invalid", NULL},
		{OK "Content-Length: 5\r\n 5\r\n\r\n", 0, "answer-length-invalid", NULL},
		{OK "Content-Length: 5\x01\r\n\r\n", 0, "answer-length-invalid", NULL},
		{OK "Content-Length: x\r\n" CHUNKED "\r\n", 0, "answer-length-invalid", NULL},
		{OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 0, "answer-lengths-differ",
		 NULL},
		{OK "Content-Length: 5, 6\r\n\r\n", 0, "answer-lengths-differ", NULL},
		{OK "Content-Length: 5\r\nContent-Length: 0\r\n\r\n", H1_KIND_HEAD,
		 "answer-lengths-differ", NULL},
		{OK "Content_Length: 5\r\n\r\n", 0, "until close", NULL},
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void codings(void **state)
{
	static const struct row rows[] = {
		{OK CHUNKED "\r\n", 0, "chunked", NULL},
		{OK "transfer-encoding: CHUNKED\r\n\r\n", 0, "chunked", NULL},
		{OK "Transfer-Encoding: gzip, chunked\r\n\r\n", 0, "chunked", NULL},
		{OK "Transfer-Encoding: , chunked,\r\n\r\n", 0, "chunked", NULL},
		{OK CHUNKED "Content-Length: 5\r\n\r\n", 0, "chunked length-and-coding",
		 OK CHUNKED "\r\n"},
		{OK "Content-Length: 5\r\n" CHUNKED "\r\n", 0, "chunked length-and-coding",
		 OK CHUNKED "\r\n"},
		{OK "Content-Length: 5\r\n" CHUNKED "\r\n", H1_KIND_HEAD, "none length-and-coding",
		 OK CHUNKED "\r\n"},
		{OK CHUNKED "A: b\r\ntransfer-encoding: Chunked\r\n\r\n", 0,
		 "chunked coding-repeated", OK CHUNKED "A: b\r\n\r\n"},
		{OK "Transfer-Encoding: chunked, chunked\r\n\r\n", 0, "chunked coding-repeated",
		 OK CHUNKED "\r\n"},
		{OK "Transfer-Encoding: gzip\r\n" CHUNKED CHUNKED "\r\n", 0,
		 "chunked coding-repeated", OK "Transfer-Encoding: gzip, chunked\r\n\r\n"},
		{OK "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n", 0,
		 "5 coding-repeated", OK "Content-Length: 5\r\n\r\n"},
		{OK "Transfer-Encoding: identity\r\n" CHUNKED "\r\n", 0, "chunked coding-repeated",
		 OK CHUNKED "\r\n"},
		{OK "Transfer-Encoding: chunked, identity\r\n\r\n", 0, "chunked coding-repeated",
		 OK CHUNKED "\r\n"},
		{OK "Transfer-Encoding: identity\r\n\r\n", 0, "until close coding-repeated",
		 OK "\r\n"},
		{OK "Transfer-Encoding:\r\n chunked\r\n\r\n", 0, "chunked fold", OK CHUNKED "\r\n"},
		{OK "Transfer-Encoding: gzip\r\n\r\n", 0, "until close coding-other", NULL},
		{OK "Transfer-Encoding: gzip\r\nContent-Length: 5\r\n\r\n", 0,
		 "until close length-and-coding coding-other",
		 OK "Transfer-Encoding: gzip\r\n\r\n"},
		{OK "Transfer-Encoding: chunked, gzip\r\n\r\n", 0, "until close coding-other",
		 NULL},
		{"HTTP/1.0 200 OK\r\n" CHUNKED "\r\n", 0, "chunked coding-version",
		 OK CHUNKED "\r\n"},
		{OK "Transfer-Encoding: gzip\r\nA: b\r\n" CHUNKED "\r\n", 0, "chunked",
		 OK "Transfer-Encoding: gzip, chunked\r\nA: b\r\n\r\n"},
		{OK CHUNKED "A: b\r\n\r\n", H1_KIND_HTTP10, "chunked chunks-unasked",
		 OK "A: b\r\n\r\n"},
		{OK "Transfer-Encoding:\r\n\r\n", 0, "answer-coding", NULL},
		{OK "Transfer-Encoding: ,\r\n\r\n", 0, "answer-coding", NULL},
		{OK "Transfer-Encoding: chunked;q=1\r\n\r\n", 0, "answer-coding", NULL},
		{OK "Transfer-Encoding: \"chunked\"\r\n\r\n", 0, "answer-coding", NULL},
		{OK "Transfer-Encoding: \x0b"
		    "chunked\r\n\r\n",
		 0, "answer-coding", NULL},
		{OK "Transfer-Encoding: chunked\x7f\r\n\r\n", 0, "answer-coding", NULL},
		{OK "Transfer-Encoding: gzip chunked\r\n\r\n", 0, "answer-coding", NULL},
		{OK "Transfer-Encoding: chun\r\n ked\r\n\r\n", 0, "answer-coding", NULL},
		{OK "Transfer-Encoding: chunked, gzip, chunked\r\n\r\n", 0, "answer-coding", NULL},
		{OK "Transfer-Encoding: a,b,c,d,e,f,g,h,i\r\n\r\n", 0, "answer-coding", NULL},
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void answers_without_content(void **state)
{
	static const struct row rows[] = {
		{OK "\r\n", H1_KIND_HEAD, "none", NULL},
		{OK "Content-Length: 5\r\n\r\n", H1_KIND_HEAD, "none", NULL},
		{OK CHUNKED "\r\n", H1_KIND_HEAD, "none", NULL},
		{"HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", 0, "none", NULL},
		{"HTTP/1.1 304 x\r\n" CHUNKED "\r\n", 0, "none", NULL},
		{"HTTP/1.1 204 x\r\n\r\n", 0, "none", NULL},
		{"HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n", 0, "none no-content",
		 "HTTP/1.1 204 x\r\n\r\n"},
		{"HTTP/1.1 204 x\r\n" CHUNKED "A: b\r\n\r\n", 0, "none no-content",
		 "HTTP/1.1 204 x\r\nA: b\r\n\r\n"},
		{"HTTP/1.1 103 x\r\nLink: a\r\nContent-Length: 5\r\n" CHUNKED "\r\n", 0,
		 "none length-and-coding no-content", "HTTP/1.1 103 x\r\nLink: a\r\n\r\n"},
		{OK "Content-Length: 5\r\n\r\n", H1_KIND_CONNECT, "none no-content", OK "\r\n"},
		{"HTTP/1.1 404 x\r\nContent-Length: 5\r\n\r\n", H1_KIND_CONNECT, "5", NULL},
		{"HTTP/1.1 205 x\r\nContent-Length: 5\r\n\r\n", 0, "5", NULL},
	};

	(void)state;
	CHECK_ROWS(rows);
}

/* What the answer says of its connection, once `options` are ours; in lines behind OK. */
static void check_connection(const char *lines, unsigned options, const char *expected)
{
	struct text head = {0}, client = {0};
	char buffer[256];
	struct out out = out_of(buffer, sizeof buffer);
	struct h1_answer a;

	text_printf(&head, OK "%s\r\n", lines);
	text_printf(&client, OK "%s\r\n", expected);
	assert_int_equal(h1_answer_parse(text_span(&head), &a), 0);
	a.connection = options;
	h1_answer_put(&a, &out);
	assert_bytes(out_span(&out), text_span(&client), lines);
	text_free(&head);
	text_free(&client);
}

static void one_connection_is_ours(void **state)
{
	(void)state;
	check_connection("Connection:close\r\nA:b\r\n", 0, "Connection:close\r\nA:b\r\n");
	check_connection("Connection: x\r\nA:b\r\nConnection: y\r\n", H1_ANSWER_CLOSE,
			 "A: b\r\nConnection: close\r\n");
	check_connection("", H1_ANSWER_KEEP_ALIVE, "Connection: keep-alive\r\n");
	check_connection("Connection: x\r\n", H1_ANSWER_KEEP_ALIVE | H1_ANSWER_UPGRADE,
			 "Connection: keep-alive, Upgrade\r\n");
}

static void what_one_answer_can_hold(void **state)
{
	struct text head = {0};
	struct h1_answer a;
	struct out out;
	char *buffer;

	(void)state;
	text_printf(&head, "HTTP/1.0  200\n");
	for (int i = 0; i < H1_ANSWER_FIELDS_MAX; i++)
		text_printf(&head, i == 7 ? "Transfer-Encoding:a,b,c,d,e,f,g,h\n" : "A:\n");
	text_printf(&head, "\n");
	assert_int_equal(h1_answer_parse(text_span(&head), &a), 0);
	buffer = malloc(head.len + H1_ANSWER_INSERTION);
	assert_non_null(buffer);
	out = out_of(buffer, head.len + H1_ANSWER_INSERTION);
	a.connection = H1_ANSWER_KEEP_ALIVE | H1_ANSWER_UPGRADE;
	h1_answer_put(&a, &out);
	assert_false(out.full);
	assert_true(out_room(&out) < 64); /* nor is it wasteful */
	head.len--;
	text_printf(&head, "A:\n\n");
	assert_int_equal(h1_answer_parse(text_span(&head), &a), -ERR_ANSWER_TOO_MANY_FIELDS);
	free(buffer);
	text_free(&head);
}

/* Whether a 101 with these fields switches to what was offered. */
static bool switched(const char *fields)
{
	struct text head = {0};
	struct h1_answer a;
	bool is;

	text_printf(&head, "HTTP/1.1 101 x\r\n%s\r\n", fields);
	assert_int_equal(h1_answer_parse(text_span(&head), &a), 0);
	is = h1_answer_switches(&a, SPAN("websocket"));
	text_free(&head);
	return is;
}

static void answers_that_switch(void **state)
{
	(void)state;
	assert_true(switched("Connection: upgrade\r\nUpgrade: websocket\r\n"));
	assert_true(switched("upgrade: WebSocket\r\nCONNECTION: keep-alive, Upgrade\r\n"));
	assert_true(switched("Connection: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"));
	assert_false(switched(""));
	assert_false(switched("Connection: upgrade\r\n"));
	assert_false(switched("Upgrade: websocket\r\n"));
	assert_false(switched("Connection: close\r\nUpgrade: websocket\r\n"));
	assert_false(switched("Connection: upgrade\r\nUpgrade:\r\n"));
	assert_false(switched("Connection: upgrade\r\nUpgrade: h2c\r\n"));
	assert_false(switched("Connection: upgrade\r\nUpgrade: other\r\n"));
	assert_false(switched("Connection: upgrade\r\nUpgrade: websocket/13\r\n"));
	assert_false(switched("Connection: upgrade\r\nUpgrade: H2\r\n"));
	assert_false(switched("Connection: upgrade\r\nUpgrade: h2c-14\r\n"));
	assert_false(switched("Connection: upgrade\r\nUpgrade: HTTP/2.0\r\n"));
	assert_true(switched("Connection:\r\n upgrade\r\nUpgrade :\r\n websocket\r\n"));
	/* Of several lines any could be meant. */
	assert_false(switched("Connection: upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n"));
	assert_false(switched("Connection: upgrade\r\nUpgrade: websocket, h2c\r\n"));
}

/* As far as the bytes go, and as the whole head would be judged. */
static void what_can_become_an_answer(void **state)
{
	(void)state;
	assert_int_equal(h1_answer_begins(SPAN("H"), false), 0);
	assert_int_equal(h1_answer_begins(SPAN("HTTP/1.1 200 O"), false), 0);
	assert_int_equal(h1_answer_begins(SPAN("HTTP/2"), false), -ERR_ANSWER_STATUS_LINE);
	assert_int_equal(h1_answer_begins(SPAN("h"), false), -ERR_ANSWER_STATUS_LINE);
	assert_int_equal(h1_answer_begins(SPAN("220 mail"), false), -ERR_ANSWER_STATUS_LINE);
	assert_int_equal(h1_answer_begins(SPAN(OK "A"), true), 0);
	assert_int_equal(h1_answer_begins(SPAN("HTTP/1.1\r\nA"), true), -ERR_ANSWER_STATUS_LINE);
}

static void check_trailers(struct span section, const char *expected, const char *client)
{
	char buffer[256];
	struct out out = out_of(buffer, sizeof buffer);
	struct text seen = {0};
	uint32_t mended = 0;
	int rc = h1_answer_trailers(section, &mended, &out);

	if (rc != 0)
		text_printf(&seen, "%s", errors_info[-rc].name);
	for (int e = ERR_MENDED_FIRST; rc == 0 && e < ERR_COUNT; e++)
		if (mended & h1_answer_mended((enum error)e))
			text_printf(&seen, " %s", errors_info[e].name);
	assert_bytes(text_span(&seen), span_str(expected), section.p);
	if (rc == 0)
		assert_bytes(out_span(&out), span_str(client), section.p);
	text_free(&seen);
}

static void trailers(void **state)
{
	(void)state;
	check_trailers(SPAN("\r\n"), "", "\r\n");
	check_trailers(SPAN("\n"), " answer-bare-lf", "\r\n");
	check_trailers(SPAN("A:b\r\nSet-Cookie: c\r\n\r\n"), "", "A: b\r\nSet-Cookie: c\r\n\r\n");
	check_trailers(SPAN("A : b\n c\n\n"),
		       " answer-bare-lf answer-fold answer-space-before-colon", "A: b c\r\n\r\n");
	check_trailers(SPAN("Content-Length: x\r\nTransfer_Encoding: a\r\nConnection: close\r\n"
			    "A: b\r\n\r\n"),
		       " answer-trailer", "A: b\r\n\r\n");
	check_trailers(SPAN("A\r\n\r\n"), "answer-no-colon", NULL);
	check_trailers(SPAN(" A: b\r\n\r\n"), "answer-leading-space", NULL);
	check_trailers(SPAN("A: \0\r\n\r\n"), "answer-nul", NULL);
	check_trailers(SPAN("A: b\rc\r\n\r\n"), "answer-bare-cr", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_lines),
		cmocka_unit_test(field_lines),
		cmocka_unit_test(lengths),
		cmocka_unit_test(codings),
		cmocka_unit_test(answers_without_content),
		cmocka_unit_test(one_connection_is_ours),
		cmocka_unit_test(what_one_answer_can_hold),
		cmocka_unit_test(answers_that_switch),
		cmocka_unit_test(what_can_become_an_answer),
		cmocka_unit_test(trailers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
