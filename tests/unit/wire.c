/* SPDX-License-Identifier: ISC */

/* Runs the wire corpus through the core in process, every case in every fragmentation. */

#include <glob.h>

#include "conversation.h"
#include "h1_answer.h"
#include "wire_file.h"

/* As the daemon has them, unless a case says otherwise. */
static const struct h1_limits default_limits = {.max_head = H1_HEAD_LIMIT,
						.max_fields = H1_FIELDS_MAX,
						.max_answer_head = H1_ANSWER_HEAD_LIMIT};

struct run {
	const struct wire_case *wire;
	struct rewrite rewrite;
	struct h1_limits limits;
	enum driving driving;
};

static size_t sent_length(const struct wire_case *wire)
{
	size_t len = 0;

	for (size_t i = 0; i < wire->count; i++)
		if (wire->section[i].kind == WIRE_CLIENT || wire->section[i].kind == WIRE_RESPONSE)
			len += wire->section[i].bytes.len;
	return len;
}

/* A section's bytes in pieces; *at counts through the whole case. */
static void send(struct conversation *c, enum h1_dir dir, struct span bytes, struct cut cut,
		 size_t *at, size_t total)
{
	size_t begin = *at, end = *at + bytes.len;

	while (*at < end) {
		size_t next = cut_end(cut, *at, total);

		if (next > end)
			next = end;
		conversation_feed(c, dir, span_of(bytes.p + (*at - begin), next - *at));
		*at = next;
	}
}

/* What came out since the last look must be exactly this. */
static void expect(struct conversation *c, enum h1_dir dir, struct span bytes, const char *what)
{
	assert_bytes(text_span(&c->sent[dir]), bytes, what);
	text_take(&c->sent[dir], c->sent[dir].len);
}

static void expect_error(const struct conversation *c, const struct wire_section *section)
{
	const char *name = c->h1.error == ERR_NONE ? "none" : errors_info[c->h1.error].name;

	assert_bytes(span_str(name), text_span(&section->bytes), "error");
	assert_int_equal(h1_reply(&c->h1) == H1_REPLY_NEVER, section->unanswered);
}

static void run_case(struct cut cut, struct text *seen, void *arg)
{
	struct run *run = arg;
	const struct script script = {
		.rewrite = &run->rewrite,
		.facts = &conversation_facts,
		.limits = run->limits,
		.driving = run->driving,
		.gives_up = run->limits.pool,
	};
	size_t at = 0, total = sent_length(run->wire);
	bool error_expected = false;
	struct conversation c;

	conversation_begin(&c, &script);
	for (size_t i = 0; i < run->wire->count; i++) {
		const struct wire_section *section = &run->wire->section[i];
		struct span bytes = text_span(&section->bytes);

		/* One that must not be shared ends, though its client might have gone on with it.
		 */
		if (script.gives_up && section->kind == WIRE_BACKEND && h1_backend_done(&c.h1))
			conversation_reconnect(&c);
		if (section->kind == WIRE_CLIENT)
			send(&c, H1_REQUEST, bytes, cut, &at, total);
		else if (section->kind == WIRE_RESPONSE)
			send(&c, H1_RESPONSE, bytes, cut, &at, total);
		else if (section->kind == WIRE_BACKEND)
			expect(&c, H1_REQUEST, bytes, "the backend");
		else if (section->kind == WIRE_REPLY)
			expect(&c, H1_RESPONSE, bytes, "the client");
		else if (section->kind == WIRE_RECONNECT)
			conversation_reconnect(&c);
		else if (section->kind == WIRE_CLOSE)
			assert_true(h1_over(&c.h1));
		else
			expect_error(&c, section);
		error_expected |= section->kind == WIRE_ERROR;
	}
	expect(&c, H1_REQUEST, SPAN(""), "the backend, more than expected");
	expect(&c, H1_RESPONSE, SPAN(""), "the client, more than expected");
	if (!error_expected && c.h1.error != ERR_NONE)
		fail_msg("not expected: %s", errors_info[c.h1.error].name);
	conversation_state(&c, seen);
	conversation_end(&c);
}

/* Takes an option line out of the text; whether it was there. */
static bool take_setting(struct text *settings, const char *line)
{
	char *at = strstr(settings->p, line);

	if (at)
		memmove(at, at + strlen(line), strlen(at + strlen(line)) + 1);
	return at != NULL;
}

