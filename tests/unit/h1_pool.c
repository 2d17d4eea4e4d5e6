/* SPDX-License-Identifier: ISC */
#include "h1_pool.h"

#include "conversation.h"
#include "h1.h"

#define FIRST "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
#define ASK(fields) "GET /2 HTTP/1.1\r\nHost: h\r\n" fields "\r\n"
#define OK(fields) "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" fields "\r\nok"
#define CHUNKS(chunks) "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" chunks

/* What becomes of a backend connection behind a second exchange. */
enum fate {
	SHARED = 0, /* others may have it */
	ENDS,
	TIED, /* it stays with its client */
	LAST, /* it ends, and the client with it */
};

static const struct row {
	const char *request, *answer;
	enum fate fate;
	bool alone; /* the request may go over no connection of others */
} rows[] = {
	{ASK(""), OK(""), SHARED, false},
	{ASK(""), CHUNKS("2\r\nok\r\n0\r\n\r\n"), SHARED, false},
	{ASK(""), CHUNKS("2;x=y\r\nok\r\n0\r\nETag: 1\r\n\r\n"), SHARED, false},
	{ASK(""), "HTTP/1.1 204 No Content\r\n\r\n", SHARED, false},
	{ASK(""), "HTTP/1.1 304 Not Modified\r\n\r\n", SHARED, false},
	{ASK(""), "HTTP/1.1 103 Early Hints\r\n\r\n" OK(""), SHARED, false},
	{ASK(""), OK("WWW-Authenticate: Basic realm=\"NTLMish\"\r\n"), SHARED, false},
	{ASK("Authorization: Basic TlRMTQ==\r\n"), OK(""), SHARED, false},
	{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", OK(""), SHARED, false},
	{ASK("X-Login: NTLM\r\n"), OK("X-Login: NTLM\r\n"), SHARED, false},

	{ASK(""), OK("WWW-Authenticate: NTLM\r\n"), TIED, false},
	{ASK(""), OK("www-authenticate: Basic realm=x,negotiate\r\n"), TIED, false},
	{ASK(""), OK("Proxy-Authenticate: Kerberos\r\n"), TIED, false},
	{ASK(""), OK("WWW-Authenticate: Digest a=b,\r\n NTLM\r\n"), TIED, false},
	{ASK(""), OK("WWW-Authenticate : NTLM\r\n"), TIED, false},
	{ASK("Authorization: NTLM TlRMTVNTUAAB\r\n"), OK(""), TIED, true},
	{ASK("proxy-authorization: NEGOTIATE YII=\r\n"), OK(""), TIED, true},

	{ASK(""), OK("") "x", ENDS, false},
	{ASK(""), OK("Connection: close\r\n"), ENDS, false},
	{ASK(""), OK("Connection: ) close\r\n"), ENDS, false},
	{ASK(""), OK("Connection: x, ,y\r\n"), SHARED, false},
	{ASK(""), "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", ENDS,
	 false},
	{ASK(""), "\r\n" OK(""), ENDS, false},
	{ASK(""), "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n", ENDS, false},
	{ASK(""), "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", ENDS, false},
	{ASK(""), OK("A: b\n"), ENDS, false},
	{ASK(""), OK("A: b\r\n c\r\n"), ENDS, false},
	{ASK(""), OK("A : b\r\n"), ENDS, false},
	{ASK(""), OK("Content-Length: 2\r\n"), ENDS, false},
	{ASK(""), CHUNKS("2 \r\nok\r\n0\r\n\r\n"), ENDS, false},
	{ASK(""), CHUNKS("2\nok\r\n0\r\n\r\n"), ENDS, false},
	{ASK(""), CHUNKS("2\r\nok\r\n0\r\nContent-Length: 7\r\n\r\n"), ENDS, false},
	{ASK(""), CHUNKS("0\r\nA : b\r\n\r\n"), ENDS, false},
	{ASK(""), "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", ENDS,
	 false},
	{ASK(""), "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", ENDS, false},
	{ASK(""), "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", ENDS, false},
	{ASK(""), "HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n", ENDS, false},
	{ASK(""), "HTTP/1.1 142 What\r\n\r\n" OK(""), ENDS, false},
	{ASK(""), "HTTP/1.1 100 Continue\r\nA : b\r\n\r\n" OK(""), ENDS, false},
	{"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", ENDS,
	 false},
	{"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", ENDS, false},
	{ASK("Content-Length: 2\r\n") "hi", OK(""), ENDS, true},
	{ASK("Connection: Upgrade\r\nUpgrade: websocket\r\n"), OK(""), ENDS, true},
	{"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
	 OK(""), ENDS, true},

	{ASK("Connection: close\r\n"), OK(""), LAST, false},
	{ASK(""), "HTTP/1.1 200 OK\r\n\r\n", LAST, false},
	{"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n",
	 "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", LAST, true},
};

static const struct rewrite rewrite;

static void begin(struct conversation *c, enum driving driving)
{
	struct script script = script_of(&rewrite, NULL);

	script.limits.in_flight = 1;
	script.limits.keep_client = script.limits.pool = script.limits.connect = true;
	script.driving = driving;
	conversation_begin(c, &script);
}

static void feed(struct conversation *c, enum h1_dir dir, const char *bytes, size_t piece)
{
	struct span rest = span_str(bytes);

	while (rest.len != 0) {
		size_t n = rest.len < piece ? rest.len : piece;

		conversation_feed(c, dir, span_of(rest.p, n));
		span_skip(&rest, n);
	}
}

/* A first request, behind which the connection is given up. */
static void introduce(struct conversation *c)
{
	feed(c, H1_REQUEST, FIRST, SIZE_MAX);
	assert_false(h1_may_reuse(&c->h1));
	assert_false(h1_spare(&c->h1));
	feed(c, H1_RESPONSE, OK(""), SIZE_MAX);
	assert_true(h1_spare(&c->h1));
	h1_renew(&c->h1);
	assert_false(h1_spare(&c->h1));
}

static enum fate fate_of(const struct h1 *h)
{
	if (h1_spare(h))
		return SHARED;
	if (h1_over(h) || h->closing)
		return LAST;
	return h1_backend_done(h) ? ENDS : TIED;
}

static void each_exchange_has_its_fate(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (int driving = 0; driving < DRIVE_COUNT; driving++)
			for (size_t piece = 1; piece < 100; piece += 49) {
				struct conversation c;

				begin(&c, (enum driving)driving);
				introduce(&c);
				feed(&c, H1_REQUEST, rows[i].request, piece);
				if (h1_may_reuse(&c.h1) == rows[i].alone)
					fail_msg("the way of %s", rows[i].request);
				feed(&c, H1_RESPONSE, rows[i].answer, SIZE_MAX);
				if (fate_of(&c.h1) != rows[i].fate)
					fail_msg("%d behind %s%s", fate_of(&c.h1), rows[i].request,
						 rows[i].answer);
				conversation_end(&c);
			}
}

static void an_answer_that_comes_early_ends_it(void **state)
{
	struct conversation c;

	(void)state;
	begin(&c, DRIVE_EXACT);
	introduce(&c);
	feed(&c, H1_REQUEST, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nh", SIZE_MAX);
	feed(&c, H1_RESPONSE, OK(""), SIZE_MAX);
	assert_false(h1_spare(&c.h1));
	feed(&c, H1_REQUEST, "i", SIZE_MAX);
	assert_int_equal(fate_of(&c.h1), ENDS);
	conversation_end(&c);
}

static void what_the_carrier_saw_ends_it(void **state)
{
	struct conversation c;

	(void)state;
	begin(&c, DRIVE_EXACT);
	introduce(&c);
	feed(&c, H1_REQUEST, ASK(""), SIZE_MAX);
	h1_unfit(&c.h1);
	feed(&c, H1_RESPONSE, OK(""), SIZE_MAX);
	assert_int_equal(fate_of(&c.h1), ENDS);
	conversation_end(&c);
}

static void who_is_tied_stays_so(void **state)
{
	struct conversation c;

	(void)state;
	begin(&c, DRIVE_EXACT);
	introduce(&c);
	feed(&c, H1_REQUEST, ASK(""), SIZE_MAX);
	feed(&c, H1_RESPONSE, OK("WWW-Authenticate: Negotiate\r\n"), SIZE_MAX);
	for (int i = 0; i < 2; i++) {
		feed(&c, H1_REQUEST, ASK(""), SIZE_MAX);
		assert_false(h1_may_reuse(&c.h1));
		feed(&c, H1_RESPONSE, OK(""), SIZE_MAX);
		assert_int_equal(fate_of(&c.h1), TIED);
		h1_renew(&c.h1); /* the backend has closed */
	}
	conversation_end(&c);
}

/* What the end of a connection means to a request that has no answer. */
static void ends_before_an_answer(void **state)
{
	struct conversation c;

	(void)state;
	begin(&c, DRIVE_EXACT);
	introduce(&c);
	feed(&c, H1_REQUEST, ASK(""), SIZE_MAX);
	assert_int_equal(h1_backend_end(&c.h1), H1_END_UNANSWERED); /* a fresh one */
	assert_true(h1_may_reuse(&c.h1));
	assert_true(h1_repeatable(&c.h1));
	h1_reuse(&c.h1);
	assert_int_equal(h1_backend_end(&c.h1), H1_END_STALE);
	h1_renew(&c.h1);
	assert_false(h1_may_reuse(&c.h1)); /* not a third time */
	assert_false(h1_repeatable(&c.h1));
	assert_int_equal(h1_backend_end(&c.h1), H1_END_UNANSWERED);
	feed(&c, H1_RESPONSE, OK(""), SIZE_MAX);
	assert_int_equal(fate_of(&c.h1), SHARED);
	h1_renew(&c.h1);
	feed(&c, H1_REQUEST, "POST / HTTP/1.1\r\nHost: h\r\n\r\n", SIZE_MAX);
	assert_true(h1_may_reuse(&c.h1)); /* the next one again */
	assert_false(h1_repeatable(&c.h1));
	conversation_end(&c);
}

/* One that was lost could be sent again only by us. */
static void a_first_request_is_shared_on_request(void **state)
{
	static const struct {
		const char *request;
		bool shared;
	} firsts[] = {
		{ASK(""), true},
		{ASK("Authorization: Negotiate YII=\r\n"), false},
		{ASK("Expect: 100-continue\r\nContent-Length: 1\r\n"), false},
		{"POST / HTTP/1.1\r\nHost: h\r\n\r\n", false},
		{"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n", false},
	};
	struct conversation c;

	(void)state;
	for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++) {
		begin(&c, DRIVE_EXACT);
		c.h1.limits.pool_first = true;
		feed(&c, H1_REQUEST, firsts[i].request, SIZE_MAX);
		if (h1_may_reuse(&c.h1) != firsts[i].shared)
			fail_msg("the way of %s", firsts[i].request);
		assert_int_equal(h1_repeatable(&c.h1), firsts[i].shared);
		conversation_end(&c);
	}
	begin(&c, DRIVE_EXACT);
	c.h1.limits.pool_first = true;
	feed(&c, H1_REQUEST, ASK(""), SIZE_MAX);
	h1_reuse(&c.h1);
	assert_int_equal(h1_backend_end(&c.h1), H1_END_STALE);
	h1_renew(&c.h1);
	assert_false(h1_may_reuse(&c.h1)); /* over a new one this time */
	assert_int_equal(h1_backend_end(&c.h1), H1_END_UNANSWERED);
	conversation_end(&c);
}

static void without_the_option_nothing_is_shared(void **state)
{
	struct conversation c;

	(void)state;
	begin(&c, DRIVE_EXACT);
	c.h1.limits.pool = false;
	for (int i = 0; i < 2; i++) {
		feed(&c, H1_REQUEST, ASK(""), SIZE_MAX);
		assert_false(h1_may_reuse(&c.h1));
		feed(&c, H1_RESPONSE, OK("A : b\r\n"), SIZE_MAX);
		assert_false(h1_spare(&c.h1));
		assert_false(h1_backend_done(&c.h1));
	}
	conversation_end(&c);
}

static void the_last_answer_of_a_client_is_not_shared(void **state)
{
	struct conversation c;

	(void)state;
	begin(&c, DRIVE_EXACT);
	introduce(&c);
	feed(&c, H1_REQUEST, ASK(""), SIZE_MAX);
	feed(&c, H1_RESPONSE, OK(""), SIZE_MAX);
	assert_true(h1_spare(&c.h1));
	h1_finish(&c.h1);
	assert_false(h1_spare(&c.h1));
	conversation_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_exchange_has_its_fate),
		cmocka_unit_test(an_answer_that_comes_early_ends_it),
		cmocka_unit_test(what_the_carrier_saw_ends_it),
		cmocka_unit_test(who_is_tied_stays_so),
		cmocka_unit_test(ends_before_an_answer),
		cmocka_unit_test(a_first_request_is_shared_on_request),
		cmocka_unit_test(without_the_option_nothing_is_shared),
		cmocka_unit_test(the_last_answer_of_a_client_is_not_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
