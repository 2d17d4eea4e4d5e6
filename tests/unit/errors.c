/* SPDX-License-Identifier: ISC */
#include "errors.h"

#include "conversation.h"
#include "h1_answer.h"

/* Raised by the carrier, or where an option asks for it, and not by what a message is. */
static bool is_of_carrier(enum error e)
{
	return e == ERR_TRUNCATED || e == ERR_REQUEST_TIMEOUT || e == ERR_PLAIN_HTTP ||
	       e == ERR_BACKEND_CLOSED || e == ERR_BACKEND_TIMEOUT ||
	       e == ERR_BACKEND_UNAVAILABLE || e == ERR_LENGTH_REQUIRED;
}

/* A request for every error that the core can raise; what comes before it in the input is fine. */
static const char *const refused[ERR_COUNT] = {
	[ERR_METHOD_INVALID] = "\x16\x03\x01",
	[ERR_REQUEST_LINE] = "SSH-2.0-OpenSSH_9.2\r\n",
	[ERR_TARGET_INVALID] = "GET /\x7f HTTP/1.1\r\n",
	[ERR_TARGET_FORM] = "GET * HTTP/1.1\r\n" HOST "\r\n",
	[ERR_VERSION_INVALID] = "GET / HTTP/1.10\r\n",
	[ERR_VERSION_UNSUPPORTED] = "GET / HTTP/2.0\r\n",
	[ERR_HTTP2_PREFACE] = "PRI * HTTP/2.0\r\n",
	[ERR_CONNECT_REFUSED] = "CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n",
	[ERR_BARE_LF] = GET "\n",
	[ERR_BARE_CR] = GET "X: a\rb\r\n\r\n",
	[ERR_LEADING_CRLF] = "\r\n\r\n\r\n\r\n\r\n",
	[ERR_LEADING_SPACE] = "GET / HTTP/1.1\r\n " HOST "\r\n",
	[ERR_OBS_FOLD] = GET " b\r\n\r\n",
	[ERR_FIELD_NO_COLON] = GET "X\r\n\r\n",
	[ERR_FIELD_NAME_EMPTY] = GET ": x\r\n\r\n",
	[ERR_FIELD_NAME] = GET "X : a\r\n\r\n",
	[ERR_FIELD_VALUE] = GET "TE: \x01\r\n\r\n",
	[ERR_HEAD_TOO_LARGE] = "", /* made below */
	[ERR_TOO_MANY_FIELDS] = "",
	[ERR_HOST_MISSING] = "GET / HTTP/1.1\r\n\r\n",
	[ERR_HOST_DUPLICATE] = GET HOST "\r\n",
	[ERR_HOST_INVALID] = "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
	[ERR_HOST_MISMATCH] = "GET http://b/ HTTP/1.1\r\n" HOST "\r\n",
	[ERR_CONNECTION_OPTION] = GET "Connection: host\r\n\r\n",
	[ERR_LENGTH_INVALID] = GET "Content-Length: x\r\n\r\n",
	[ERR_LENGTH_DUPLICATE] = GET "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
	[ERR_LENGTH_AND_CODING] = GET "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
	[ERR_CODING_DUPLICATE] =
		GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
	[ERR_CODING_INVALID] = GET "Transfer-Encoding: chunked;q=1\r\n\r\n",
	[ERR_CODING_UNKNOWN] = GET "Transfer-Encoding: gzip\r\n\r\n",
	[ERR_TRACE_CONTENT] = "TRACE / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n",
	[ERR_EXPECTATION] = GET "Expect: x\r\n\r\n",
	[ERR_CODING_VERSION] = "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
	[ERR_CHUNK_SIZE] = "x",
	[ERR_CHUNK_TOO_LARGE] = "10000000000000",
	[ERR_CHUNK_EXTENSION] = "1;\n",
	[ERR_CHUNK_END] = "1\r\naa",
};

static struct text refused_input(enum error e)
{
	struct text input = {0};

	text_printf(&input, "%s", refused[e]);
	if (e == ERR_HEAD_TOO_LARGE)
		while (input.len < conversation_limits.max_head)
			text_printf(&input, "x");
	if (e == ERR_TOO_MANY_FIELDS) {
		for (int i = 0; i <= (int)conversation_limits.max_fields; i++)
			text_printf(&input, "%s", i == 0 ? GET : "X:\r\n");
		text_printf(&input, "\r\n");
	}
	return input;
}

/* By itself and behind a good request: an error, of this name, and no byte of it goes out. */
static void check_refused(enum error e)
{
	bool in_body = e >= ERR_CHUNK_SIZE && e <= ERR_CHUNK_END;
	const char *before = in_body ? POST "Transfer-Encoding: chunked\r\n\r\n" : GET "\r\n";
	struct text state = {0}, sent = {0}, input = refused_input(e);
	struct dialogue row = {
		.what = errors_info[e].name,
		.turns = "cc",
		.bytes = {before, input.p},
		.client = "",
	};

	text_printf(&state, "%s, answered %s: requests %s, responses idle, 1 of 1 in flight",
		    errors_info[e].name, in_body ? "now" : "later", in_body ? "body" : "head");
	text_printf(&sent, "%s%s",
		    in_body ? POST ADDED "Transfer-Encoding: chunked\r\n\r\n" : GET ADDED "\r\n",
		    e == ERR_CHUNK_END ? "1\r\na" : "");
	row.state = state.p;
	row.backend = sent.p;
	check_dialogue(&row);

	state.len = 0;
	text_printf(&state, "%s, answered now: requests head, responses idle, 0 of 0 in flight",
		    errors_info[e].name);
	row.state = state.p;
	row.bytes[0] = "";
	row.backend = "";
	if (!in_body)
		check_dialogue(&row);
	text_free(&state);
	text_free(&sent);
	text_free(&input);
}

