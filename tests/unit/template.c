/* SPDX-License-Identifier: ISC */
#include "template.h"

#include "conversation.h"

static const struct template_exchange exchange = {
	.request_line = {"GET /?q=\"a\\b\" HTTP/1.1", 22},
	.user_agent = {"evil\" \n\x7f\xc3\xa9", 10},
	.time = {"23/Nov/2026:09:00:00 +0000", 26},
	.iso_time = {"2026-11-23T09:00:00.123Z", 24},
	.status = 200,
	.bytes = 1234567890123,
	.first_byte = 1000001,
	.total = 12000000,
	.connect = 450,
	.host = {"www.example.test:8443", 21},
	.service = {"my \"shop\"", 9},
	.backend = {"[2001:db8::2]:8080", 18},
};

static void check_with(struct template_source from, enum template_place place, const char *text,
		       const char *expected)
{
	static struct template_pool pool;
	struct template t;
	char buffer[4096];
	struct out out = out_of(buffer, sizeof buffer);
	const char *why;

	from.place = place;
	pool = (struct template_pool){0};
	why = template_compile(&pool, span_str(text), place, &t);
	if (why)
		fail_msg("%s: %s", text, why);
	template_put(&pool, &t, &from, &out);
	assert_false(out.full);
	assert_bytes(out_span(&out), span_str(expected), text);
}

static void in_a_log(const char *text, const char *expected)
{
	const struct template_source from = {
		.facts = &conversation_facts, .exchange = &exchange, .number = 10};

	check_with(from, TEMPLATE_IN_LOG, text, expected);
}

static void in_json(const char *text, const char *expected)
{
	const struct template_source from = {
		.facts = &conversation_facts, .exchange = &exchange, .number = 10};

	check_with(from, TEMPLATE_IN_JSON, text, expected);
}

static void an_exchange_in_a_log(void **state)
{
	(void)state;
	in_a_log("%{client_ip} [%{time}] %{status} %{bytes}",
		 "192.0.2.7 [23/Nov/2026:09:00:00 +0000] 200 1234567890123");
	in_a_log("\"%{request}\"", "\"GET /?q=\\\"a\\\\b\\\" HTTP/1.1\"");
	in_a_log("\"%{user_agent}\"", "\"evil\\\" \\x0A\\x7F\\xC3\\xA9\"");
	in_a_log("%{time_iso8601} %{time_first_byte} %{time_total}",
		 "2026-11-23T09:00:00.123Z 1.000001 12.000000");
	in_a_log("%{service} %{host} %{backend} %{time_connect}",
		 "my\\x20\\\"shop\\\" www.example.test:8443 [2001:db8::2]:8080 0.000450");
	in_a_log("%{tls_version} %{tls_cipher} %{tls_group} %{sni} %{session_reused}",
		 "TLSv1.3 TLS_AES_256_GCM_SHA384 x25519 www.example.test 0");
}

static void what_is_empty_is_a_dash_in_a_log(void **state)
{
	(void)state;
	in_a_log("%{referer} %{client_cert_subject} %{client_cert_verify}", "- - -");
	in_json("%{referer}%{client_cert_subject}", "");
}

static void an_exchange_in_json(void **state)
{
	(void)state;
	in_json("{\"r\":\"%{request}\",\"s\":%{status}}",
		"{\"r\":\"GET /?q=\\\"a\\\\b\\\" HTTP/1.1\",\"s\":200}");
	in_json("%{user_agent}", "evil\\\" \\u000A\\u007F\\u00C3\\u00A9");
}

static void a_server_name_is_a_host_name_everywhere(void **state)
{
	static const enum template_place places[] = {TEMPLATE_IN_HEADER, TEMPLATE_IN_LOG,
						     TEMPLATE_IN_JSON};
	struct facts facts = conversation_facts;
	const struct template_source from = {.facts = &facts, .exchange = &exchange, .number = 1};

	(void)state;
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		facts.sni = SPAN("WWW-0_a.example.test");
		check_with(from, places[i], "\"%{sni}\"", "\"WWW-0_a.example.test\"");
		facts.sni = SPAN("a\"; role=\"ad\\min\n");
		check_with(from, places[i], "\"%{sni}\"; port=1",
			   "\"a%22%3B%20role%3D%22ad%5Cmin%0A\"; port=1");
		facts.sni = SPAN("100%,[::1]:443~\x7f\xc3\xbc");
		check_with(from, places[i], "%{sni}", "100%25%2C%5B%3A%3A1%5D%3A443%7E%7F%C3%BC");
	}
	facts.sni = SPAN("");
	check_with(from, TEMPLATE_IN_HEADER, "%{sni}|", "|");
	check_with(from, TEMPLATE_IN_LOG, "%{sni}|", "-|");
}

static void a_value_in_a_header_ends_no_quotes(void **state)
{
	struct facts facts = conversation_facts;
	const struct template_source from = {.facts = &facts, .exchange = &exchange, .number = 1};

	(void)state;
	facts.alpn = SPAN("h\"2\\\t");
	check_with(from, TEMPLATE_IN_HEADER, "\"%{alpn}\"", "\"h%222%5C%09\"");
	facts.client_verify = SPAN("FAILED:it's \"odd\"");
	check_with(from, TEMPLATE_IN_HEADER, "\"%{client_cert_verify}\"",
		   "\"FAILED:it's %22odd%22\"");
}

