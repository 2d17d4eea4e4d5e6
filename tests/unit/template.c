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
	const struct template_source from = {&conversation_facts, NULL, &exchange, 10, 0};

	check_with(from, TEMPLATE_IN_LOG, text, expected);
}

static void in_json(const char *text, const char *expected)
{
	const struct template_source from = {&conversation_facts, NULL, &exchange, 10, 0};

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
	in_a_log("%{tls_version} %{tls_cipher} %{sni} %{session_reused}",
		 "TLSv1.3 TLS_AES_256_GCM_SHA384 www.example.test 0");
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

static void a_name_that_the_client_chose_stays_one_word(void **state)
{
	struct facts facts = conversation_facts;
	const struct template_source from = {&facts, NULL, &exchange, 1, 0};

	(void)state;
	facts.sni = SPAN("a - \"b\" \n1");
	check_with(from, TEMPLATE_IN_LOG, "%{sni}|", "a\\x20-\\x20\\\"b\\\"\\x20\\x0A1|");
	check_with(from, TEMPLATE_IN_JSON, "%{sni}", "a - \\\"b\\\" \\u000A1");
}

static void nothing_was_answered(void **state)
{
	const struct template_exchange none = {0};
	const struct template_source from = {&conversation_facts, NULL, &none, 1, 0};

	(void)state;
	check_with(from, TEMPLATE_IN_LOG, "%{status} %{bytes} %{time_total} \"%{request}\"",
		   "000 0 0.000000 \"-\"");
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
	const struct template_source from = {&facts, NULL, &exchange, 1, 0};

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
		cmocka_unit_test(a_name_that_the_client_chose_stays_one_word),
		cmocka_unit_test(nothing_was_answered),
		cmocka_unit_test(a_certificate),
		cmocka_unit_test(variables_have_their_place),
		cmocka_unit_test(which_variables_are_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
