/* SPDX-License-Identifier: ISC */
#include "rewrite.h"

#include "conversation.h"

#define LINE "GET / HTTP/1.1\r\n"

/* At a guard page, since a template's end is looked for. */
static int try_option(struct rewrite *rw, const char *option, struct span value, const char **why)
{
	static struct guard options, values;

	if (!options.end) {
		options = guard_new(256);
		values = guard_new(2 * TEMPLATE_TEXT_MAX);
	}
	*why = "not set";
	return rewrite_option(rw, guard_place(&options, span_str(option)),
			      guard_place(&values, value), why);
}

static void option(struct rewrite *rw, const char *name, const char *value)
{
	const char *why;

	if (try_option(rw, name, span_str(value), &why) != 0)
		fail_msg("%s = %s: %s", name, value, why);
	assert_null(why);
}

static void refuse(const char *name, struct span value, const char *expected)
{
	struct rewrite rw = {0}, before;
	const char *why;

	option(&rw, "httpSetHeader", "A: b%{sni}");
	before = rw;
	assert_int_equal(try_option(&rw, name, value, &why), -1);
	if (!why || !strstr(why, expected))
		fail_msg("%s = %.*s: %s", name, (int)value.len, value.p, why ? why : "no reason");
	assert_memory_equal(&rw, &before, sizeof rw);
}

static void apply_with(const struct rewrite *rw, const struct facts *facts, const char *fields,
		       struct text *text)
{
	static struct h1_head head;
	static struct guard guard;
	char buffer[8192];
	struct out out = out_of(buffer, sizeof buffer);

	if (!guard.end)
		guard = guard_new(8192);
	text_printf(text, LINE "%s\r\n", fields);
	assert_int_equal(
		h1_head_parse(guard_place(&guard, text_span(text)), H1_FIELDS_MAX, 0, &head), 0);
	rewrite_request(rw, facts, &head, 1, &out);
	assert_false(out.full);
	assert_true(out.len <= text->len + rewrite_insertion(rw));
	text->len = 0;
	text_add(text, out_span(&out));
}

/* What becomes of these field lines: others, behind the same request line. */
static void check(const struct rewrite *rw, const char *fields, const char *expected)
{
	struct text actual = {0}, wanted = {0};

	apply_with(rw, &conversation_facts, fields, &actual);
	text_printf(&wanted, LINE "%s\r\n", expected);
	assert_bytes(text_span(&actual), text_span(&wanted), fields);
	text_free(&actual);
	text_free(&wanted);
}

/* --- applying ------------------------------------------------------------------------------- */

static void without_rules_a_head_is_written_anew(void **state)
{
	const struct rewrite rw = {0};

	(void)state;
	assert_false(rewrite_active(&rw));
	check(&rw, "", "");
	check(&rw, "a:b\r\nC: \t d\t \r\na:\r\nX-Forwarded-For:  1\r\n",
	      "a: b\r\nC: d\r\na: \r\nX-Forwarded-For: 1\r\n");
}

static void dropped_fields_stay_out(void **state)
{
	static struct h1_head head;
	struct rewrite rw;
	char buffer[256];
	struct out out = out_of(buffer, sizeof buffer);

	(void)state;
	rewrite_compile(&rw, "xForwardedFor = chain");
	assert_int_equal(
		h1_head_parse(SPAN(LINE "A: 1\r\nX-Forwarded-For: 1\r\nB: 2\r\n\r\n"), 8, 0, &head),
		0);
	head.field[1].dropped = true;
	head.field[2].dropped = true;
	rewrite_request(&rw, &conversation_facts, &head, 1, &out);
	assert_bytes(out_span(&out), SPAN(LINE ADDED "A: 1\r\n\r\n"), "dropped");
}

#define FORGED "x-forwarded-for: 1, 2\r\nA: b\r\nX-FORWARDED-FOR: \r\nX-Forwarded-For:3\r\n"
#define ALIASES "X_Forwarded-For: 1\r\nXForwardedFor: 2\r\nx.forwarded.for: 3\r\n"

