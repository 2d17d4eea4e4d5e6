/* SPDX-License-Identifier: ISC */
#include "h1_judge.h"

#include "conversation.h"

/*
 * What a caller sees of a tunnel that is asked for: phases, what is in flight, what waits. What
 * goes over the wire is in tests/wire.
 */

#define ASK GET "Connection: Upgrade\r\nUpgrade: x\r\n"
#define ASKED GET ADDED "Connection: Upgrade\r\nUpgrade: x\r\n"
#define SWITCH "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
#define NO "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
#define NO_MORE "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

static const struct dialogue tunnel_rows[] = {
	{
		.what = "asked for, not answered",
		.turns = "c",
		.bytes = {ASK "\r\nabc"},
		.backend = ASKED "\r\n",
		.client = "",
		.state = "requests idle, responses idle, 1 of 1 in flight, blocked, 3 held",
	},
	{
		.what = "an interim answer says nothing of it",
		.turns = "cb",
		.bytes = {ASK "\r\nabc", "HTTP/1.1 100 Continue\r\n\r\n"},
		.backend = ASKED "\r\n",
		.client = "HTTP/1.1 100 Continue\r\n\r\n",
		.state = "requests idle, responses idle, 1 of 1 in flight, blocked, 3 held",
	},
	{
		.what = "opened: both ways, and nothing is in flight",
		.turns = "cbcb",
		.bytes = {ASK "\r\nabc", SWITCH "def", "ghi\r\n\r\n", "\n\n"},
		.backend = ASKED "\r\nabcghi\r\n\r\n",
		.client = SWITCH "def\n\n",
		.state = "requests tunnel, responses tunnel, 0 of 1 in flight",
	},
	{
		.what = "refused",
		.turns = "cb",
		.bytes = {ASK "\r\n", NO},
		.backend = ASKED "\r\n",
		.client = NO,
		.state = "requests idle, responses idle, 0 of 1 in flight",
	},
	{
		.what = "refused, and the request was the last",
		.turns = "cb",
		.bytes = {GET "Connection: Upgrade, close\r\nUpgrade: x\r\n\r\nabc", NO},
		.backend = GET ADDED "Connection: close, Upgrade\r\nUpgrade: x\r\n\r\n",
		.client = NO_MORE,
		.state = "requests closed, responses closed, 0 of 1 in flight",
	},
	{
		.what = "refused by an answer whose end nobody knows",
		.turns = "cb",
		.bytes = {ASK "\r\nabc", "HTTP/1.1 404 Not Found\r\n\r\n"},
		.backend = ASKED "\r\n",
		.client = "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n",
		.state = "requests closed, responses until close, 1 of 1 in flight",
	},
	{
		.what = "opened before the request is complete",
		.turns = "cbc",
		.bytes = {POST "Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 4\r\n\r\nab",
			  SWITCH, "cdef"},
		.backend = POST ADDED "Connection: Upgrade\r\nUpgrade: x\r\n"
				      "Content-Length: 4\r\n\r\nab",
		.client = "",
		.state = "switch-unasked, answered now: requests body, responses idle, 1 of 1 in "
			 "flight",
	},
};

static void tunnels(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof tunnel_rows / sizeof tunnel_rows[0]; i++)
		check_dialogue(&tunnel_rows[i]);
}

static void a_tunnel_needs_no_inspection(void **state)
{
	struct rewrite rw = {0};
	const struct step steps[] = {{0}};
	struct script script = script_of(&rw, steps);
	struct conversation c;

	(void)state;
	rewrite_compile(&rw, "xForwardedFor = yes");
	conversation_begin(&c, &script);
	conversation_feed(&c, H1_REQUEST, SPAN(ASK "\r\n"));
	assert_int_equal(h1_bypass(&c.h1, H1_REQUEST), 0);
	conversation_feed(&c, H1_RESPONSE, SPAN(SWITCH));
	assert_int_equal(h1_bypass(&c.h1, H1_REQUEST), SIZE_MAX);
	assert_int_equal(h1_bypass(&c.h1, H1_RESPONSE), SIZE_MAX);
	h1_bypassed(&c.h1, H1_REQUEST, 1000);
	assert_int_equal(h1_phase(&c.h1, H1_REQUEST), H1_TUNNEL);
	conversation_end(&c);
}

/* What becomes of a request's head: its fields as they go on, and what is known of it. */
static void check_judged(const char *request, const char *expected)
{
	static struct h1_head head;
	const struct h1_limits limits = {.connect = true};
	struct rewrite rw = {0};
	struct h1_verdict verdict;
	struct text bytes = {0}, seen = {0};
	int rc;

	text_printf(&bytes, "%s\r\n", request);
	rewrite_compile(&rw, "xForwardedFor = append\nhttpSetHeader = X-Proto: https");
	assert_int_equal(h1_head_parse(text_span(&bytes), H1_FIELDS_MAX, 0, &head), 0);
	rc = h1_judge_request(&rw, &limits, &head, &verdict);
	if (rc != 0)
		text_printf(&seen, "%s", errors_info[-rc].name);
	for (size_t i = 0; rc == 0 && i < head.count; i++)
		if (!head.field[i].dropped && head.field[i].id != HTTP_HOST_FIELD)
			text_printf(&seen, "%.*s: %.*s|", (int)head.field[i].name.len,
				    head.field[i].name.p, (int)head.field[i].value.len,
				    head.field[i].value.p);
	if (rc == 0)
		text_printf(&seen, "%s%s%s", verdict.kind & H1_KIND_REPEATABLE ? " repeatable" : "",
			    verdict.kind & H1_KIND_LAST ? " last of the backend" : "",
			    verdict.last ? " last" : "");
	assert_bytes(text_span(&seen), span_str(expected), request);
	text_free(&seen);
	text_free(&bytes);
}

