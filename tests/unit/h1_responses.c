/* SPDX-License-Identifier: ISC */
#include "h1.h"

#include "conversation.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define CLOSE "HTTP/1.1 200 OK\r\n\r\n"

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
		.what = "no byte of it is altered, nor judged as a request's would be",
		.turns = "cb",
		.bytes = {GET "\r\n",
			  "HTTP/1.1 200\r\ncontent-length:0002  \r\nX-Forwarded-For:x\r\n\r\nok"},
		.backend = GET ADDED "\r\n",
		.client = "HTTP/1.1 200\r\ncontent-length:0002  \r\nX-Forwarded-For:x\r\n\r\nok",
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
		.client = "HTTP/1.1 100 Continue\r\nContent-Length: 9\r\n\r\n",
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
		.what = "204 and 304 have no body whatever they say",
		.turns = "cb",
		.bytes = {GET "\r\n" GET "\r\n" GET "\r\n",
			  "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n"
			  "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n" OK},
		.backend = GET ADDED "\r\n" GET ADDED "\r\n" GET ADDED "\r\n",
		.client = "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n"
			  "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n" OK,
		.state = "requests idle, responses idle, 0 of 3 in flight",
	},
	{
		.what = "chunked, as it is, with extensions and trailers",
		.turns = "cb",
		.bytes = {GET "\r\n" GET "\r\n",
			  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			  "005 ;a=b\r\nhello\r\n0000;c\r\nSum: 1\r\nHost: x\r\n\r\n" OK},
		.backend = GET ADDED "\r\n" GET ADDED "\r\n",
		.client = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			  "005 ;a=b\r\nhello\r\n0000;c\r\nSum: 1\r\nHost: x\r\n\r\n" OK,
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

#define NONSENSE "\r\n\n\x01 5\r\n HTTP/1.1 200 OK\r\n\r\n"

struct answer {
	const char *what, *response;
};

/* Relayed as it is, with what comes behind it; but no request may follow it. */
static void check_unframed(const struct answer *answer, const char *state)
{
	const struct dialogue row = {
		.what = answer->what,
		.turns = "cbcb",
		.bytes = {GET "\r\n", answer->response, GET "\r\n", NONSENSE},
		.backend = GET ADDED "\r\n",
		.state = state,
	};
	struct dialogue with_client = row;
	struct text all = {0};

	text_printf(&all, "%s%s", answer->response, NONSENSE);
	with_client.client = all.p;
	check_dialogue(&with_client);
	text_free(&all);
}

static void responses_until_close(void **state)
{
	static const struct answer rows[] = {
		{"until close", CLOSE "some\r\n\r\ncontent"},
		{"an old server", "HTTP/1.0 200 OK\r\n\r\ncontent"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		check_unframed(&rows[i], "requests closed, responses unframed, 1 of 1 in flight");
}

/* An answer to a further request could be taken for another's, and silence for a slow server. */
static void responses_that_cannot_be_framed(void **state)
{
	static const struct answer rows[] = {
		{"an old server with chunks",
		 "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"length and coding", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: "
				      "chunked\r\n\r\n0\r\n\r\n"},
		{"two lengths",
		 "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 2\r\n\r\nok"},
		{"no number", "HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\nok"},
		{"another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxxx"},
		{"lines that end in LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"},
		{"a folded line", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: a\r\n b\r\n\r\nok"},
		{"a line without a colon", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX\r\n\r\nok"},
		{"no HTTP", "ICY 200 OK\r\n\r\nmusic"},
		{"another version", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"an upgrade that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: "
						     "x\r\nConnection: upgrade\r\n\r\nxyz"},
		{"a bad chunk size",
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nx\r\n0\r\n\r\n"},
		{"chunk data that does not end",
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok!\r\n0\r\n\r\n"},
		{"trailers with LF",
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: a\n\r\n"},
		{"HEAD cannot be told either with two lengths",
		 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		check_unframed(&rows[i], "answer-unframed, answered never: requests idle, "
					 "responses unframed, 1 of 1 in flight");
}

static void what_was_under_way_when_framing_was_lost(void **state)
{
	static const struct dialogue rows[] = {
		{
			.what = "unasked bytes on an idle connection",
			.turns = "cbbc",
			.bytes = {GET "\r\n", OK, "HTTP/1.1 408 Request Timeout\r\n\r\n",
				  GET "\r\n"},
			.backend = GET ADDED "\r\n",
			.client = OK "HTTP/1.1 408 Request Timeout\r\n\r\n",
			.state = "answer-unframed, answered never: requests idle, responses "
				 "unframed, 0 of 1 in flight",
		},
		{
			.what = "unasked bytes before the first request",
			.turns = "bc",
			.bytes = {"220 mail\r\n", GET "\r\n"},
			.backend = "",
			.client = "220 mail\r\n",
			.state = "answer-unframed, answered never: requests idle, responses "
				 "unframed, 0 of 0 in flight",
		},
		{
			.what = "a head that is incomplete is not forwarded any more",
			.turns = "cbc",
			.bytes = {GET "\r\nGET / HT", CLOSE, "TP/1.1\r\n" HOST "\r\n"},
			.backend = GET ADDED "\r\n",
			.client = CLOSE,
			.state = "requests closed, responses unframed, 1 of 1 in flight",
		},
		{
			.what = "a body under way is forwarded to its end, and nothing after it",
			.turns = "cbc",
			.bytes = {POST "Content-Length: 5\r\n\r\nhe", CLOSE,
				  "lloGET / HTTP/1.1\r\n"},
			.backend = POST ADDED "Content-Length: 5\r\n\r\nhello",
			.client = CLOSE,
			.state = "requests closed, responses unframed, 1 of 1 in flight",
		},
		{
			.what = "an answer that the backend sends twice",
			.turns = "cb",
			.bytes = {GET "\r\n", OK OK},
			.backend = GET ADDED "\r\n",
			.client = OK OK,
			.state = "requests idle, responses unframed, 0 of 1 in flight",
		},
	};

	(void)state;
	RUN_ROWS(rows);
}

/* A response head that is too long for us is the backend's affair. */
static void a_response_head_over_the_limit(void **state)
{
	struct text response = {0};

	(void)state;
	text_printf(&response, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ");
	while (response.len < H1_RESPONSE_HEAD_MAX - 4)
		text_add(&response, SPAN("xxxxxxxxxxxxx"));
	response.len = H1_RESPONSE_HEAD_MAX - 4;
	text_add(&response, SPAN("\r\n\r\n"));
	for (int over = 0; over < 2; over++) {
		const struct dialogue row = {
			.what = "a long response head",
			.turns = "cb",
			.bytes = {GET "\r\n", response.p},
			.backend = GET ADDED "\r\n",
			.client = response.p,
			.state = over ? "requests idle, responses unframed, 1 of 1 in flight"
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
		cmocka_unit_test(responses_that_cannot_be_framed),
		cmocka_unit_test(what_was_under_way_when_framing_was_lost),
		cmocka_unit_test(a_response_head_over_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