static void modes_of_forwarded_for(void **state)
{
	struct rewrite rw;

	(void)state;
	rewrite_compile(&rw, "xForwardedFor = yes");
	check(&rw, "A: b\r\n", ADDED "A: b\r\n");
	check(&rw, FORGED,
	      "x-forwarded-for: 1, 2\r\nX-FORWARDED-FOR: \r\nX-Forwarded-For: 3\r\n" ADDED
	      "A: b\r\n");
	check(&rw, ALIASES, ADDED);

	rewrite_compile(&rw, "xForwardedFor = append");
	check(&rw, "X-Forwarded-For: 1\r\n", "X-Forwarded-For: 1\r\n" ADDED);

	rewrite_compile(&rw, "xForwardedFor = chain");
	check(&rw, "A: b\r\n", ADDED "A: b\r\n");
	check(&rw, FORGED, "X-Forwarded-For: 1, 2, 3, 192.0.2.7\r\nA: b\r\n");
	check(&rw, ALIASES, ADDED);

	rewrite_compile(&rw, "xForwardedFor = replace");
	check(&rw, "A: b\r\n", ADDED "A: b\r\n");
	check(&rw, FORGED ALIASES, ADDED "A: b\r\n");

	rewrite_compile(&rw, "xForwardedFor = no");
	assert_false(rewrite_active(&rw));
	check(&rw, "X-Forwarded-For: 1\r\n" ALIASES, "X-Forwarded-For: 1\r\n" ALIASES);

	rewrite_compile(&rw, "XFORWARDEDFOR = Replace");
	check(&rw, "X-Forwarded-For: 1\r\n", ADDED);
}

static void set_add_and_delete(void **state)
{
	struct rewrite rw;

	(void)state;
	rewrite_compile(&rw, "httpSetHeader = X-Proto: https");
	check(&rw, "x_proto: http\r\nA: b\r\nX-Proto: x\r\n", "X-Proto: https\r\nA: b\r\n");
	check(&rw, "", "X-Proto: https\r\n");

	rewrite_compile(&rw, "httpAddHeader = Via: 1.1 us");
	check(&rw, "via: x\r\nA: b\r\n", "via: x\r\nVia: 1.1 us\r\nA: b\r\n");
	check(&rw, "v_ia: x\r\n", "Via: 1.1 us\r\n");

	rewrite_compile(&rw, "httpDelHeader = Proxy");
	check(&rw, "proxy: x\r\nA: b\r\nPro-xy: x\r\nProxys: y\r\n", "A: b\r\nProxys: y\r\n");

	rewrite_compile(&rw, "httpAddHeader = A: 1\nhttpAddHeader = A: 2\nhttpSetHeader = B: 3");
	check(&rw, "B: x\r\nA: x\r\n", "A: x\r\nA: 1\r\nA: 2\r\nB: 3\r\n");

	rewrite_compile(&rw, "httpSetHeader =  Empty :  ");
	check(&rw, "Empty: x\r\n", "Empty: \r\n");

	/* The one routing field that a service may set. */
	rewrite_compile(&rw, "httpSetHeader = host: inside");
	check(&rw, "Host: outside\r\n", "host: inside\r\n");
}

/* A server that stops at a field of the client's choice has read Host and all of ours. */
static void ours_stand_before_what_the_client_chooses(void **state)
{
	struct rewrite rw;

	(void)state;
	rewrite_compile(&rw, "xForwardedFor = append\nhttpSetHeader = B: 1\nforwarded = append");
	check(&rw, "A: b\r\nx-forwarded-for: 1\r\nb: x\r\nHost: a\r\nFORWARDED: y\r\nC: d\r\n",
	      "Host: a\r\nx-forwarded-for: 1\r\nFORWARDED: y\r\n" ADDED "B: 1\r\n"
	      "Forwarded: for=192.0.2.7;by=198.51.100.1;host=\"a\";proto=https\r\n"
	      "A: b\r\nC: d\r\n");
	rewrite_compile(&rw, "httpSetHeader = A: 1\nhttpSetHeader = Host: inside");
	check(&rw, "B: c\r\nHost: outside\r\n", "Host: inside\r\nA: 1\r\nB: c\r\n");
	rewrite_compile(&rw, "httpDelHeader = A");
	check(&rw, "B: c\r\nA: x\r\nHost: a\r\n", "Host: a\r\nB: c\r\n");
}

