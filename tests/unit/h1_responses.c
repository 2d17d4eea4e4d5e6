/* SPDX-License-Identifier: ISC */
#include "h1.h"

#include "conversation.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define CLOSE "HTTP/1.1 200 OK\r\n\r\n"
#define CLOSED "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"

static const struct dialogue framed_rows[] = {
	{
		.what = "a length",
		.turns = "cb",
		.bytes = {GET "\r\n", OK},
		.backend = GET ADDED "\r\n",
		.client = OK,
		.state = "requests idle, responses idle, 0 of 1 in flight",
	},
	{
		.what = "no byte of a clean head is altered, and no header rule is for it",
		.turns = "cb",
		.bytes = {GET "\r\n",
			  "HTTP/1.1 200 \r\ncontent-length:2  \r\nX-Forwarded-For:x\r\n\r\nok"},
		.backend = GET ADDED "\r\n",
		.client = "HTTP/1.1 200 \r\ncontent-length:2  \r\nX-Forwarded-For:x\r\n\r\nok",
		.state = "requests idle, responses idle, 0 of 1 in flight",
	},
	{
		.what = "a part of a head",
		.turns = "cb",
		.bytes = {GET "\r\n", "HTTP/1.1 2"},
		.backend = GET ADDED "\r\n",
		.client = "",
		.state = "requests idle, responses head, 1 of 1 in flight, response 10 held",
	},
	{
		.what = "a part of a body",
		.turns = "cb",
		.bytes = {GET "\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"},
		.backend = GET ADDED "\r\n",
		.client = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no",
		.state = "requests idle, responses body, 1 of 1 in flight",
	},
	{
		.what = "interim ones come before the final one",
		.turns = "cb",
		.bytes = {GET "\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early "
				      "Hints\r\nLink: x\r\n\r\n" OK},
		.backend = GET ADDED "\r\n",
		.client = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: "
			  "x\r\n\r\n" OK,
		.state = "requests idle, responses idle, 0 of 1 in flight",
	},
	{
		.what = "an interim one is not the answer",
		.turns = "cb",
		.bytes = {GET "\r\n", "HTTP/1.1 100 Continue\r\nContent-Length: 9\r\n\r\n"},
		.backend = GET ADDED "\r\n",
		.client = "HTTP/1.1 100 Continue\r\n\r\n",
		.state = "requests idle, responses idle, 1 of 1 in flight",
	},
	{
		.what = "to HEAD, with a length that is not followed by a body",
		.turns = "cb",
		.bytes = {"HEAD / HTTP/1.1\r\n" HOST "\r\n" GET "\r\n",
			  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" OK},
		.backend = "HEAD / HTTP/1.1\r\n" HOST ADDED "\r\n" GET ADDED "\r\n",
		.client = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" OK,
		.state = "requests idle, responses idle, 0 of 2 in flight",
	},
	{
		.what = "HEAD is told by its place in the queue, not by what came last",
		.turns = "cb",
		.bytes = {GET "\r\n"
			      "HEAD / HTTP/1.1\r\n" HOST "\r\n" GET "\r\n",
			  OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" OK},
		.backend = GET ADDED "\r\n"
				     "HEAD / HTTP/1.1\r\n" HOST ADDED "\r\n" GET ADDED "\r\n",
		.client = OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" OK,
		.state = "requests idle, responses idle, 0 of 3 in flight",
	},
	{
		.what = "lower-case head is a method of its own",
		.turns = "cb",
		.bytes = {"head / HTTP/1.1\r\n" HOST "\r\n", OK},
		.backend = "head / HTTP/1.1\r\n" HOST ADDED "\r\n",
		.client = OK,
		.state = "requests idle, responses idle, 0 of 1 in flight",
	},
	{
		.what = "304 has no body whatever it says",
		.turns = "cb",
		.bytes = {GET "\r\n" GET "\r\n",
			  "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n" OK},
		.backend = GET ADDED "\r\n" GET ADDED "\r\n",
		.client = "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n" OK,
		.state = "requests idle, responses idle, 0 of 2 in flight",
	},
	{
		.what = "chunks are written anew, without extensions, and trailers without Host",
		.turns = "cb",
		.bytes = {GET "\r\n" GET "\r\n",
			  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			  "005 ;a=b\r\nhello\r\n0000;c\r\nSum: 1\r\nHost: x\r\n\r\n" OK},
		.backend = GET ADDED "\r\n" GET ADDED "\r\n",
		.client = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			  "5\r\nhello\r\n0\r\nSum: 1\r\n\r\n" OK,
		.state = "requests idle, responses idle, 0 of 2 in flight",
	},
	{
		.what = "before the request's body is complete",
		.turns = "cbc",
		.bytes = {POST "Content-Length: 5\r\n\r\nhe", OK, "llo" GET "\r\n"},
		.backend = POST ADDED "Content-Length: 5\r\n\r\nhello" GET ADDED "\r\n",
		.client = OK,
		.state = "requests idle, responses idle, 1 of 2 in flight",
	},
	{
		.what = "turn by turn",
		.turns = "cbcbcb",
		.bytes = {GET "\r\n", OK, GET "\r\n", OK, GET "\r\n", OK},
		.backend = GET ADDED "\r\n" GET ADDED "\r\n" GET ADDED "\r\n",
		.client = OK OK OK,
		.state = "requests idle, responses idle, 0 of 3 in flight",
	},
};

static void responses_that_are_framed(void **state)
{
	(void)state;
	RUN_ROWS(framed_rows);
}

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"

/* A client that is told of a close sends no more; what comes all the same is not looked at. */
static void responses_until_close(void **state)
{
	static const struct {
		const char *what, *response, *client;
	} rows[] = {
		{"nothing tells of an end", "HTTP/1.1 200 OK\r\n\r\n",
		 "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"},
		{"the backend tells otherwise",
		 "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nA:b\r\n\r\n",
		 "HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\n"},
		{"the backend tells both",
		 "HTTP/1.1 200 OK\r\nConnection: keep-alive, close\r\n\r\n",
		 "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"},
		{"another coding",
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\n",
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nConnection: close\r\n\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct text response = {0}, client = {0};
		struct dialogue row = {
			.what = rows[i].what,
			.turns = "cbc",
			.backend = GET ADDED "\r\n",
			.state = "requests closed, responses until close, 1 of 1 in flight",
		};

		text_printf(&response, "%ssome\r\n\r\n" OK, rows[i].response);
		text_printf(&client, "%ssome\r\n\r\n" OK, rows[i].client);
		row.bytes[0] = GET "\r\n";
		row.bytes[1] = response.p;
		row.bytes[2] = GET "\r\n";
		row.client = client.p;
		check_dialogue(&row);
		text_free(&response);
		text_free(&client);
	}
}

static void what_was_under_way_when_a_response_lasts_until_close(void **state)
{
	static const struct dialogue rows[] = {
		{
			.what = "a head that is incomplete is not forwarded any more",
			.turns = "cbc",
			.bytes = {GET "\r\nGET / HT", CLOSE, "TP/1.1\r\n" HOST "\r\n"},
			.backend = GET ADDED "\r\n",
			.client = CLOSED,
			.state = "requests closed, responses until close, 1 of 1 in flight",
		},
		{
			.what = "a body under way is forwarded to its end, and nothing after it",
			.turns = "cbc",
			.bytes = {POST "Content-Length: 5\r\n\r\nhe", CLOSE,
				  "lloGET / HTTP/1.1\r\n"},
			.backend = POST ADDED "Content-Length: 5\r\n\r\nhello",
			.client = CLOSED,
			.state = "requests closed, responses until close, 1 of 1 in flight",
		},
	};

	(void)state;
	RUN_ROWS(rows);
}

/* What is mended lets the next request be answered: by what it says itself. */
static void responses_that_are_mended(void **state)
{
	static const struct {
		const char *response, *client;
	} rows[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", OK},
		{"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", OK},
		{"\r\n\n\r\n\n" OK, OK},
		{CHUNKED "\r\n2   \r\nok\n 0\n\n", CHUNKED "\r\n2\r\nok\r\n0\r\n\r\n"},
		{CHUNKED "Content-Length: 7\r\n\r\n0002;x\r\nok\r\n0;y\r\nA : b\r\n c\r\n\r\n",
		 CHUNKED "\r\n2\r\nok\r\n0\r\nA: b c\r\n\r\n"},
		{"HTTP/1.1 103 Early Hints\nLink: a\n\nHTTP/1.1  200 OK\nContent-Length:2\n\nok",
		 "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" OK},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct text client = {0};
		struct dialogue row = {
			.what = rows[i].response,
			.turns = "cbcb",
			.bytes = {GET "\r\n", rows[i].response, GET "\r\n", OK},
			.backend = GET ADDED "\r\n" GET ADDED "\r\n",
			.state = "requests idle, responses idle, 0 of 2 in flight",
		};

		text_printf(&client, "%s" OK, rows[i].client);
		row.client = client.p;
		check_dialogue(&row);
		text_free(&client);
	}
}

#define BEHIND "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"

/* Our 502 stands for it, and nothing of what comes behind it is an answer to anything. */
static void responses_that_are_refused(void **state)
{
	static const struct {
		const char *error, *response;
	} rows[] = {
		{"answer-lengths-differ", "HTTP/1.1 200 OK\r\nContent-Length: 3, 2\r\n\r\nok"},
		{"answer-status-line", "ICY 200 OK\r\n\r\nmusic"},
		{"answer-status-line", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"answer-status-line", "220 mail\r\n"},
		{"answer-status-line", "\r\n\r\n\r\n\r\n\r\n" OK},
		{"switch-unasked", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: "
				   "upgrade\r\n\r\nxyz"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct text state_text = {0};
		struct dialogue row = {
			.what = rows[i].response,
			.turns = "cbcb",
			.bytes = {GET "\r\n", rows[i].response, GET "\r\n", BEHIND},
			.backend = GET ADDED "\r\n",
			.client = "",
		};

		text_printf(&state_text,
			    "%s, answered now: requests idle, responses idle, 1 of 1 in flight",
			    rows[i].error);
		row.state = state_text.p;
		check_dialogue(&row);
		text_free(&state_text);
	}
}

static const struct dialogue standing_rows[] = {
	{
		.what = "behind earlier ones, which are sent on",
		.turns = "cb",
		.bytes = {GET "\r\n" GET "\r\n" GET "\r\n", OK "x" OK},
		.backend = GET ADDED "\r\n" GET ADDED "\r\n" GET ADDED "\r\n",
		.client = OK,
		.state = "answer-status-line, answered now: requests idle, responses idle, "
			 "2 of 3 in flight",
	},
	{
		.what = "behind an interim one",
		.turns = "cb",
		.bytes = {GET "\r\n", "HTTP/1.1 100 Continue\r\n\r\nhello"},
		.backend = GET ADDED "\r\n",
		.client = "HTTP/1.1 100 Continue\r\n\r\n",
		.state = "answer-status-line, answered now: requests idle, responses idle, "
			 "1 of 1 in flight",
	},
	{
		.what = "before the answer to a bad request",
		.turns = "cb",
		.bytes = {GET "\r\nbad\r\n", "x"},
		.backend = GET ADDED "\r\n",
		.client = "",
		.state = "answer-status-line, answered now: requests head, responses idle, "
			 "1 of 1 in flight",
	},
	{
		.what = "before the request is whole",
		.turns = "cbc",
		.bytes = {POST "Content-Length: 5\r\n\r\nhe", "x", "llo"},
		.backend = POST ADDED "Content-Length: 5\r\n\r\nhe",
		.client = "",
		.state = "answer-status-line, answered now: requests body, responses idle, "
			 "1 of 1 in flight",
	},
	{
		.what = "a chunk that is none cuts the client off",
		.turns = "cb",
		.bytes = {GET "\r\n", CHUNKED "\r\n2\r\nok\r\nx\r\n0\r\n\r\n"},
		.backend = GET ADDED "\r\n",
		.client = CHUNKED "\r\n2\r\nok\r\n",
		.state = "answer-chunk-size, answered never: requests idle, responses "
			 "body, 1 of 1 in flight",
	},
	{
		.what = "as does one that does not end",
		.turns = "cb",
		.bytes = {GET "\r\n", CHUNKED "\r\n2\r\nok!\r\n0\r\n\r\n"},
		.backend = GET ADDED "\r\n",
		.client = CHUNKED "\r\n2\r\nok",
		.state = "answer-chunk-end, answered never: requests idle, responses "
			 "body, 1 of 1 in flight",
	},
	{
		.what = "and a line of trailers without a colon",
		.turns = "cb",
		.bytes = {GET "\r\n", CHUNKED "\r\n0\r\nX\r\n\r\n"},
		.backend = GET ADDED "\r\n",
		.client = CHUNKED "\r\n",
		.state = "answer-no-colon, answered never: requests idle, responses "
			 "body, 1 of 1 in flight",
	},
};

static void where_a_refused_response_stands(void **state)
{
	(void)state;
	RUN_ROWS(standing_rows);
}

/* Where no other backend connection can follow, the client's ends with it. */
static void unasked_bytes_are_dropped(void **state)
{
	static const struct dialogue rows[] = {
		{
			.what = "on an idle connection",
			.turns = "cbbc",
			.bytes = {GET "\r\n", OK, "HTTP/1.1 408 Request Timeout\r\n\r\n",
				  GET "\r\n"},
			.backend = GET ADDED "\r\n",
			.client = OK,
			.state = "requests closed, responses closed, 0 of 1 in flight",
		},
		{
			.what = "before the first request",
			.turns = "bc",
			.bytes = {"220 mail\r\n", GET "\r\n"},
			.backend = "",
			.client = "",
			.state = "requests closed, responses closed, 0 of 0 in flight",
		},
		{
			.what = "an answer that the backend sends twice",
			.turns = "cb",
			.bytes = {GET "\r\n", OK OK},
			.backend = GET ADDED "\r\n",
			.client = OK,
			.state = "requests closed, responses closed, 0 of 1 in flight",
		},
		{
			.what = "before the answer to a bad request",
			.turns = "cbc",
			.bytes = {GET "\r\n", OK, "bad\r\n"},
			.backend = GET ADDED "\r\n",
			.client = OK,
			.state = "request-line, answered now: requests head, responses idle, 0 of "
				 "1 in flight",
		},
	};

	(void)state;
	RUN_ROWS(rows);
}

#define KEPT "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok"
#define LAST "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

static const struct dialogue last_rows[] = {
	{
		.what = "to a client that asked for it",
		.turns = "cbc",
		.bytes = {GET "Connection: close\r\n\r\n", KEPT, GET "\r\n"},
		.backend = GET ADDED "Connection: close\r\n\r\n",
		.client = LAST,
		.state = "requests closed, responses closed, 0 of 1 in flight",
	},
	{
		.what = "to an old client",
		.turns = "cb",
		.bytes = {"GET / HTTP/1.0\r\n" HOST "\r\n", OK},
		.backend = "GET / HTTP/1.0\r\n" HOST ADDED "\r\n",
		.client = LAST,
		.state = "requests closed, responses closed, 0 of 1 in flight",
	},
	{
		.what = "and the earlier ones do not",
		.turns = "cb",
		.bytes = {GET "\r\n" GET "Connection: close\r\n\r\n", OK OK "x"},
		.backend = GET ADDED "\r\n" GET ADDED "Connection: close\r\n\r\n",
		.client = OK LAST,
		.state = "requests closed, responses closed, 0 of 2 in flight",
	},
	{
		.what = "of a backend that closes, whatever else was asked of it",
		.turns = "cbc",
		.bytes = {GET "\r\n" GET "\r\n", LAST OK, GET "\r\n"},
		.backend = GET ADDED "\r\n" GET ADDED "\r\n",
		.client = LAST,
		.state = "requests closed, responses closed, 1 of 2 in flight",
	},
	{
		.what = "an old client that stays is told so",
		.turns = "cbc",
		.bytes = {"GET / HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n", OK,
			  GET "\r\n"},
		.backend = "GET / HTTP/1.0\r\n" HOST ADDED
			   "Connection: keep-alive\r\n\r\n" GET ADDED "\r\n",
		.client = KEPT,
		.state = "requests idle, responses idle, 1 of 2 in flight",
	},
	{
		.what = "an old client gets no interim response",
		.turns = "cb",
		.bytes = {"GET / HTTP/1.0\r\n" HOST "\r\n", "HTTP/1.1 100 Continue\r\n\r\n" OK},
		.backend = "GET / HTTP/1.0\r\n" HOST ADDED "\r\n",
		.client = LAST,
		.state = "requests closed, responses closed, 0 of 1 in flight",
	},
	{
		.what = "in chunks to an old client, which gets their content alone",
		.turns = "cb",
		.bytes = {"GET / HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n",
			  CHUNKED "\r\n2;x\r\nok\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n"},
		.backend = "GET / HTTP/1.0\r\n" HOST ADDED "Connection: keep-alive\r\n\r\n",
		.client = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok!",
		.state = "requests closed, responses closed, 0 of 1 in flight",
	},
	{
		.what = "of a backend that may send content behind a 204",
		.turns = "cb",
		.bytes = {GET "\r\n",
			  "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"
			  "0\r\n\r\n"},
		.backend = GET ADDED "\r\n",
		.client = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
		.state = "requests closed, responses closed, 0 of 1 in flight",
	},
	{
		.what = "before the request is whole, whose rest is still forwarded",
		.turns = "cbc",
		.bytes = {POST "Connection: close\r\nContent-Length: 5\r\n\r\nhe", OK,
			  "llo" GET "\r\n"},
		.backend = POST ADDED "Connection: close\r\nContent-Length: 5\r\n\r\nhello",
		.client = LAST,
		.state = "requests closed, responses closed, 0 of 1 in flight",
	},
	{
		.what = "not before our own answer to a bad request",
		.turns = "cb",
		.bytes = {GET "\r\nbad\r\n", LAST},
		.backend = GET ADDED "\r\n",
		.client = KEPT,
		.state = "request-line, answered now: requests head, responses idle, 0 of "
			 "1 in flight",
	},
	{
		.what = "an option Upgrade goes on",
		.turns = "cb",
		.bytes = {GET "Connection: close\r\n\r\n",
			  "HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: "
			  "x\r\nContent-Length: 0\r\n\r\n"},
		.backend = GET ADDED "Connection: close\r\n\r\n",
		.client = "HTTP/1.1 426 Upgrade Required\r\nUpgrade: x\r\nContent-Length: "
			  "0\r\nConnection: close, Upgrade\r\n\r\n",
		.state = "requests closed, responses closed, 0 of 1 in flight",
	},
};

static void the_last_response_says_so(void **state)
{
	(void)state;
	RUN_ROWS(last_rows);
}

/* h1_over() when what was said has been said. */
static bool is_over(const char *request, const char *response)
{
	struct rewrite rw = {0};
	const struct step steps[] = {{0}};
	struct script script = script_of(&rw, steps);
	struct conversation c;
	bool over;

	conversation_begin(&c, &script);
	conversation_feed(&c, H1_REQUEST, span_str(request));
	conversation_feed(&c, H1_RESPONSE, span_str(response));
	over = h1_over(&c.h1);
	conversation_end(&c);
	return over;
}

static void when_the_client_has_all(void **state)
{
	(void)state;
	assert_false(is_over(GET "\r\n", OK));
	assert_false(is_over(GET "\r\n", CLOSE "x"));
	assert_false(is_over(GET "Connection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n"));
	assert_true(is_over(GET "Connection: close\r\n\r\n", OK));
	assert_true(is_over(GET "\r\n", OK "x"));
	assert_false(is_over(POST "Connection: close\r\nContent-Length: 5\r\n\r\nhe", OK));
	assert_true(is_over(POST "Connection: close\r\nContent-Length: 2\r\n\r\nhe", OK));
}

static void what_was_mended_is_told_once(void **state)
{
	struct rewrite rw = {0};
	const struct step steps[] = {{0}};
	struct script script = script_of(&rw, steps);
	struct conversation c;

	(void)state;
	conversation_begin(&c, &script);
	conversation_feed(&c, H1_REQUEST, SPAN(GET "\r\n"));
	conversation_feed(&c, H1_RESPONSE,
			  SPAN("\r\n" CHUNKED "A:\r\n b\r\n\r\n0 \r\nHost: x\n\n"));
	assert_int_equal(h1_take_mended(&c.h1), ERR_ANSWER_EMPTY_LINES);
	assert_int_equal(h1_take_mended(&c.h1), ERR_ANSWER_BARE_LF);
	assert_int_equal(h1_take_mended(&c.h1), ERR_ANSWER_FOLD);
	assert_int_equal(h1_take_mended(&c.h1), ERR_ANSWER_CHUNK_SPACE);
	assert_int_equal(h1_take_mended(&c.h1), ERR_ANSWER_TRAILER);
	assert_int_equal(h1_take_mended(&c.h1), ERR_NONE);
	conversation_feed(&c, H1_RESPONSE, SPAN("x"));
	assert_int_equal(h1_take_mended(&c.h1), ERR_ANSWER_UNASKED);
	assert_int_equal(h1_take_mended(&c.h1), ERR_NONE);
	conversation_end(&c);
}

static void a_head_over_the_limit(void **state)
{
	const size_t limit = conversation_limits.max_answer_head;
	struct text response = {0};

	(void)state;
	text_printf(&response, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ");
	while (response.len < limit - 4)
		text_add(&response, SPAN("xxxxxxxxxxxxx"));
	response.len = limit - 4;
	text_add(&response, SPAN("\r\n\r\n"));
	for (int over = 0; over < 2; over++) {
		const struct dialogue row = {
			.what = "a long response head",
			.turns = "cb",
			.bytes = {GET "\r\n", response.p},
			.backend = GET ADDED "\r\n",
			.client = over ? "" : response.p,
			.state = over ? "answer-head-too-large, answered now: requests idle, "
					"responses idle, 1 of 1 in flight"
				      : "requests idle, responses idle, 0 of 1 in flight",
		};

		check_dialogue(&row);
		response.len -= 4;
		text_add(&response, SPAN("x\r\n\r\n"));
	}
	text_free(&response);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(responses_that_are_framed),
		cmocka_unit_test(responses_until_close),
		cmocka_unit_test(what_was_under_way_when_a_response_lasts_until_close),
		cmocka_unit_test(responses_that_are_mended),
		cmocka_unit_test(responses_that_are_refused),
		cmocka_unit_test(where_a_refused_response_stands),
		cmocka_unit_test(unasked_bytes_are_dropped),
		cmocka_unit_test(the_last_response_says_so),
		cmocka_unit_test(when_the_client_has_all),
		cmocka_unit_test(what_was_mended_is_told_once),
		cmocka_unit_test(a_head_over_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