#define OK "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

/* An answer for everything that can be wrong with one, be it refused or mended. */
static const char *const answers[ERR_COUNT] = {
	[ERR_ANSWER_STATUS_LINE] = "ICY 200 OK\r\n",
	[ERR_ANSWER_HEAD_TOO_LARGE] = "", /* made below */
	[ERR_ANSWER_TOO_MANY_FIELDS] = "",
	[ERR_ANSWER_LEADING_SPACE] = OK " A: b\r\n\r\n",
	[ERR_ANSWER_NO_COLON] = OK "A\r\n\r\n",
	[ERR_ANSWER_FIELD_NAME] = OK ": b\r\n\r\n",
	[ERR_ANSWER_NUL] = "", /* as well */
	[ERR_ANSWER_BARE_CR] = OK "A: b\rc\r\n\r\n",
	[ERR_ANSWER_LENGTH_INVALID] = OK "Content-Length: x\r\n\r\n",
	[ERR_ANSWER_LENGTHS_DIFFER] = OK "Content-Length: 1, 2\r\n\r\n",
	[ERR_ANSWER_CODING] = OK "Transfer-Encoding:\r\n\r\n",
	[ERR_ANSWER_CHUNK_SIZE] = CHUNKED "x",
	[ERR_ANSWER_CHUNK_EXTENSION] = CHUNKED "1;\x01",
	[ERR_ANSWER_CHUNK_END] = CHUNKED "1\r\naa",
	[ERR_SWITCH_UNASKED] = "HTTP/1.1 101 x\r\n\r\n",
	[ERR_ANSWER_STATUS_SPELLING] = "HTTP/1.1 200\r\n\r\n",
	[ERR_ANSWER_EMPTY_LINES] = "\r\n" OK "\r\n",
	[ERR_ANSWER_BARE_LF] = OK "\n",
	[ERR_ANSWER_FOLD] = OK "A: b\r\n c\r\n\r\n",
	[ERR_ANSWER_SPACE_BEFORE_COLON] = OK "A : b\r\n\r\n",
	[ERR_ANSWER_LENGTH_REPEATED] = OK "Content-Length: 1, 1\r\n\r\n",
	[ERR_ANSWER_LENGTH_AND_CODING] =
		OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
	[ERR_ANSWER_CODING_REPEATED] = OK "Transfer-Encoding: identity\r\n\r\n",
	[ERR_ANSWER_CODING_OTHER] = OK "Transfer-Encoding: gzip\r\n\r\n",
	[ERR_ANSWER_CODING_VERSION] = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	[ERR_ANSWER_CHUNKS_UNASKED] = CHUNKED,
	[ERR_ANSWER_NO_CONTENT] = "HTTP/1.1 204 x\r\nContent-Length: 1\r\n\r\n",
	[ERR_ANSWER_CHUNK_SPACE] = CHUNKED "0 \r\n",
	[ERR_ANSWER_TRAILER] = CHUNKED "0\r\nHost: a\r\n\r\n",
	[ERR_ANSWER_UNASKED] = OK "Content-Length: 0\r\n\r\nx",
};

static struct text answer_input(enum error e)
{
	struct text input = {0};

	text_printf(&input, "%s", answers[e]);
	if (e == ERR_ANSWER_HEAD_TOO_LARGE)
		for (text_printf(&input, OK); input.len < conversation_limits.max_answer_head;)
			text_printf(&input, "x");
	if (e == ERR_ANSWER_TOO_MANY_FIELDS) {
		text_printf(&input, OK);
		for (int i = 0; i <= H1_ANSWER_FIELDS_MAX; i++)
			text_printf(&input, "A:\n");
		text_printf(&input, "\n");
	}
	if (e == ERR_ANSWER_NUL)
		text_add(&input, SPAN(OK "A: \0\r\n\r\n"));
	return input;
}

/* The error, or the first that was mended: nothing else is wrong with the answer. */
static void check_answer(enum error e)
{
	static struct rewrite rw;
	static const struct step steps[] = {{0}};
	struct script script = script_of(&rw, steps);
	struct text input = answer_input(e);
	struct conversation c;

	conversation_begin(&c, &script);
	conversation_feed(&c, H1_REQUEST,
			  e == ERR_ANSWER_CHUNKS_UNASKED ? SPAN("GET / HTTP/1.0\r\n\r\n")
							 : SPAN(GET "\r\n"));
	conversation_feed(&c, H1_RESPONSE, text_span(&input));
	assert_int_equal(c.h1.error, e < ERR_MENDED_FIRST ? e : ERR_NONE);
	assert_int_equal(h1_take_mended(&c.h1), e < ERR_MENDED_FIRST ? ERR_NONE : e);
	assert_int_equal(h1_take_mended(&c.h1), ERR_NONE);
	conversation_end(&c);
	text_free(&input);
}

static void every_error_can_happen(void **state)
{
	(void)state;
	for (int e = ERR_NONE + 1; e < ERR_COUNT; e++) {
		bool of_answer =
			(e >= ERR_ANSWER_FIRST && e <= ERR_ANSWER_LAST) || e >= ERR_MENDED_FIRST;
		bool ours = !is_of_carrier((enum error)e);

		assert_int_equal(refused[e] != NULL, ours && !of_answer);
		assert_int_equal(answers[e] != NULL, ours && of_answer);
		if (ours && of_answer)
			check_answer((enum error)e);
		else if (ours)
			check_refused((enum error)e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_can_happen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
