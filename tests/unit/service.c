/* SPDX-License-Identifier: ISC */
#include "service.h"

#include <strings.h>

#include "h1_answer.h"
#include "harness.h"

static struct service_fault fault;

static enum service_result set(struct service *s, const char *name, const char *value)
{
	return service_option(s, span_str(name), span_str(value), &fault);
}

static void refuses(const char *name, const char *value, const char *why)
{
	static struct service s, before;

	service_default(&s);
	before = s;
	assert_int_equal(set(&s, name, value), SERVICE_REFUSED);
	assert_string_equal(fault.why, why);
	assert_int_equal(s.trusted.count, before.trusted.count);
	assert_int_equal(s.proxy_peers.count, before.proxy_peers.count);
	assert_memory_equal(&s.limits, &before.limits, sizeof s.limits);
	assert_memory_equal(&s.proxy, &before.proxy, sizeof s.proxy);
	assert_memory_equal(&s.rewrite, &before.rewrite, sizeof s.rewrite);
	assert_int_equal(s.timeout_proxy, before.timeout_proxy);
	assert_int_equal(s.timeout_request, before.timeout_request);
	assert_int_equal(s.accept_proxy, before.accept_proxy);
}

static void defaults(void **state)
{
	static struct service s;

	(void)state;
	service_default(&s);
	assert_int_equal(s.limits.max_head, H1_HEAD_LIMIT);
	assert_int_equal(s.limits.max_fields, H1_FIELDS_MAX);
	assert_int_equal(s.limits.max_answer_head, H1_ANSWER_HEAD_LIMIT);
	assert_int_equal(s.proxy.max_length, PROXY_LENGTH_DEFAULT);
	assert_int_equal(s.proxy.version, 0);
	assert_int_equal(s.timeout_proxy, 3);
	assert_int_equal(s.timeout_request, 60);
	assert_int_equal(s.accept_proxy, SERVICE_PROXY_NO);
	assert_int_equal(s.limits.in_flight, 1);
	assert_false(s.limits.connect);
	assert_false(rewrite_active(&s.rewrite));
}

static void each_option_sets_its_own(void **state)
{
	static struct service s;

	(void)state;
	service_default(&s);
	assert_int_equal(set(&s, "HTTPMAXHEAD", "1024"), SERVICE_SET);
	assert_int_equal(set(&s, "httpMaxAnswerHead", "1025"), SERVICE_SET);
	assert_int_equal(set(&s, "httpMaxFields", "008"), SERVICE_SET);
	assert_int_equal(set(&s, "httpConnect", "YES"), SERVICE_SET);
	assert_int_equal(set(&s, "httpAllow", "Raw-Target, bare-lf"), SERVICE_SET);
	assert_int_equal(set(&s, "httpRequireLength", "yes"), SERVICE_SET);
	assert_int_equal(set(&s, "httpKeepAlive", "both"), SERVICE_SET);
	assert_int_equal(set(&s, "proxyVersion", "2"), SERVICE_SET);
	assert_int_equal(set(&s, "proxyMaxLength", "4096"), SERVICE_SET);
	assert_int_equal(set(&s, "proxyPassTLV", "yes"), SERVICE_SET);
	assert_int_equal(set(&s, "proxyMapped", "keep"), SERVICE_SET);
	assert_int_equal(set(&s, "proxyTLV", "alpn"), SERVICE_SET);
	assert_int_equal(set(&s, "acceptProxy", "required"), SERVICE_SET);
	assert_int_equal(set(&s, "TIMEOUTproxy", "-1"), SERVICE_SET);
	assert_int_equal(set(&s, "TIMEOUTrequest", "+7"), SERVICE_SET);
	assert_int_equal(set(&s, "trustedProxy", "10.0.0.0/8"), SERVICE_SET);
	assert_int_equal(set(&s, "trustedProxy", "::1, 192.0.2.1"), SERVICE_SET);
	assert_int_equal(set(&s, "acceptProxyFrom", "192.0.2.0/24"), SERVICE_SET);
	assert_int_equal(set(&s, "xForwardedFor", "yes"), SERVICE_SET);
	assert_int_equal(set(&s, "traceContext", "yes"), SERVICE_SET);
	assert_int_equal(s.limits.max_head, 1024);
	assert_int_equal(s.limits.max_answer_head, 1025);
	assert_int_equal(s.limits.max_fields, 8);
	assert_int_equal(s.limits.in_flight, H1_PIPELINE_MAX);
	assert_false(s.limits.pool);
	assert_int_equal(set(&s, "httpKeepAlive", "Pool"), SERVICE_SET);
	assert_int_equal(s.limits.in_flight, 1);
	assert_true(s.limits.pool);
	assert_int_equal(set(&s, "httpKeepAlive", "client"), SERVICE_SET);
	assert_int_equal(s.limits.in_flight, 1);
	assert_false(s.limits.pool);
	assert_true(s.limits.connect);
	assert_int_equal(s.limits.allow, H1_ALLOW_BARE_LF | H1_ALLOW_RAW_TARGET);
	assert_true(s.limits.require_length);
	assert_int_equal(set(&s, "httpAllow", "no"), SERVICE_SET);
	assert_int_equal(s.limits.allow, 0);
	assert_int_equal(s.proxy.version, 2);
	assert_int_equal(s.proxy.max_length, 4096);
	assert_true(s.proxy.pass);
	assert_int_equal(s.proxy.keep_mapped, 1);
	assert_int_equal(s.proxy.tlvs, PROXY_BIT(PROXY_ALPN));
	assert_int_equal(s.accept_proxy, SERVICE_PROXY_REQUIRED);
	assert_int_equal(s.timeout_proxy, -1);
	assert_int_equal(s.timeout_request, 7);
	assert_int_equal(s.trusted.count, 3);
	assert_int_equal(s.proxy_peers.count, 1);
	assert_true(rewrite_active(&s.rewrite));
	assert_int_equal(set(&s, "accept", "443"), SERVICE_UNKNOWN);
}

