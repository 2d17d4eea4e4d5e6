/* SPDX-License-Identifier: ISC */
#include "h1.h"

#include "conversation.h"

/* The longest head that is taken, grown by all that can make it longer, fits into h1_out_min(). */
static void the_largest_head_fits(void **state)
{
	static char sni[FACTS_NAME_MAX], alpn[FACTS_ALPN_MAX];
	const struct h1_limits limits = {.max_head = 70000,
					 .max_fields = H1_FIELDS_MAX,
					 .max_answer_head = 1024,
					 .in_flight = H1_PIPELINE_MAX};
	struct facts facts = conversation_facts;
	struct text head = {0}, expected = {0};
	struct step steps[2] = {{0}};
	struct rewrite rw;
	struct script script = {
		.rewrite = &rw,
		.facts = &facts,
		.limits = limits,
		.steps = steps,
	};

	(void)state;
	facts.sni = span_of(sni, sizeof sni); /* NUL is the longest when it is escaped */
	facts.alpn = span_of(alpn, sizeof alpn);
	rewrite_compile(&rw, "httpSetHeader = A: %{sni}%{alpn}");
	text_printf(&head, "GET / HTTP/1.1\r\nHost:a\r\nConnection:te,close\r\n");
	text_printf(&expected, "GET / HTTP/1.1\r\nHost: a\r\nA: ");
	for (size_t i = 0; i < sizeof sni + sizeof alpn; i++)
		text_printf(&expected, "%%00");
	text_printf(&expected, "\r\nConnection: close, TE\r\n");
	for (int i = 0; i < H1_FIELDS_MAX - 3; i++) {
		text_printf(&head, "b:1\r\n");
		text_printf(&expected, "b: 1\r\n");
	}
	text_printf(&head, "c:");
	text_printf(&expected, "c: ");
	while (head.len < limits.max_head - 4) {
		text_add(&head, SPAN("x"));
		text_add(&expected, SPAN("x"));
	}
	text_printf(&head, "\r\n\r\n");
	text_printf(&expected, "\r\n\r\n");
	assert_true(expected.len <= h1_out_min(&rw, limits));
	assert_true(expected.len + 64 > h1_out_min(&rw, limits)); /* nor is it wasteful */

	steps[0].bytes = text_span(&head);
	for (int driving = 0; driving < DRIVE_COUNT; driving++) {
		struct conversation c;

		script.driving = (enum driving)driving;
		conversation_begin(&c, &script);
		conversation_run(&c, (struct cut){.split = 100});
		assert_bytes(text_span(&c.sent[H1_REQUEST]), text_span(&expected), "all of it");
		conversation_end(&c);
	}
	text_free(&head);
	text_free(&expected);
}

/* Where LF alone may end a line, each gains its CR as well. */
static void heads_and_trailers_of_bare_lf_fit(void **state)
{
	const struct h1_limits limits = {.max_head = 4096,
					 .max_fields = H1_FIELDS_MAX,
					 .max_answer_head = 1024,
					 .in_flight = H1_PIPELINE_MAX,
					 .allow = H1_ALLOW_BARE_LF};
	static const struct rewrite none;

	(void)state;
	for (int trailers = 0; trailers < 2; trailers++) {
		struct text input = {0}, expected = {0};
		struct step steps[2] = {{0}};
		struct script script = {.rewrite = &none,
					.facts = &conversation_facts,
					.limits = limits,
					.steps = steps};
		struct conversation c;
		size_t begin = 0;

		text_printf(&input, "PUT / HTTP/1.1\nHost:a\n");
		text_printf(&expected, "PUT / HTTP/1.1\r\nHost: a\r\n");
		if (trailers) {
			text_printf(&input, "Transfer-Encoding:chunked\n\n0\n");
			text_printf(&expected, "Transfer-Encoding: chunked\r\n\r\n0\r\n");
			begin = input.len;
		}
		for (int i = 0; i < H1_FIELDS_MAX - 2; i++) {
			text_printf(&input, "b:1\n");
			text_printf(&expected, "b: 1\r\n");
		}
		text_printf(&input, "c:");
		text_printf(&expected, "c: ");
		while (input.len - begin < limits.max_head - 2) {
			text_add(&input, SPAN("x"));
			text_add(&expected, SPAN("x"));
		}
		text_printf(&input, "\n\n");
		text_printf(&expected, "\r\n\r\n");

		steps[0].bytes = text_span(&input);
		for (int driving = 0; driving < DRIVE_COUNT; driving++) {
			script.driving = (enum driving)driving;
			conversation_begin(&c, &script);
			conversation_run(&c, (struct cut){.split = 100});
			assert_bytes(text_span(&c.sent[H1_REQUEST]), text_span(&expected),
				     "all of it");
			conversation_end(&c);
		}
		text_free(&input);
		text_free(&expected);
	}
}

static void trailers_are_limited_as_heads_are(void **state)
{
	for (int over = 0; over < 2; over++) {
		struct text input = {0}, expected = {0};
		struct dialogue row = {.what = "trailers", .turns = "c", .client = ""};

		(void)state;
		text_printf(&input, POST "Transfer-Encoding: chunked\r\n\r\n0\r\n");
		text_printf(&expected, POST ADDED "Transfer-Encoding: chunked\r\n\r\n%s",
			    over ? "" : "0\r\n");
		for (int i = 0; i < (int)conversation_limits.max_fields + over; i++) {
			text_printf(&input, "A:\r\n");
			text_printf(&expected, "%s", over ? "" : "A: \r\n");
		}
		text_printf(&input, "\r\n");
		text_printf(&expected, "%s", over ? "" : "\r\n");
		row.bytes[0] = input.p;
		row.backend = expected.p;
		row.state = over ? "too-many-fields, answered now: requests body, responses idle, "
				   "1 of 1 in flight"
				 : "requests idle, responses idle, 1 of 1 in flight";
		check_dialogue(&row);
		text_free(&input);
		text_free(&expected);
	}
}

static void limits_are_exact(void **state)
{
	static const struct {
		size_t len, fields;
		const char *error;
	} rows[] = {
		{4096, 2, NULL},
		{4097, 2, "head-too-large"},
		{4096, 64, NULL},
		{4096, 65, "too-many-fields"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct text head = {0}, state_text = {0};
		struct conversation c;
		struct rewrite rw = {0};
		struct step steps[2] = {{0}};
		struct script script = script_of(&rw, steps);

		rewrite_compile(&rw, "xForwardedFor = yes");
		text_printf(&head, GET);
		for (size_t n = 2; n < rows[i].fields; n++)
			text_printf(&head, "a:\r\n");
		text_printf(&head, "X: ");
		while (head.len < rows[i].len - 4)
			text_add(&head, SPAN("x"));
		text_printf(&head, "\r\n\r\n");
		steps[0].bytes = text_span(&head);
		for (int bytes = 0; bytes < 2; bytes++) {
			conversation_begin(&c, &script);
			conversation_run(&c, (struct cut){.bytes = bytes});
			conversation_state(&c, &state_text);
			assert_int_equal(c.sent[H1_REQUEST].len == 0, rows[i].error != NULL);
			if (rows[i].error)
				assert_int_equal(
					strncmp(state_text.p, rows[i].error, strlen(rows[i].error)),
					0);
			state_text.len = 0;
			conversation_end(&c);
		}
		text_free(&head);
		text_free(&state_text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_largest_head_fits),
		cmocka_unit_test(heads_and_trailers_of_bare_lf_fit),
		cmocka_unit_test(trailers_are_limited_as_heads_are),
		cmocka_unit_test(limits_are_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
