/* SPDX-License-Identifier: ISC */
#include "h1_target.h"

#include "harness.h"

/* What is said of a request line with these fields. */
static const char *judged(const char *line, const char *fields)
{
	static struct h1_head head;
	struct text request = {0};
	int rc;

	text_printf(&request, "%s\r\n%s\r\n", line, fields);
	assert_int_equal(h1_head_parse(text_span(&request), 8, 0, &head), 0);
	rc = h1_target_judge(&head);
	text_free(&request);
	return rc == 0 ? "taken" : errors_info[-rc].name;
}

static void check(const char *target, const char *host, const char *expected)
{
	struct text line = {0}, field = {0};

	text_printf(&line, "%s HTTP/1.1", target);
	text_printf(&field, "Host: %s\r\n", host);
	assert_bytes(span_str(judged(line.p, field.p)), span_str(expected), target);
	text_free(&line);
	text_free(&field);
}

static void hosts(void **state)
{
	static const char *const good[] = {
		"",	   "a",		 "a:",	  "a:0", "a.b-c_d:65535", "1.2.3.4", "[::1]",
		"[::1]:8", "[v1.a:b]:1", "a%2Fb", "a,b", "a%2f:80",	  "[::1]:"};
	static const char *const bad[] = {
		"a:b",	  "a:1:2",   "[::1", "a]",   "a[",  "[]",      "::1",	       "[",
		"]",	  "%zz",     "a%2",  ":443", ":",   "a:65536", "a:000080",     "[::1]a",
		"[::1]8", "[[::1]]", "a b",  "u@a",  "a/b", "a?b",     "[fe80::1%251]"};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		check("GET /", good[i], "taken");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		check("GET /", bad[i], "host-invalid");
}

static void forms_of_targets(void **state)
{
	(void)state;
	check("GET *", "a", "target-form");
	check("OPTIONS *", "a", "taken");
	check("GET a", "a", "target-form");
	check("GET ftp://a/", "a", "target-form");
	check("GET http://", "", "target-form");
	check("GET http:///x", "", "target-form");
	check("GET https://u@a/", "a", "target-form");
	check("CONNECT a:1", "a:1", "taken");
	check("CONNECT a", "a", "target-form");
	check("CONNECT a:", "a:", "target-form");
	check("CONNECT a:443", "a", "host-mismatch");
	check("CONNECT /", "a", "target-form");
	assert_string_equal(judged("GET / HTTP/1.1", ""), "host-missing");
	assert_string_equal(judged("GET http://a/ HTTP/1.0", ""), "taken");
	assert_string_equal(judged("GET / HTTP/1.0", "Host: a\r\nHost: a\r\n"), "host-duplicate");
}

/* RFC 9110 4.2.3: a port that is the scheme's own says nothing. */
static void the_default_port(void **state)
{
	static const struct {
		const char *target, *host;
	} same[] =
		{
			{"https://a.example:443/", "a.example"},
			{"https://a.example/", "A.example:443"},
			{"http://a.example:80/", "a.example"},
			{"HTTP://a.example?x", "a.example:80"},
			{"https://a.example:/", "a.example"},
			{"https://a.example/", "a.example:"},
			{"https://a.example:0443/", "a.example"},
			{"https://[::1]:443/", "[::1]"},
			{"https://[2001:DB8::1]", "[2001:db8::1]:443"},
			{"http://a:8080/", "a:8080"},
		},
	  other[] = {
		  {"https://a.example:80/", "a.example"},
		  {"http://a.example:443/", "a.example"},
		  {"http://a.example/", "a.example:443"},
		  {"https://a.example:4430/", "a.example"},
		  {"https://a.example:443/", "b.example"},
		  {"https://[::1]:443/", "[::2]"},
		  {"https://a:8443/", "a:443"},
		  {"https://a/", ""},
		  {"https://a:0/", "a"},
	  };
	struct text line = {0};

	(void)state;
	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
		text_printf(&line, "GET %s", same[i].target);
		check(line.p, same[i].host, "taken");
		line.len = 0;
	}
	for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
		text_printf(&line, "GET %s", other[i].target);
		check(line.p, other[i].host, "host-mismatch");
		line.len = 0;
	}
	text_free(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts),
		cmocka_unit_test(forms_of_targets),
		cmocka_unit_test(the_default_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