static void later_rules_replace_earlier_ones(void **state)
{
	struct rewrite rw;

	(void)state;
	rewrite_compile(&rw, "xForwardedFor = chain\nxForwardedFor = replace");
	check(&rw, "X-Forwarded-For: 1\r\n", ADDED);
	rewrite_compile(&rw, "xForwardedFor = replace\nxForwardedFor = no");
	assert_false(rewrite_active(&rw));
	check(&rw, "X-Forwarded-For: 1\r\n", "X-Forwarded-For: 1\r\n");
	rewrite_compile(&rw, "httpSetHeader = A-B: 1\nhttpSetHeader = a_b: 2");
	check(&rw, "A-B: x\r\n", "a_b: 2\r\n");
	rewrite_compile(&rw, "httpSetHeader = A: 1\nhttpDelHeader = a");
	check(&rw, "A: x\r\n", "");
	rewrite_compile(&rw, "httpDelHeader = A\nhttpAddHeader = A: 1");
	check(&rw, "A: x\r\n", "A: 1\r\n");
	rewrite_compile(&rw, "httpAddHeader = A: 1\nhttpSetHeader = A: 2\nhttpAddHeader = A: 3");
	check(&rw, "A: x\r\n", "A: 2\r\nA: 3\r\n");
	/* A section inherits by copy; what it adds does not reach back. */
	rewrite_compile(&rw, "httpSetHeader = A: 1");
	{
		struct rewrite section = rw;

		option(&section, "httpSetHeader", "A: 2");
		check(&section, "", "A: 2\r\n");
		check(&rw, "", "A: 1\r\n");
	}
}

/* --- templates ------------------------------------------------------------------------------ */

static void templates(void **state)
{
	struct rewrite rw;

	(void)state;
	rewrite_compile(&rw, "httpSetHeader = A: %{client_ip}:%{client_port} to "
			     "%{server_ip}:%{server_port}");
	check(&rw, "", "A: 192.0.2.7:51234 to 198.51.100.1:443\r\n");
	rewrite_compile(&rw, "httpSetHeader = A: %{sni}%{alpn},%{tls_version} %{tls_cipher};"
			     "%{session_reused}");
	check(&rw, "", "A: www.example.testhttp/1.1,TLSv1.3 TLS_AES_256_GCM_SHA384;0\r\n");
	rewrite_compile(&rw, "httpSetHeader = A: 100%% %%{sni} {sni} } %{sni}%%");
	check(&rw, "", "A: 100% %{sni} {sni} } www.example.test%\r\n");
}

static void a_plain_client_is_of_http(void **state)
{
	struct facts facts = conversation_facts;
	struct rewrite rw;
	struct text text = {0};

	(void)state;
	facts.plain = true;
	rewrite_compile(&rw, "xForwardedProto = yes\nforwarded = replace\n"
			     "httpSetHeader = A: %{proto}");
	apply_with(&rw, &facts, "", &text);
	assert_bytes(text_span(&text),
		     SPAN(LINE "X-Forwarded-Proto: http\r\n"
			       "Forwarded: for=192.0.2.7;by=198.51.100.1;proto=http\r\n"
			       "A: http\r\n\r\n"),
		     "a plain client");
	text_free(&text);
}

static void what_the_peer_chose_cannot_break_a_line(void **state)
{
	struct facts facts = conversation_facts;
	struct rewrite rw;
	struct text text = {0};

	(void)state;
	facts.sni = SPAN("a\r\nX: b\0\t\x1f \x7f\x80%41");
	facts.alpn = SPAN("\n");
	facts.session_reused = true;
	rewrite_compile(&rw, "httpSetHeader = A: %{sni}|%{alpn}|%{session_reused}");
	apply_with(&rw, &facts, "", &text);
	assert_bytes(text_span(&text),
		     SPAN(LINE "A: a%0D%0AX%3A%20b%00%09%1F%20%7F%80%2541|%0A|1\r\n\r\n"),
		     "escaped");
	text_free(&text);
}