#define METHOD(name) name " / HTTP/1.1\r\n" HOST
#define LENGTH "Content-Length: 1\r\n"
#define CHUNKS "Transfer-Encoding: chunked\r\n"
#define CLOSED "Content-Length: 1|Connection: close| last of the backend"

static void content_by_method(void **state)
{
	(void)state;
	check_judged(METHOD("GET"), " repeatable");
	check_judged(METHOD("GET") "Content-Length: 0\r\n", "Content-Length: 0| repeatable");
	check_judged(METHOD("GET") LENGTH, CLOSED);
	check_judged(METHOD("HEAD") LENGTH, CLOSED);
	check_judged(METHOD("OPTIONS") LENGTH, CLOSED);
	check_judged(METHOD("DELETE") LENGTH, CLOSED);
	check_judged(METHOD("DELETE") CHUNKS,
		     "Transfer-Encoding: chunked|Connection: close| last of the backend");
	check_judged(METHOD("GET") "Connection: Keep-Alive, TE\r\n" LENGTH,
		     "Connection: close|Content-Length: 1| last of the backend");
	check_judged("GET / HTTP/1.0\r\n" LENGTH, CLOSED " last");
	check_judged("GET / HTTP/1.0\r\nConnection: keep-alive\r\n" LENGTH,
		     "Connection: close|Content-Length: 1| last of the backend");
	check_judged(METHOD("POST") LENGTH, "Content-Length: 1|");
	check_judged(METHOD("PUT") LENGTH, "Content-Length: 1|");
	check_judged(METHOD("PATCH") LENGTH, "Content-Length: 1|");
	check_judged(METHOD("get") LENGTH, CLOSED);
	check_judged(METHOD("PROPFIND") CHUNKS,
		     "Transfer-Encoding: chunked|Connection: close| last of the backend");
	check_judged(METHOD("TRACE"), " repeatable");
	check_judged(METHOD("TRACE") "Content-Length: 0\r\n", "Content-Length: 0| repeatable");
	check_judged(METHOD("TRACE") LENGTH, "trace-content");
	check_judged(METHOD("TRACE") CHUNKS, "trace-content");
}

static void expectations(void **state)
{
	(void)state;
	check_judged(METHOD("POST") "Expect: 100-continue\r\n" LENGTH,
		     "Expect: 100-continue|Content-Length: 1|");
	check_judged(METHOD("POST") "expect: ,100-Continue , 100-CONTINUE\r\n" LENGTH
				    "Expect: 100-continue\r\n",
		     "expect: 100-continue|Content-Length: 1|");
	check_judged(METHOD("POST") "Expect: 100-continue\r\nContent-Length: 0\r\n",
		     "Content-Length: 0|");
	check_judged(METHOD("GET") "Expect: 100-continue\r\n", " repeatable");
	check_judged("GET / HTTP/1.0\r\nExpect: 100-continue\r\n", " repeatable last");
	check_judged(METHOD("GET") "Expect: foo\r\n", "expectation");
	check_judged(METHOD("GET") "Expect:\r\n", "expectation");
	check_judged(METHOD("GET") "Expect: 100-continue;a\r\n", "expectation");
	check_judged(METHOD("GET") "Expect: 100-continue, foo\r\n", "expectation");
	check_judged(METHOD("POST") LENGTH "Expect: 100-continue\r\nExpect: foo\r\n",
		     "expectation");
	check_judged("POST / HTTP/1.0\r\n" LENGTH "Expect: \x01\r\n", "expectation");
}

static void controls_in_values(void **state)
{
	(void)state;
	check_judged(METHOD("GET") "Cookie: a=\x01\x7f\r\n", "Cookie: a=\x01\x7f| repeatable");
	check_judged(METHOD("GET") "Cookie: \v\r\nX-Forwarded-For: 1\r\n",
		     "Cookie: \v|X-Forwarded-For: 1| repeatable");
	check_judged(METHOD("GET") "X-Forwarded-For: \x01\r\n", "field-value");
	check_judged(METHOD("GET") "x_proto: a\x1f\r\n", "field-value");
	check_judged(METHOD("GET") "Connection: \vclose\r\n", "field-value");
	check_judged(METHOD("POST") "Content-Length: 1\f\r\n", "field-value");
	check_judged(METHOD("GET") "Content_Length: 1\f\r\n", "field-value");
	check_judged("GET / HTTP/1.1\r\nHost: a\x7f\r\n", "field-value");
	check_judged(METHOD("GET") "Upgrade: \x01\r\n", "field-value");
}

/* The place of a Connection of ours is free however many fields came. */
static void a_head_can_be_full(void **state)
{
	struct text request = {0}, expected = {0};

	(void)state;
	text_printf(&request, METHOD("GET") LENGTH);
	text_printf(&expected, "Content-Length: 1|");
	for (int i = 2; i < H1_FIELDS_MAX; i++) {
		text_printf(&request, "A: b\r\n");
		text_printf(&expected, "A: b|");
	}
	text_printf(&expected, "Connection: close| last of the backend");
	check_judged(request.p, expected.p);
	text_free(&request);
	text_free(&expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tunnels),
		cmocka_unit_test(a_tunnel_needs_no_inspection),
		cmocka_unit_test(content_by_method),
		cmocka_unit_test(expectations),
		cmocka_unit_test(controls_in_values),
		cmocka_unit_test(a_head_can_be_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