static void what_is_wrong_changes_nothing(void **state)
{
	(void)state;
	refuses("traceContext", "append",
		"The argument needs to be either 'yes', 'trusted' or 'no'");
	refuses("httpMaxHead", "1023", "Illegal size of a head (1024 to 65536)");
	refuses("httpMaxHead", "65537", "Illegal size of a head (1024 to 65536)");
	refuses("httpMaxAnswerHead", "65537", "Illegal size of a head (1024 to 65536)");
	refuses("httpMaxFields", "8x", "Illegal number of fields (8 to 256)");
	refuses("httpMaxFields", "-8", "Illegal number of fields (8 to 256)");
	refuses("httpAllow", "yes", "Neither 'bare-lf' nor 'raw-target'");
	refuses("httpAllow", ", ,", "Neither 'bare-lf' nor 'raw-target'");
	refuses("httpRequireLength", "1", "The argument needs to be either 'yes' or 'no'");
	refuses("httpConnect", "1", "The argument needs to be either 'yes' or 'no'");
	refuses("httpKeepAlive", "yes",
		"The argument needs to be either 'client', 'both' or 'pool'");
	refuses("proxyVersion", "3", "The PROXY protocol has versions 1 and 2");
	refuses("proxyMapped", "yes", "The argument needs to be either 'fold' or 'keep'");
	refuses("acceptProxy", "", "The value is empty");
	refuses("acceptProxy", "maybe",
		"The argument needs to be either 'yes', 'required' or 'no'");
	refuses("TIMEOUTproxy", "2147483648", "Illegal PROXY timeout");
	refuses("TIMEOUTrequest", "-2147483649", "Illegal request timeout");
	refuses("TIMEOUTrequest", "- 1", "Illegal request timeout");
	refuses("trustedProxy", ", ,", "No address in the list");
	refuses("trustedProxy", "::1, here", "Not an address or block of addresses");
	assert_true(span_eq(fault.word, SPAN("here")));
	refuses("proxyTLV", "nothing",
		"Unknown TLV (alpn, authority, ssl, cn, cipher, sig-alg, key-alg, group, "
		"sig-scheme, client-cert, unique-id, crc32c, netns:NAME, noop:BYTES, "
		"0xE0:TEXT to 0xEF:TEXT)");
}

static void a_list_that_is_full_is_refused(void **state)
{
	static struct service s;

	(void)state;
	service_default(&s);
	for (size_t i = 0; i < IP_BLOCKS_MAX; i++)
		assert_int_equal(set(&s, "trustedProxy", "::1"), SERVICE_SET);
	assert_int_equal(set(&s, "trustedProxy", "::1"), SERVICE_REFUSED);
	assert_string_equal(fault.why, "Too many trusted proxies");
	assert_int_equal(s.trusted.count, IP_BLOCKS_MAX);
	assert_int_equal(set(&s, "acceptProxyFrom", "::1"), SERVICE_SET);
}