static void facts_that_are_not_known(void **state)
{
	const struct facts facts = {0};
	struct rewrite rw;
	struct text text = {0};

	(void)state;
	rewrite_compile(&rw, "httpSetHeader = A: %{client_ip}%{client_port}%{sni}%{tls_version}");
	apply_with(&rw, &facts, "", &text);
	assert_bytes(text_span(&text), SPAN(LINE "A: unknown0\r\n\r\n"), "unknown");
	text_free(&text);
}

static void insertion_bounds_every_output(void **state)
{
	static const char nul[FACTS_NAME_MAX];
	struct facts facts = conversation_facts;
	struct rewrite rw;
	struct text text = {0}, many = {0};

	(void)state;
	facts.sni = span_of(nul, FACTS_NAME_MAX);
	facts.alpn = span_of(nul, FACTS_ALPN_MAX);
	facts.client.port = facts.server.port = 65535;
	memset(facts.client.text, 'f', FACTS_IP_TEXT_MAX);
	facts.client.text_len = FACTS_IP_TEXT_MAX;
	facts.server = facts.client;
	facts.tls_version = facts.tls_cipher = facts.group =
		SPAN("123456789 123456789 123456789 123456789 123456789 123456789 123");
	rewrite_compile(&rw, "xForwardedFor = chain\nhttpAddHeader = A: %{sni}%{alpn}%{client_ip}"
			     "%{client_port}%{server_ip}%{server_port}%{tls_version}%{tls_cipher}"
			     "%{tls_group}%{session_reused}literal\nhttpAddHeader = A: %{sni}");
	for (int i = 0; i < H1_FIELDS_MAX - 1; i++)
		text_printf(&many, "a:b\r\n");
	text_printf(&many, "x-forwarded-for:1\r\n");
	apply_with(&rw, &facts, many.p, &text); /* compares with rewrite_insertion() */
	text_free(&text);
	text_free(&many);
}

/* --- compiling ------------------------------------------------------------------------------ */

static void refused_options(void **state)
{
	static const char *const framing[] = {
		"Connection", "Content-Length", "transfer-encoding", "Upgrade", "TE",
		"Trailer",    "HTTP2-Settings", "Content_Length",    "t.e",	"TransferEncoding",
	};

	(void)state;
	refuse("xForwardedFor", SPAN(""), "either");
	refuse("xForwardedFor", SPAN("maybe"), "either");
	refuse("xForwardedFor", SPAN("yes "), "either");
	refuse("httpSetHeader", SPAN(""), "NAME: TEMPLATE");
	refuse("httpSetHeader", SPAN("X"), "NAME: TEMPLATE");
	refuse("httpAddHeader", SPAN(": a"), "not a token");
	refuse("httpAddHeader", SPAN("X Y: a"), "not a token");
	refuse("httpAddHeader", SPAN("X\r\nY: a"), "not a token");
	refuse("httpSetHeader", SPAN("-_-: a"), "letter or digit");
	refuse("httpDelHeader", SPAN(""), "not a token");
	refuse("httpDelHeader", SPAN("X: a"), "not a token");
	refuse("httpDelHeader", SPAN("Host"), "frames or routes");
	refuse("httpAddHeader", SPAN("Host: a"), "frames or routes");
	refuse("httpSetHeader", SPAN("H-o-s-t: a"), "frames or routes");
	refuse("httpSetHeader", SPAN("Expect: 100-continue"), "Only a client");
	refuse("httpAddHeader", SPAN("ex-pect: x"), "Only a client");
	refuse("httpSetHeader", SPAN("X: a\r\nY: b"), "control character");
	refuse("httpSetHeader", SPAN("X: a\0"), "control character");
	refuse("httpSetHeader", SPAN("X: 100%"), "%%");
	refuse("httpSetHeader", SPAN("X: 100% a"), "%%");
	refuse("httpSetHeader", SPAN("X: %{"), "template variable");
	refuse("httpSetHeader", SPAN("X: %{sni"), "template variable");
	refuse("httpSetHeader", SPAN("X: %{}"), "template variable");
	refuse("httpSetHeader", SPAN("X: %{SNI}"), "template variable");
	refuse("httpSetHeader", SPAN("X: %{snix}"), "template variable");
	refuse("httpSetHeader", SPAN("X: %{ sni}"), "template variable");
	refuse("httpHeader", SPAN("X: a"), "not an option");
	refuse("", SPAN("X: a"), "not an option");
	for (size_t i = 0; i < sizeof framing / sizeof framing[0]; i++) {
		struct text line = {0};

		refuse("httpDelHeader", span_str(framing[i]), "frames or routes");
		text_printf(&line, "%s: x", framing[i]);
		refuse("httpSetHeader", text_span(&line), "frames or routes");
		refuse("httpAddHeader", text_span(&line), "frames or routes");
		text_free(&line);
	}
}

