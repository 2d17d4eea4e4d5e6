/* SPDX-License-Identifier: ISC */
#include "h1.h"

#include "conversation.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define CLOSE "HTTP/1.1 200 OK\r\n\r\n"
#define CLOSED "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"

static const struct dialogue request_rows[] = {
	{
		.what = "nothing",
		.turns = "c",
		.bytes = {""},
		.backend = "",
		.client = "",
		.state = "requests idle, responses idle, 0 of 0 in flight",
	},
	{
		.what = "a part of a head",
		.turns = "c",
		.bytes = {"GET / HTT"},
		.backend = "",
		.client = "",
		.state = "requests head, responses idle, 0 of 0 in flight, 9 held",
	},
	{
		.what = "only empty lines",
		.turns = "c",
		.bytes = {"\r\n\r\n"},
		.backend = "",
		.client = "",
		.state = "requests idle, responses idle, 0 of 0 in flight",
	},
	{
		.what = "one",
		.turns = "c",
		.bytes = {GET "\r\n"},
		.backend = GET ADDED "\r\n",
		.client = "",
		.state = "requests idle, responses idle, 1 of 1 in flight",
	},
	{
		.what = "empty lines before each",
		.turns = "c",
		.bytes = {"\r\n\r\n\r\n\r\n" GET "\r\n\r\n\r\n\r\n\r\n" GET "\r\n"},
		.backend = GET ADDED "\r\n" GET ADDED "\r\n",
		.client = "",
		.state = "requests idle, responses idle, 2 of 2 in flight",
	},
	{
		.what = "a counted body",
		.turns = "c",
		.bytes = {POST "Content-Length: 5\r\n\r\nhello" GET "\r\n"},
		.backend = POST ADDED "Content-Length: 5\r\n\r\nhello" GET ADDED "\r\n",
		.client = "",
		.state = "requests idle, responses idle, 2 of 2 in flight",
	},
	{
		.what = "a part of a counted body",
		.turns = "c",
		.bytes = {POST "Content-Length: 5\r\n\r\nhell"},
		.backend = POST ADDED "Content-Length: 5\r\n\r\nhell",
		.client = "",
		.state = "requests body, responses idle, 1 of 1 in flight",
	},
	{
		.what = "a chunked body with all that is dropped",
		.turns = "c",
		.bytes = {POST "Transfer-Encoding: chunked\r\n\r\n"
			       "005;a=b\r\nhello\r\nA ; c\r\n0123456789\r\n00;x\r\n"
			       "Sum: 1\r\nX_Forwarded_For: 1\r\nHost: b\r\n\r\n" GET "\r\n"},
		.backend = POST ADDED
		"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\na\r\n0123456789\r\n0\r\nSum: "
		"1\r\n\r\n" GET ADDED "\r\n",
		.client = "",
		.state = "requests idle, responses idle, 2 of 2 in flight",
	},
	{
		.what = "trailers that are not complete",
		.turns = "c",
		.bytes = {POST "Transfer-Encoding: chunked\r\n\r\n0\r\nSum: 1\r\n"},
		.backend = POST ADDED "Transfer-Encoding: chunked\r\n\r\n",
		.client = "",
		.state = "requests body, responses idle, 1 of 1 in flight, 8 held",
	},
	{
		.what = "the last one says close: what follows is discarded",
		.turns = "c",
		.bytes = {GET "Connection: close\r\n\r\n" GET "\r\n\n\n garbage"},
		.backend = GET ADDED "Connection: close\r\n\r\n",
		.client = "",
		.state = "requests closed, responses idle, 1 of 1 in flight",
	},
	{
		.what = "the last one says close and has a body",
		.turns = "c",
		.bytes = {POST "Connection: close\r\nContent-Length: 2\r\n\r\nhiGET"},
		.backend = POST ADDED "Connection: close\r\nContent-Length: 2\r\n\r\nhi",
		.client = "",
		.state = "requests closed, responses idle, 1 of 1 in flight",
	},
	{
		.what = "an old client",
		.turns = "c",
		.bytes = {"GET / HTTP/1.0\r\n\r\n" GET "\r\n"},
		.backend = "GET / HTTP/1.0\r\n" ADDED "\r\n",
		.client = "",
		.state = "requests closed, responses idle, 1 of 1 in flight",
	},
	{
		.what = "an old client that keeps the connection",
		.turns = "c",
		.bytes = {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n" GET "\r\n"},
		.backend = "GET / HTTP/1.0\r\n" ADDED "Connection: keep-alive\r\n\r\n" GET ADDED
			   "\r\n",
		.client = "",
		.state = "requests idle, responses idle, 2 of 2 in flight",
	},
};

static void requests_alone(void **state)
{
	(void)state;
	RUN_ROWS(request_rows);
}

static void pipelines_are_bounded(void **state)
{
	struct text requests = {0}, first = {0}, answers = {0}, all_answers = {0};
	struct dialogue row = {.what = "more requests than may be in flight", .turns = "c"};

	(void)state;
	for (int i = 0; i < H1_PIPELINE_MAX + 3; i++) {
		text_printf(&requests, "GET /%d HTTP/1.1\r\n" HOST "\r\n", i);
		if (i < H1_PIPELINE_MAX) {
			text_printf(&first, "GET /%d HTTP/1.1\r\n" HOST ADDED "\r\n", i);
			text_printf(&answers, OK);
		}
	}
	row.bytes[0] = requests.p;
	row.backend = first.p;
	row.client = "";
	row.state = "requests idle, responses idle, 32 of 32 in flight, blocked, 87 held";
	check_dialogue(&row);

	/* One answer makes room for one request; that they are held costs no time limit. */
	row.turns = "cb";
	row.bytes[1] = OK;
	text_printf(&first, "GET /%d HTTP/1.1\r\n" HOST ADDED "\r\n", H1_PIPELINE_MAX);
	row.backend = first.p;
	row.client = OK;
	row.state = "requests idle, responses idle, 32 of 33 in flight, blocked, 58 held";
	check_dialogue(&row);

	/* A backend answers what it got: the last three after the first. */
	row.turns = "cbb";
	row.bytes[1] = answers.p;
	row.bytes[2] = OK OK OK;
	for (int i = H1_PIPELINE_MAX + 1; i < H1_PIPELINE_MAX + 3; i++)
		text_printf(&first, "GET /%d HTTP/1.1\r\n" HOST ADDED "\r\n", i);
	row.backend = first.p;
	text_printf(&all_answers, "%s" OK OK OK, answers.p);
	row.client = all_answers.p;
	row.state = "requests idle, responses idle, 0 of 35 in flight";
	check_dialogue(&row);
	text_free(&requests);
	text_free(&first);
	text_free(&answers);
	text_free(&all_answers);
}

/* The ring of requests in flight goes round, and each place is the right one's. */
static void heads_are_known_after_many_requests(void **state)
{
	struct text requests[4] = {{0}}, answers[4] = {{0}}, backend = {0}, client = {0};
	struct dialogue row = {.what = "100 requests", .turns = "cbcbcbcb"};

	(void)state;
	for (int i = 0; i < 100; i++) {
		const char *method = i % 7 == 3 || i % 5 == 1 ? "HEAD" : "GET";

		text_printf(&requests[i / 25], "%s /%d HTTP/1.1\r\n" HOST "\r\n", method, i);
		text_printf(&backend, "%s /%d HTTP/1.1\r\n" HOST ADDED "\r\n", method, i);
		text_printf(&answers[i / 25], "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n%s",
			    method[0] == 'G' ? "abc" : "");
	}
	for (int i = 0; i < 4; i++) {
		row.bytes[2 * i] = requests[i].p;
		row.bytes[2 * i + 1] = answers[i].p;
		text_add(&client, text_span(&answers[i]));
	}
	row.backend = backend.p;
	row.client = client.p;
	row.state = "requests idle, responses idle, 0 of 100 in flight";
	check_dialogue(&row);
	for (int i = 0; i < 4; i++) {
		text_free(&requests[i]);
		text_free(&answers[i]);
	}
	text_free(&backend);
	text_free(&client);
}

/* Whether a chunk's size line is the last that was written: its data is on the way alone. */
static bool ends_in_a_size(struct span written)
{
	return written.len >= 3 && memcmp(written.p + written.len - 2, "\r\n", 2) == 0 &&
	       memchr("56", written.p[written.len - 3], 2);
}

/* thin and cpp-httplib take what a segment begins with for a request, so a client must not choose
 * it. */
static void a_chunks_size_goes_out_with_its_data(void **state)
{
	static const struct span body = SPAN("5\r\nhello\r\n006 ;x\r\nworlds\r\n0\r\n\r\n");
	static const struct step steps[] = {{0}};
	static char buffer[1 << 16];
	struct rewrite rw = {0};
	struct script script = script_of(&rw, steps);

	(void)state;
	for (size_t split = 0; split <= body.len; split++) {
		for (size_t room = 1; room < H1_CHUNK_LINE_MAX + 20; room++) {
			const size_t cap = h1_out_min(&rw, script.limits),
				     ends[] = {split, body.len};
			struct conversation c;
			struct span in = span_of(body.p, 0);

			conversation_begin(&c, &script);
			conversation_feed(&c, H1_REQUEST,
					  SPAN(POST "Transfer-Encoding: chunked\r\n\r\n"));
			for (size_t i = 0; i < 4;
			     i++) { /* each piece into little room, then much */
				struct out out = out_of(buffer, cap);
				size_t begin;

				assert_true(cap <= sizeof buffer);
				out.len = i % 2 == 0 ? cap - room : 0;
				begin = out.len;
				in.len = (size_t)(body.p + ends[i / 2] - in.p);
				assert_int_equal(h1_feed(&c.h1, H1_REQUEST, &in, &out), 0);
				assert_false(
					ends_in_a_size(span_of(buffer + begin, out.len - begin)));
			}
			assert_int_equal(in.len, 0);
			conversation_end(&c);
		}
	}
}

#define BAD "GET /\r\n"

static const struct dialogue answer_rows[] = {
	{
		.what = "nothing else going on",
		.turns = "c",
		.bytes = {BAD},
		.backend = "",
		.client = "",
		.state = "request-line, answered now: requests head, responses idle, 0 of 0 in "
			 "flight",
	},
	{
		.what = "after an answered request",
		.turns = "cbc",
		.bytes = {GET "\r\n", OK, BAD},
		.backend = GET ADDED "\r\n",
		.client = OK,
		.state = "request-line, answered now: requests head, responses idle, 0 of 1 in "
			 "flight",
	},
	{
		.what = "after a request without an answer yet",
		.turns = "c",
		.bytes = {GET "\r\n" BAD},
		.backend = GET ADDED "\r\n",
		.client = "",
		.state = "request-line, answered later: requests head, responses idle, 1 of 1 in "
			 "flight",
	},
	{
		.what = "whose answer then comes: responses go on after an error",
		.turns = "cb",
		.bytes = {GET "\r\n" BAD, OK},
		.backend = GET ADDED "\r\n",
		.client = OK,
		.state = "request-line, answered now: requests head, responses idle, 0 of 1 in "
			 "flight",
	},
	{
		.what = "while an answer comes",
		.turns = "cbc",
		.bytes = {GET "\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", BAD},
		.backend = GET ADDED "\r\n",
		.client = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
		.state = "request-line, answered later: requests head, responses body, 1 of 1 in "
			 "flight",
	},
	{
		.what = "after an answer whose end nobody knows: the bad request is not even read",
		.turns = "cbc",
		.bytes = {GET "\r\n", CLOSE, BAD},
		.backend = GET ADDED "\r\n",
		.client = CLOSED,
		.state = "requests closed, responses until close, 1 of 1 in flight",
	},
	{
		.what = "before such an answer",
		.turns = "cb",
		.bytes = {GET "\r\n" BAD, CLOSE},
		.backend = GET ADDED "\r\n",
		.client = CLOSED,
		.state = "request-line, answered never: requests closed, responses until close, 1 "
			 "of 1 in flight",
	},
	{
		.what = "in a body that is not answered yet",
		.turns = "c",
		.bytes = {POST "Transfer-Encoding: chunked\r\n\r\nx\r\n"},
		.backend = POST ADDED "Transfer-Encoding: chunked\r\n\r\n",
		.client = "",
		.state =
			"chunk-size, answered now: requests body, responses idle, 1 of 1 in flight",
	},
	{
		.what = "in trailers that are not answered yet",
		.turns = "c",
		.bytes = {POST "Transfer-Encoding: chunked\r\n\r\n0\r\n X: a\r\n\r\n"},
		.backend = POST ADDED "Transfer-Encoding: chunked\r\n\r\n",
		.client = "",
		.state = "leading-space, answered now: requests body, responses idle, 1 of 1 in "
			 "flight",
	},
	{
		.what = "in a body after 100 Continue",
		.turns = "cbc",
		.bytes = {POST "Transfer-Encoding: chunked\r\n\r\n",
			  "HTTP/1.1 100 Continue\r\n\r\n", "x"},
		.backend = POST ADDED "Transfer-Encoding: chunked\r\n\r\n",
		.client = "HTTP/1.1 100 Continue\r\n\r\n",
		.state =
			"chunk-size, answered now: requests body, responses idle, 1 of 1 in flight",
	},
	{
		.what = "in a body whose answer begins",
		.turns = "cbc",
		.bytes = {POST "Transfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 4", "x"},
		.backend = POST ADDED "Transfer-Encoding: chunked\r\n\r\n",
		.client = "",
		.state = "chunk-size, answered never: requests body, responses head, 1 of 1 in "
			 "flight",
	},
	{
		.what = "in a body whose answer is under way",
		.turns = "cbc",
		.bytes = {POST "Transfer-Encoding: chunked\r\n\r\n",
			  "HTTP/1.1 404 \r\nContent-Length: 2\r\n\r\nn", "x"},
		.backend = POST ADDED "Transfer-Encoding: chunked\r\n\r\n",
		.client = "HTTP/1.1 404 \r\nContent-Length: 2\r\n\r\nn",
		.state = "chunk-size, answered never: requests body, responses body, 1 of 1 in "
			 "flight",
	},
	{
		.what = "in a body that was answered already",
		.turns = "cbc",
		.bytes = {POST "Transfer-Encoding: chunked\r\n\r\n", OK, "x"},
		.backend = POST ADDED "Transfer-Encoding: chunked\r\n\r\n",
		.client = OK,
		.state = "chunk-size, answered never: requests body, responses idle, 0 of 1 in "
			 "flight",
	},
	{
		.what = "in a body behind a request without an answer yet",
		.turns = "c",
		.bytes = {GET "\r\n" POST "Transfer-Encoding: chunked\r\n\r\nx"},
		.backend = GET ADDED "\r\n" POST ADDED "Transfer-Encoding: chunked\r\n\r\n",
		.client = "",
		.state = "chunk-size, answered never: requests body, responses idle, 2 of 2 in "
			 "flight",
	},
};

static void where_our_answer_stands(void **state)
{
	(void)state;
	RUN_ROWS(answer_rows);
}

static void errors_are_sticky(void **state)
{
	struct rewrite rw = {0};
	const struct step steps[] = {{H1_REQUEST, SPAN(BAD)}, {0}};
	struct script script = script_of(&rw, steps);
	struct conversation c;

	(void)state;
	script.driving = DRIVE_BYPASS;
	rewrite_compile(&rw, "xForwardedFor = yes");
	conversation_begin(&c, &script);
	conversation_run(&c, (struct cut){0});
	assert_int_equal(c.h1.error, ERR_REQUEST_LINE);
	conversation_feed(&c, H1_REQUEST, SPAN(GET "\r\n"));
	h1_fail(&c.h1, ERR_REQUEST_TIMEOUT); /* the first one counts */
	assert_int_equal(c.h1.error, ERR_REQUEST_LINE);
	assert_int_equal(c.sent[H1_REQUEST].len, 0);
	conversation_end(&c);

	/* What a caller found ends requests, even in a body that could pass by. */
	conversation_begin(&c, &script);
	c.script.driving = DRIVE_BYPASS;
	conversation_feed(&c, H1_REQUEST, SPAN(POST "Content-Length: 5\r\n\r\nhe"));
	assert_int_equal(h1_bypass(&c.h1, H1_REQUEST), 3);
	h1_fail(&c.h1, ERR_TRUNCATED);
	assert_int_equal(h1_bypass(&c.h1, H1_REQUEST), 0);
	conversation_feed(&c, H1_REQUEST, SPAN("llo"));
	assert_bytes(text_span(&c.sent[H1_REQUEST]), SPAN(POST ADDED "Content-Length: 5\r\n\r\nhe"),
		     "to the backend");
	assert_int_equal(h1_reply(&c.h1), H1_REPLY_NOW);
	conversation_end(&c);
}

static void bypass_is_for_content_only(void **state)
{
	struct rewrite rw = {0};
	const struct step steps[] = {{0}};
	struct script script = script_of(&rw, steps);
	struct conversation c;

	(void)state;
	rewrite_compile(&rw, "xForwardedFor = yes");
	conversation_begin(&c, &script);
	assert_int_equal(h1_bypass(&c.h1, H1_REQUEST), 0);
	assert_int_equal(h1_bypass(&c.h1, H1_RESPONSE), 0);
	conversation_feed(&c, H1_REQUEST, SPAN(POST "Transfer-Encoding: chunked\r\n\r\nff"));
	assert_int_equal(h1_bypass(&c.h1, H1_REQUEST), 0);
	conversation_feed(&c, H1_REQUEST, SPAN("\r\n"));
	/* The size is sent on together with the first of the data. */
	assert_int_equal(h1_bypass(&c.h1, H1_REQUEST), 0);
	conversation_feed(&c, H1_REQUEST, SPAN("a"));
	assert_int_equal(h1_bypass(&c.h1, H1_REQUEST), 0xfe);
	h1_bypassed(&c.h1, H1_REQUEST, 0xfe);
	assert_int_equal(h1_bypass(&c.h1, H1_REQUEST), 0);
	conversation_feed(&c, H1_REQUEST, SPAN("\r\n0\r\n"));
	assert_int_equal(h1_bypass(&c.h1, H1_REQUEST), 0);
	conversation_feed(&c, H1_RESPONSE, SPAN("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"));
	assert_int_equal(h1_bypass(&c.h1, H1_RESPONSE), 7);
	h1_bypassed(&c.h1, H1_RESPONSE, 7);
	assert_int_equal(h1_bypass(&c.h1, H1_RESPONSE), 0);
	conversation_feed(&c, H1_REQUEST, SPAN("\r\n" GET "\r\n"));
	conversation_feed(&c, H1_RESPONSE, SPAN(CLOSE));
	assert_int_equal(h1_bypass(&c.h1, H1_RESPONSE), SIZE_MAX);
	assert_int_equal(h1_bypass(&c.h1, H1_REQUEST), 0);
	conversation_end(&c);
}

/* A head's time does not begin anew with its later bytes, but with the next head. */
static void a_clock_counts_from_a_heads_first_byte(void **state)
{
	static const struct {
		const char *bytes;
		uint64_t since;
	} rows[] = {
		{"", 0},
		{"GET / HT", 2},
		{"TP/1.1\r\n", 2},
		{"Host: a\r\n\r\nPO", 4},
		{"ST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n", 0},
		{"ab", 0},
		{"cdG", 7},
		{"E\r\n", 0}, /* refused */
	};
	const struct step steps[] = {{0}};
	struct rewrite rw = {0};
	struct script script = script_of(&rw, steps);
	struct h1_clock clock = {0};
	struct conversation c;

	(void)state;
	rewrite_compile(&rw, "xForwardedFor = yes");
	conversation_begin(&c, &script);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct span bytes = span_of(rows[i].bytes, strlen(rows[i].bytes));

		conversation_feed(&c, H1_REQUEST, bytes);
		h1_clock_look(&clock, &c.h1, i + 1);
		assert_int_equal(clock.since, rows[i].since);
	}
	conversation_end(&c);
}