static void a_whole_service_is_checked_by_its_parts(void **state)
{
	static struct service s;
	size_t at = 0;

	(void)state;
	service_default(&s);
	set(&s, "acceptProxy", "yes");
	set(&s, "proxyTLV", "alpn");
	set(&s, "proxyPassTLV", "yes");
	assert_true(service_check(&s, SERVICE_ACCEPTS | SERVICE_SENDS_PROXY, &at, &fault));
	assert_string_equal(fault.option, "acceptProxy");
	assert_true(service_check(&s, SERVICE_ACCEPTS | SERVICE_SENDS_PROXY, &at, &fault));
	assert_string_equal(fault.why, "proxyTLV needs proxyVersion = 2");
	assert_true(service_check(&s, SERVICE_ACCEPTS | SERVICE_SENDS_PROXY, &at, &fault));
	assert_string_equal(fault.option, "proxyPassTLV");
	assert_false(service_check(&s, SERVICE_ACCEPTS | SERVICE_SENDS_PROXY, &at, &fault));
	at = 0;
	assert_false(service_check(&s, 0, &at, &fault));
	set(&s, "proxyVersion", "2");
	at = 0;
	assert_false(service_check(&s, SERVICE_SENDS_PROXY, &at, &fault));
	set(&s, "acceptProxyFrom", "::1");
	at = 0;
	assert_false(service_check(&s, SERVICE_ACCEPTS, &at, &fault));
}

static void a_long_header_is_foreseen(void **state)
{
	static struct service s;

	(void)state;
	service_default(&s);
	set(&s, "proxyVersion", "2");
	assert_int_equal(service_long_header(&s), 0);
	set(&s, "proxyTLV", "noop:600");
	assert_int_equal(service_long_header(&s), 16 + 36 + 3 + 600);
	set(&s, "proxyMaxLength", "655");
	assert_int_equal(service_long_header(&s), 0);
	set(&s, "proxyMaxLength", "654");
	set(&s, "proxyVersion", "1");
	assert_int_equal(service_long_header(&s), 0);
}

/* An option of the table is one that can be set to its default, and stands in its place. */
static void the_table_is_in_order(void **state)
{
	static struct service s;
	struct service_info info;
	size_t n = 0;

	(void)state;
	service_default(&s);
	for (const char *before = ""; service_row(n, &info); before = info.name, n++) {
		assert_true(strcasecmp(before, info.name) < 0);
		assert_non_null(info.help);
		if (info.initial)
			assert_int_equal(set(&s, info.name, info.initial), SERVICE_SET);
		else
			assert_int_equal(set(&s, info.name, ""), SERVICE_REFUSED);
	}
	assert_true(n > 20);
}

/* Each cause alone: an access log needs the HTTP machine, a PROXY header only what it tells. */
static void what_a_service_needs(void **state)
{
	struct template_pool log = {0};
	struct service_needs needs;
	struct service s;

	(void)state;
	service_default(&s);
	needs = service_needs(&s, true, NULL);
	assert_true(!needs.http && !needs.tlvs && needs.cert_texts == 0);
	assert_true(service_needs(&s, false, &log).http);

	assert_int_equal(set(&s, "proxyTLV", "cn"), SERVICE_SET);
	needs = service_needs(&s, true, NULL);
	assert_true(!needs.http && needs.tlvs && needs.cert_texts == FACTS_CERT_CN);
	needs = service_needs(&s, false, NULL);
	assert_true(!needs.http && !needs.tlvs && needs.cert_texts == 0);

	assert_int_equal(set(&s, "httpSetHeader", "A: %{client_cert_pem}"), SERVICE_SET);
	needs = service_needs(&s, false, NULL);
	assert_true(needs.http && needs.cert_texts == FACTS_CERT_PEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(each_option_sets_its_own),
		cmocka_unit_test(what_is_wrong_changes_nothing),
		cmocka_unit_test(a_list_that_is_full_is_refused),
		cmocka_unit_test(a_whole_service_is_checked_by_its_parts),
		cmocka_unit_test(a_long_header_is_foreseen),
		cmocka_unit_test(the_table_is_in_order),
		cmocka_unit_test(what_a_service_needs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