/* Adds `line` until it is refused; the reason, and how often it went well. */
static const char *fill(struct rewrite *rw, struct span line, int *count)
{
	const char *why;

	for (*count = 0; try_option(rw, "httpAddHeader", line, &why) == 0; ++*count)
		assert_true(*count < 10000);
	return why;
}

static void capacities(void **state)
{
	static struct rewrite rw;
	struct text line = {0};
	int count;

	(void)state;
	rw = (struct rewrite){0};
	assert_non_null(strstr(fill(&rw, SPAN("A: b"), &count), "too many header rules"));
	assert_int_equal(count, REWRITE_RULES_MAX);
	check(&rw,
	      "B: c\r\n"
	      "A: x\r\n",
	      "A: x\r\n"
	      "A: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n"
	      "A: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n"
	      "A: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n"
	      "A: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n"
	      "A: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n"
	      "A: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n"
	      "A: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n"
	      "A: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nB: c\r\n");

	rw = (struct rewrite){0};
	assert_non_null(strstr(fill(&rw, SPAN("A: %%%%%%%%%%%%%%%%"), &count), "too many parts"));
	assert_int_equal(count, TEMPLATE_PARTS_MAX / 8);

	rw = (struct rewrite){0};
	text_printf(&line, "A: ");
	while (line.len < TEMPLATE_TEXT_MAX + 2)
		text_add(&line, SPAN("x"));
	assert_non_null(strstr(fill(&rw, text_span(&line), &count), "too long"));
	assert_int_equal(count, 1);
	assert_non_null(strstr(fill(&rw, SPAN("B: "), &count), "too long"));
	assert_int_equal(count, 0);
	text_free(&line);
}

static void what_rules_protect(void **state)
{
	struct rewrite rw;

	(void)state;
	rewrite_compile(&rw, "xForwardedFor = yes\nhttpDelHeader = 9-Lives\nhttpSetHeader = B: c");
	assert_true(rewrite_active(&rw));
	assert_true(rewrite_protects(&rw, SPAN("X-Forwarded-For")));
	assert_true(rewrite_protects(&rw, SPAN("_x.forwarded_for")));
	assert_true(rewrite_protects(&rw, SPAN("9lives")));
	assert_true(rewrite_protects(&rw, SPAN("b")));
	assert_false(rewrite_protects(&rw, SPAN("X-Forwarded")));
	assert_false(rewrite_protects(&rw, SPAN("Forwarded")));
	assert_false(rewrite_protects(&rw, SPAN("c")));
	assert_false(rewrite_protects(&rw, SPAN("")));
	assert_false(rewrite_protects(&rw, SPAN("--")));
	option(&rw, "xForwardedFor", "no");
	assert_false(rewrite_protects(&rw, SPAN("X-Forwarded-For")));
}

