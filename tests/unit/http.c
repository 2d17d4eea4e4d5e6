/* SPDX-License-Identifier: ISC */
#include "http.h"

#include "harness.h"

static bool alpha(int c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool one_of(int c, const char *set)
{
	return c != 0 && strchr(set, c) != NULL;
}

/* The classes of one byte by the grammar of the RFCs, and by nothing else. */
static int class_of(int c)
{
	/* RFC 5234 B.1: VCHAR; RFC 9110 5.5: obs-text; RFC 3986 2.2, 2.3 and 2.1. */
	bool vchar = c >= 0x21 && c <= 0x7e, obs_text = c >= 0x80;
	bool sub_delims = one_of(c, "!$&'()*+,;=");
	bool unreserved = alpha(c) || digit(c) || one_of(c, "-._~");
	bool pct = c == '%'; /* of pct-encoded; its digits are unreserved */
	int class = 0;

	if (alpha(c) || digit(c) || one_of(c, "!#$%&'*+-.^_`|~")) /* RFC 9110 5.6.2 */
		class |= HTTP_TOKEN;
	if (vchar || obs_text || c == ' ' || c == '\t')
		class |= HTTP_VALUE;
	if (vchar && c != '#')
		class |= HTTP_TARGET;
	/* uri-host [ ":" port ]: reg-name, IPv4address, "[" IPv6address or IPvFuture "]" */
	if (unreserved || pct || sub_delims || one_of(c, "[]:"))
		class |= HTTP_HOST;
	if (alpha(c) || digit(c))
		class |= HTTP_ALNUM;
	return class;
}

static void classes_are_those_of_the_grammar(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		if (http_class[c] != class_of(c))
			print_error("byte 0x%02x\n", (unsigned)c);
		assert_int_equal(http_class[c], class_of(c));
		for (int class = 1; class <= HTTP_ALNUM; class *= 2)
			assert_int_equal(http_is((char)c, class), (class_of(c) & class) != 0);
	}
}

/* Ends of heads and lines are found by these never being in a class. */
static void line_ends_are_in_no_class(void **state)
{
	(void)state;
	assert_int_equal(http_class['\r'], 0);
	assert_int_equal(http_class['\n'], 0);
	assert_int_equal(http_class[0], 0);
	assert_int_equal(http_class[0x7f], 0);
}

static void all_of_a_class(void **state)
{
	(void)state;
	assert_true(http_all(SPAN(""), HTTP_TOKEN));
	assert_true(http_all(SPAN("X-y"), HTTP_TOKEN));
	assert_false(http_all(SPAN(" Xy"), HTTP_TOKEN));
	assert_false(http_all(SPAN("Xy "), HTTP_TOKEN));
	assert_false(http_all(SPAN("X\0y"), HTTP_VALUE));
}

static void lower_case_is_for_letters_only(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++)
		assert_int_equal((unsigned char)http_lower((char)c),
				 c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c);
}

static void equal_but_for_case(void **state)
{
	(void)state;
	assert_true(http_equal(SPAN("Host"), SPAN("hOST")));
	assert_true(http_equal(SPAN(""), SPAN("")));
	assert_false(http_equal(SPAN("Host"), SPAN("Hos")));
	assert_false(http_equal(SPAN("Hos"), SPAN("Host")));
	assert_false(
		http_equal(SPAN("@"), SPAN("`"))); /* differ in the bit that letters differ in */
	assert_false(http_equal(SPAN("["), SPAN("{")));
	assert_false(http_equal(SPAN("a-b"), SPAN("a\rb")));
}

static void aliases(void **state)
{
	static const char *const same[] = {
		"X-Forwarded-For", "x-forwarded-for",	"X_Forwarded_For",   "X.Forwarded.For",
		"XForwardedFor",   "X--Forwarded--For", "-X-Forwarded-For-", "x!forwarded~for'",
	};
	static const char *const other[] = {
		"X-Forwarded-Fo", "X-Forwarded-Fors", "Forwarded-For", "", "-", "X-Forwarded-F0r",
	};
	const struct span ours = SPAN("X-Forwarded-For");

	(void)state;
	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
		assert_true(http_alias(span_str(same[i]), ours));
		assert_true(http_alias(ours, span_str(same[i])));
	}
	for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
		assert_false(http_alias(span_str(other[i]), ours));
		assert_false(http_alias(ours, span_str(other[i])));
	}
}