/* Options of a service; what is left in the text are header rules. */
static void compile_settings(struct text *settings, struct run *run)
{
	run->limits = default_limits;
	run->limits.connect = take_setting(settings, "httpConnect = yes\n");
	run->limits.require_length = take_setting(settings, "httpRequireLength = yes\n");
	if (take_setting(settings, "httpAllow = bare-lf\n"))
		run->limits.allow = H1_ALLOW_BARE_LF;
	if (take_setting(settings, "httpAllow = raw-target\n"))
		run->limits.allow = H1_ALLOW_RAW_TARGET;
	run->limits.keep_client = take_setting(settings, "httpKeepAlive = client\n");
	run->limits.in_flight = run->limits.keep_client ? 1 : H1_PIPELINE_MAX;
	rewrite_compile(&run->rewrite, settings->p);
}

static void run_drivings(struct run *run)
{
	for (int driving = 0; driving < DRIVE_COUNT; driving++) {
		struct text seen = {0};

		run->driving = (enum driving)driving;
		every_cut(sent_length(run->wire), run_case, run, &seen);
		text_free(&seen);
	}
}

static void run_file(const char *path, struct run *run)
{
	struct wire_case wire;

	wire_read(path, &wire);
	run->wire = &wire;
	compile_settings(&wire.settings, run);
	run_drivings(run);
	run->limits.pool = run->limits.keep_client; /* which changes nothing but the connections */
	if (run->limits.pool)
		run_drivings(run);
	wire_free(&wire);
}

static const char *path_of(void **state)
{
	return *state;
}

static void conversation_is_as_written(void **state)
{
	static struct run run;

	run_file(path_of(state), &run);
}

/* Whoever adds an error adds a case. */
static void every_error_has_a_case(void **state)
{
	const glob_t *files = *state;
	bool seen[ERR_COUNT] = {[ERR_TRUNCATED] = true, /* told by the carrier */
				[ERR_REQUEST_TIMEOUT] = true,	 [ERR_PLAIN_HTTP] = true,
				[ERR_BACKEND_CLOSED] = true,	 [ERR_BACKEND_TIMEOUT] = true,
				[ERR_BACKEND_UNAVAILABLE] = true};

	for (size_t i = 0; i < files->gl_pathc; i++) {
		struct wire_case wire;

		wire_read(files->gl_pathv[i], &wire);
		for (size_t n = 0; n < wire.count; n++)
			for (int e = 1; e < ERR_COUNT && wire.section[n].kind == WIRE_ERROR; e++)
				seen[e] |= span_eq(text_span(&wire.section[n].bytes),
						   span_str(errors_info[e].name));
		wire_free(&wire);
	}
	for (int e = 1; e < ERR_MENDED_FIRST; e++)
		if (!seen[e])
			fail_msg("no case for %s", errors_info[e].name);
}

/* Files to run, of the corpus or named on the command line. */
static glob_t find_files(int argc, char **argv)
{
	const char *srcdir = getenv("srcdir");
	char pattern[4096];
	glob_t files = {0};

	snprintf(pattern, sizeof pattern, "%s/tests/wire/*/*.wire", srcdir ? srcdir : ".");
	if (argc < 2)
		glob(pattern, 0, NULL, &files);
	for (int i = 1; i < argc; i++)
		glob(argv[i], i > 1 ? GLOB_APPEND : 0, NULL, &files);
	return files;
}

int main(int argc, char **argv)
{
	glob_t files = find_files(argc, argv);
	struct CMUnitTest *tests = calloc(files.gl_pathc + 1, sizeof *tests);
	size_t count = 0;
	int failed;

	if (!tests || files.gl_pathc == 0) {
		fprintf(stderr, "no *.wire found; set srcdir to the top of the source tree\n");
		return 99;
	}
	for (; count < files.gl_pathc; count++) {
		const char *slash = strrchr(files.gl_pathv[count], '/');

		tests[count] = (struct CMUnitTest){
			.name = slash ? slash + 1 : files.gl_pathv[count],
			.test_func = conversation_is_as_written,
			.initial_state = files.gl_pathv[count],
		};
	}
	if (argc < 2)
		tests[count++] = (struct CMUnitTest){
			.name = "every_error_has_a_case",
			.test_func = every_error_has_a_case,
			.initial_state = &files,
		};
	/* What the macro cmocka_run_group_tests() does for an array whose size it knows. */
	failed = _cmocka_run_group_tests("wire", tests, count, NULL, NULL);
	globfree(&files);
	free(tests);
	return failed;
}