#define LAST_OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

/* h1_finish() between two turns; a dialogue of check_dialogue() has no place for it. */
static void check_finish(const char *what, const char *before, const char *answered,
			 const char *after, const char *answers, const char *client,
			 const char *state)
{
	const struct step steps[] = {{0}};
	struct rewrite rw = {0};
	struct script script = script_of(&rw, steps);
	struct conversation c;
	struct text seen = {0};

	rewrite_compile(&rw, "xForwardedFor = yes");
	conversation_begin(&c, &script);
	conversation_feed(&c, H1_REQUEST, span_of(before, strlen(before)));
	conversation_feed(&c, H1_RESPONSE, span_of(answered, strlen(answered)));
	h1_finish(&c.h1);
	conversation_feed(&c, H1_REQUEST, span_of(after, strlen(after)));
	conversation_feed(&c, H1_RESPONSE, span_of(answers, strlen(answers)));
	conversation_state(&c, &seen);
	if (strcmp(seen.p, state) != 0 || c.sent[H1_RESPONSE].len != strlen(client) ||
	    memcmp(c.sent[H1_RESPONSE].p, client, strlen(client)) != 0)
		fail_msg("%s: the client got:\n%.*s\nstate: %s", what, (int)c.sent[H1_RESPONSE].len,
			 c.sent[H1_RESPONSE].p, seen.p);
	free(seen.p);
	conversation_end(&c);
}

