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
		.bytes = {ASK "Content-Length: 4\r\n\r\nab", SWITCH, "cdef"},
		.backend = ASKED "Content-Length: 4\r\n\r\nab",
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

/* Whether a request with this Host is taken. */
static bool host_is_taken(const char *host)
{
	static struct h1_head head;
	struct rewrite rw = {0};
	struct h1_verdict verdict;
	struct text request = {0};
	int rc;

	text_printf(&request, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host);
	assert_int_equal(h1_head_parse(text_span(&request), 8, &head), 0);
	rc = h1_judge_request(&rw, &head, false, &verdict);
	text_free(&request);
	assert_true(rc == 0 || rc == -ERR_HOST_INVALID);
	return rc == 0;
}

static void hosts(void **state)
{
	static const char *const good[] = {
		"",	 "a",	    "a:",	  "a:0",   "a.b-c_d:65535", "1.2.3.4",
		"[::1]", "[::1]:8", "[v1.a:b]:1", "a%2Fb", "a,b",	    "a%2f:80"};
	static const char *const bad[] = {
		"a:b",	  "a:1:2",   "[::1", "a]",  "a[",      "[]",	   "::1",
		"%zz",	  "a%2",     ":443", ":",   "a:65536", "a:000080", "[::1]a",
		"[::1]8", "[[::1]]", "a b",  "u@a", "a/b",     "a?b",	   "[fe80::1%251]"};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		if (!host_is_taken(good[i]))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (host_is_taken(bad[i]))
			fail_msg("taken: %s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tunnels),
		cmocka_unit_test(a_tunnel_needs_no_inspection),
		cmocka_unit_test(hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