static void a_value_of_the_handshake_is_one_word_in_a_log(void **state)
{
	struct facts facts = conversation_facts;
	const struct template_source from = {.facts = &facts, .exchange = &exchange, .number = 1};

	(void)state;
	facts.alpn = SPAN("a - \"b\" \n1");
	check_with(from, TEMPLATE_IN_LOG, "%{alpn}|", "a\\x20-\\x20\\\"b\\\"\\x20\\x0A1|");
	check_with(from, TEMPLATE_IN_JSON, "%{alpn}", "a - \\\"b\\\" \\u000A1");
}

static void nothing_was_answered(void **state)
{
	const struct template_exchange none = {0};
	const struct template_source from = {
		.facts = &conversation_facts, .exchange = &none, .number = 1};

	(void)state;
	check_with(from, TEMPLATE_IN_LOG, "%{status} %{bytes} %{time_total} \"%{request}\"",
		   "000 0 0.000000 \"-\"");
	check_with(from, TEMPLATE_IN_LOG, "%{service} %{host} %{backend} %{time_connect}",
		   "- - - 0.000000");
	check_with(from, TEMPLATE_IN_JSON, "%{status}", "0");
}

static void a_certificate(void **state)
{
	const struct facts_cert cert = {.subject = SPAN("CN=a b,O=\\\"x\r\ny"),
					.issuer = SPAN("CN=ca"),
					.serial = SPAN("0A"),
					.sha256 = SPAN("ab"),
					.pem = SPAN("-----B\nA+/=.~_\n"),
					.rfc9440 = SPAN(":AA==:"),
					.chain = SPAN(":BB==:, :CC==:")};
	struct facts facts = conversation_facts;
	const struct template_source from = {.facts = &facts, .exchange = &exchange, .number = 1};

	(void)state;
	facts.client_cert = &cert;
	facts.client_verify = SPAN("SUCCESS");
	check_with(from, TEMPLATE_IN_HEADER, "%{client_cert_subject}", "CN=a b,O=\\\"x%0D%0Ay");
	check_with(from, TEMPLATE_IN_HEADER,
		   "%{client_cert_issuer} %{client_cert_serial} %{client_cert_sha256}",
		   "CN=ca 0A ab");
	check_with(from, TEMPLATE_IN_HEADER, "%{client_cert_pem}", "-----B%0AA%2B%2F%3D.~_%0A");
	check_with(from, TEMPLATE_IN_HEADER, "%{client_cert_rfc9440} %{client_cert_chain}",
		   ":AA==: :BB==:, :CC==:");
	check_with(from, TEMPLATE_IN_HEADER, "%{client_cert_verify}", "SUCCESS");
	check_with(from, TEMPLATE_IN_LOG, "\"%{client_cert_subject}\"",
		   "\"CN=a b,O=\\\\\\\"x\\x0D\\x0Ay\"");
}

static void refuse(const char *text, enum template_place place)
{
	static struct template_pool pool;
	struct template t;

	pool = (struct template_pool){0};
	assert_string_equal(template_compile(&pool, span_str(text), place, &t),
			    "Unknown template variable (a plain % is written %%)");
}

static void variables_have_their_place(void **state)
{
	(void)state;
	refuse("%{status}", TEMPLATE_IN_HEADER);
	refuse("%{request}", TEMPLATE_IN_HEADER);
	refuse("%{client_cert_pem}", TEMPLATE_IN_LOG);
	refuse("%{forwarded}", TEMPLATE_IN_JSON);
	refuse("%{Status}", TEMPLATE_IN_LOG);
	refuse("100%", TEMPLATE_IN_LOG);
}

static void variables_are_in_the_order_of_their_names(void **state)
{
	const struct template_variable *v;
	const char *before = "";

	(void)state;
	for (size_t n = 0; (v = template_variable(n)); before = v->name.p, n++)
		assert_true(strcmp(before, v->name.p) < 0);
}

static void which_variables_are_used(void **state)
{
	static struct template_pool pool;
	struct template t;

	(void)state;
	assert_null(
		template_compile(&pool, SPAN("x%{sni}%{client_cert_pem}"), TEMPLATE_IN_HEADER, &t));
	assert_true(t.of_cert);
	assert_true(t.void_without_cert);
	assert_true(template_uses(&pool, SPAN("sni")));
	assert_true(template_uses(&pool, SPAN("client_cert_pem")));
	assert_false(template_uses(&pool, SPAN("alpn")));
	assert_false(template_uses(&pool, SPAN("nonsense")));
	assert_null(template_compile(&pool, SPAN("%{client_cert_verify}"), TEMPLATE_IN_HEADER, &t));
	assert_true(t.of_cert);
	assert_false(t.void_without_cert);
	assert_null(template_compile(&pool, SPAN("%{client_ip}"), TEMPLATE_IN_HEADER, &t));
	assert_false(t.of_cert);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_exchange_in_a_log),
		cmocka_unit_test(what_is_empty_is_a_dash_in_a_log),
		cmocka_unit_test(an_exchange_in_json),
		cmocka_unit_test(a_server_name_is_a_host_name_everywhere),
		cmocka_unit_test(a_value_in_a_header_ends_no_quotes),
		cmocka_unit_test(a_value_of_the_handshake_is_one_word_in_a_log),
		cmocka_unit_test(nothing_was_answered),
		cmocka_unit_test(a_certificate),
		cmocka_unit_test(variables_have_their_place),
		cmocka_unit_test(variables_are_in_the_order_of_their_names),
		cmocka_unit_test(which_variables_are_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