static void a_client_is_told_to_leave(void **state)
{
	(void)state;
	check_finish("an idle one, at its next request", GET "\r\n", OK, GET "\r\n" GET "\r\n", OK,
		     OK LAST_OK, "requests closed, responses closed, 0 of 2 in flight");
	check_finish("one that waits", GET "\r\n", "", "", OK, LAST_OK,
		     "requests closed, responses closed, 0 of 1 in flight");
	check_finish("of several in flight only the newest", GET "\r\n" GET "\r\n", "", "", OK OK,
		     OK LAST_OK, "requests closed, responses closed, 0 of 2 in flight");
	check_finish("an answer under way has no more place for it", GET "\r\n",
		     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "", "ok", OK,
		     "requests idle, responses idle, 0 of 1 in flight");
	check_finish("a body on its way is taken whole", POST "Content-Length: 5\r\n\r\nhe", "",
		     "llo", OK, LAST_OK, "requests closed, responses closed, 0 of 1 in flight");
	check_finish("a refused request gets its own answer", GET "\r\nGET / HTTP/1.1\r\n\r\n", "",
		     "", OK, OK,
		     "host-missing, answered now: requests head, responses idle, 0 of 1 in flight");
	check_finish("an interim answer is not the last", GET "\r\n", "", "",
		     "HTTP/1.1 100 Continue\r\n\r\n" OK, "HTTP/1.1 100 Continue\r\n\r\n" LAST_OK,
		     "requests closed, responses closed, 0 of 1 in flight");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_alone),
		cmocka_unit_test(pipelines_are_bounded),
		cmocka_unit_test(heads_are_known_after_many_requests),
		cmocka_unit_test(a_chunks_size_goes_out_with_its_data),
		cmocka_unit_test(where_our_answer_stands),
		cmocka_unit_test(errors_are_sticky),
		cmocka_unit_test(bypass_is_for_content_only),
		cmocka_unit_test(a_clock_counts_from_a_heads_first_byte),
		cmocka_unit_test(a_client_is_told_to_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