/* Whoever believes Client-Cert-Chain believes it by its name, and so with all that begins so. */
static void what_tells_of_a_certificate(void **state)
{
	static const char forged[] = "Client-Cert: :Zm9yZ2Vk:\r\nClient_Cert.Chain: :eA==:\r\n"
				     "Client-Certainly: x\r\nClient-Cer: y\r\nX-V: SUCCESS\r\n"
				     "X-V-Too: z\r\n";
	const struct facts_cert cert = {.rfc9440 = SPAN(":b3Vycw==:")};
	struct facts facts = conversation_facts;
	struct rewrite rw;
	struct text text = {0};

	(void)state;
	rewrite_compile(&rw, "httpSetHeader = Client-Cert: %{client_cert_rfc9440}\n"
			     "httpAddHeader = X-V: %{client_cert_verify}");
	assert_true(rewrite_protects(&rw, SPAN("client-cert-chain")));
	facts.client_verify = SPAN("NONE");
	apply_with(&rw, &facts, forged, &text);
	assert_bytes(text_span(&text), SPAN(LINE "X-V: NONE\r\nClient-Cer: y\r\n\r\n"), "without");
	text.len = 0;
	facts.client_cert = &cert;
	facts.client_verify = SPAN("SUCCESS");
	apply_with(&rw, &facts, forged, &text);
	assert_bytes(text_span(&text),
		     SPAN(LINE "Client-Cert: :b3Vycw==:\r\nX-V: SUCCESS\r\n"
			       "Client-Cer: y\r\n\r\n"),
		     "with");
	text.len = 0;
	rewrite_compile(&rw, "httpSetHeader = Client-Cert-Chain: %{client_cert_chain}");
	apply_with(&rw, &facts, forged, &text);
	assert_bytes(text_span(&text),
		     SPAN(LINE "Client-Cert: :Zm9yZ2Vk:\r\nClient-Certainly: x\r\nClient-Cer: y\r\n"
			       "X-V: SUCCESS\r\nX-V-Too: z\r\n\r\n"),
		     "an empty chain");
	text_free(&text);
}

/* A short name must not take Content-Length, Connection and their like with it. */
static void a_family_has_no_framing_fields(void **state)
{
	struct rewrite rw;

	(void)state;
	rewrite_compile(&rw, "httpSetHeader = C: %{client_cert_subject}\n"
			     "httpSetHeader = Ho: %{client_cert_verify}\n"
			     "httpSetHeader = tra: %{client_cert_verify}");
	check(&rw, "Host: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\nC-Own: x\r\n",
	      "Host: a\r\nHo: \r\ntra: \r\n"
	      "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n");
	assert_false(rewrite_protects(&rw, SPAN("Connection")));
	assert_true(rewrite_protects(&rw, SPAN("c_x")));
	refuse("httpSetHeader", SPAN("Host: %{client_cert_subject}"),
	       "Without a client certificate there would be no Host");
}

static void every_initial_is_known(void **state)
{
	static const char initials[] = "abcdefghijklmnopqrstuvwxyz0123456789";

	(void)state;
	for (size_t i = 0; i < sizeof initials - 1; i++) {
		const char name[] = {'-', initials[i], 'q', '\0'};
		struct rewrite rw = {0};

		option(&rw, "httpDelHeader", name);
		for (size_t j = 0; j < sizeof initials - 1; j++) {
			char other[] = {initials[j], 'Q'};

			if (other[0] >= 'a')
				other[0] = (char)(other[0] - 'a' + 'A');
			assert_int_equal(rewrite_protects(&rw, span_of(other, 2)), i == j);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_rules_a_head_is_written_anew),
		cmocka_unit_test(dropped_fields_stay_out),
		cmocka_unit_test(modes_of_forwarded_for),
		cmocka_unit_test(set_add_and_delete),
		cmocka_unit_test(ours_stand_before_what_the_client_chooses),
		cmocka_unit_test(later_rules_replace_earlier_ones),
		cmocka_unit_test(templates),
		cmocka_unit_test(a_plain_client_is_of_http),
		cmocka_unit_test(what_the_peer_chose_cannot_break_a_line),
		cmocka_unit_test(facts_that_are_not_known),
		cmocka_unit_test(insertion_bounds_every_output),
		cmocka_unit_test(refused_options),
		cmocka_unit_test(capacities),
		cmocka_unit_test(what_rules_protect),
		cmocka_unit_test(what_tells_of_a_certificate),
		cmocka_unit_test(a_family_has_no_framing_fields),
		cmocka_unit_test(every_initial_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