static void known_fields(void **state)
{
	static const struct {
		const char *name;
		enum http_field id;
		bool frames;
	} rows[] = {
		{.name = "Host", .id = HTTP_HOST_FIELD, .frames = true},
		{.name = "hOsT", .id = HTTP_HOST_FIELD, .frames = true},
		{.name = "Connection", .id = HTTP_CONNECTION, .frames = true},
		{.name = "CONTENT-LENGTH", .id = HTTP_CONTENT_LENGTH, .frames = true},
		{.name = "transfer-encoding", .id = HTTP_TRANSFER_ENCODING, .frames = true},
		{.name = "Upgrade", .id = HTTP_UPGRADE, .frames = true},
		{.name = "HTTP2-Settings", .id = HTTP_HTTP2_SETTINGS, .frames = true},
		{.name = "te", .id = HTTP_TE, .frames = true},
		{.name = "Trailer", .id = HTTP_TRAILER, .frames = true},
		{.name = "Expect", .id = HTTP_EXPECT, .frames = false},
		{.name = "Ex-pect", .id = HTTP_OTHER, .frames = false},
		{.name = "Content_Length", .id = HTTP_OTHER, .frames = true},
		{.name = "Transfer.Encoding", .id = HTTP_OTHER, .frames = true},
		{.name = "_Transfer-Encoding", .id = HTTP_OTHER, .frames = true},
		{.name = "'Host", .id = HTTP_OTHER, .frames = true},
		{.name = "ContentLength", .id = HTTP_OTHER, .frames = true},
		{.name = "up_grade", .id = HTTP_OTHER, .frames = true},
		{.name = "Content-Lengt", .id = HTTP_OTHER, .frames = false},
		{.name = "Content-Type", .id = HTTP_OTHER, .frames = false},
		{.name = "Hosts", .id = HTTP_OTHER, .frames = false},
		{.name = "X-Host", .id = HTTP_OTHER, .frames = false},
		{.name = "!!", .id = HTTP_OTHER, .frames = false},
		{.name = "", .id = HTTP_OTHER, .frames = false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct span name = span_str(rows[i].name);

		if (http_field(name) != rows[i].id || http_frames(name) != rows[i].frames)
			fail_msg("%s", rows[i].name);
	}
}

static void lists(void **state)
{
	static const struct {
		const char *list;
		const char *elements; /* each in brackets */
	} rows[] = {
		{"", ""},
		{",", ""},
		{" \t, ,, ", ""},
		{"a", "[a]"},
		{"a,b", "[a][b]"},
		{" a b ,\tc\t", "[a b][c]"},
		{",a,,b,", "[a][b]"},
	};
	struct guard guard = guard_new(64);

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct span list = guard_place(&guard, span_str(rows[i].list)), element;
		struct text seen = {0};

		while (http_list_next(&list, &element))
			text_printf(&seen, "[%.*s]", (int)element.len, element.p);
		assert_bytes(text_span(&seen), span_str(rows[i].elements), rows[i].list);
		text_free(&seen);
	}
}

static void trimmed(void **state)
{
	(void)state;
	assert_bytes(http_trim(SPAN(" \ta b\t ")), SPAN("a b"), "both ends");
	assert_bytes(http_trim(SPAN(" \t ")), SPAN(""), "nothing but space");
	assert_bytes(http_trim(SPAN("\va\f")), SPAN("\va\f"), "only SP and HTAB are white space");
}

static const char *phrase_of(int status)
{
	static const struct {
		int status;
		const char *phrase;
	} phrases[] = {
		{400, " 400 Bad Request\r\n"},
		{405, " 405 Method Not Allowed\r\n"},
		{408, " 408 Request Timeout\r\n"},
		{411, " 411 Length Required\r\n"},
		{417, " 417 Expectation Failed\r\n"},
		{501, " 501 Not Implemented\r\n"},
		{431, " 431 Request Header Fields Too Large\r\n"},
		{502, " 502 Bad Gateway\r\n"},
		{503, " 503 Service Unavailable\r\n"},
		{504, " 504 Gateway Timeout\r\n"},
		{505, " 505 HTTP Version Not Supported\r\n"},
	};

	for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	fail_msg("no phrase for %d", status);
	return "";
}

static void check_reply(enum error error, bool to_head)
{
	const struct errors_info *info = &errors_info[error];
	char buffer[HTTP_REPLY_MAX + 1];
	struct out out = out_of(buffer, HTTP_REPLY_MAX);
	char *head_end, *length;

	http_error_reply(error, to_head, &out);
	assert_false(out.full);
	buffer[out.len] = '\0';
	assert_int_equal(strlen(buffer), out.len);
	assert_int_equal(strncmp(buffer, "HTTP/1.1 ", 9), 0);
	assert_int_equal(strtol(buffer + 9, NULL, 10), info->status);
	assert_ptr_equal(strstr(buffer, phrase_of(info->status)), buffer + 8);
	head_end = strstr(buffer, "\r\n\r\n");
	assert_non_null(head_end);
	length = strstr(buffer, "\r\nContent-Length: ");
	assert_non_null(length);
	assert_int_equal(strtol(length + 18, NULL, 10), info->text_len + 1);
	assert_int_equal(strlen(head_end + 4), to_head ? 0 : info->text_len + 1);
	assert_non_null(strstr(buffer, "\r\nConnection: close\r\n"));
	assert_int_equal(strstr(buffer, "\r\nAllow: ") != NULL, info->status == 405);
	assert_int_equal(strncmp(head_end + 4, info->text, to_head ? 0 : info->text_len), 0);
}

static void every_error_has_a_row_and_a_reply(void **state)
{
	(void)state;
	assert_null(errors_info[ERR_NONE].name);
	for (int e = ERR_NONE + 1; e < ERR_COUNT; e++) {
		assert_non_null(errors_info[e].name);
		assert_int_equal(errors_info[e].text_len, strlen(errors_info[e].text));
		assert_in_range(errors_info[e].status, e < ERR_MENDED_FIRST ? 400 : 0,
				e < ERR_MENDED_FIRST ? 599 : 0);
		assert_int_equal(strncmp(errors_info[e].source, "RFC ", 4), 0);
		for (int other = ERR_NONE + 1; other < e; other++)
			assert_string_not_equal(errors_info[e].name, errors_info[other].name);
		if (e >= ERR_MENDED_FIRST)
			continue;
		check_reply((enum error)e, false);
		check_reply((enum error)e, true);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes_are_those_of_the_grammar),
		cmocka_unit_test(line_ends_are_in_no_class),
		cmocka_unit_test(all_of_a_class),
		cmocka_unit_test(lower_case_is_for_letters_only),
		cmocka_unit_test(equal_but_for_case),
		cmocka_unit_test(aliases),
		cmocka_unit_test(known_fields),
		cmocka_unit_test(lists),
		cmocka_unit_test(trimmed),
		cmocka_unit_test(every_error_has_a_row_and_a_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
