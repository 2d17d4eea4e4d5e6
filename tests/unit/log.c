/* SPDX-License-Identifier: ISC */
/* Lines that a process gathers: when they are written, and by whom if it crashes. */
#include "sys/log.h"

#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

static struct log_lines *shared;

/* What stands in the file behind each line's time, id and level. */
static void read_texts(struct text *texts)
{
	FILE *file = fopen(own_file, "r");
	char line[8192];

	assert_non_null(file);
	while (fgets(line, sizeof line, file))
		text_printf(texts, "%s", strstr(line, "]: ") + 3);
	fclose(file);
}

static void assert_file(const char *expected)
{
	struct text texts = {0};

	read_texts(&texts);
	assert_bytes(text_span(&texts), span_str(expected), "the file");
	text_free(&texts);
}

static int open_log(void **state)
{
	struct log_sinks sinks = {.level = LOG_DEBUG, .path = own_file, .overwrite = true};

	(void)state;
	shared = log_lines_new();
	return shared && log_open(&sinks) ? 0 : -1;
}

static int close_log(void **state)
{
	(void)state;
	log_lines_free(shared);
	return 0;
}

static void test_process_that_does_not_gather_writes_at_once(void **state)
{
	(void)state;
	log_main(LOG_DEBUG, "one");
	assert_file("one\n");
}

static void test_lines_wait_for_the_flush(void **state)
{
	(void)state;
	log_gather(shared);
	assert_false(log_gathered());
	log_main(LOG_NOTICE, "one");
	log_line(LOG_DEBUG, "7", LOG_DEBUG, "two");
	assert_file("");
	assert_true(log_gathered());
	log_flush();
	assert_false(log_gathered());
	assert_file("one\ntwo\n");
	log_flush();
	assert_file("one\ntwo\n");
}

static void test_warning_takes_along_what_was_before(void **state)
{
	(void)state;
	log_gather(shared);
	log_main(LOG_NOTICE, "one");
	log_main(LOG_WARNING, "two");
	assert_file("one\ntwo\n");
}

static void test_reopened_file_begins_behind_what_was_gathered(void **state)
{
	(void)state;
	log_gather(shared);
	log_main(LOG_NOTICE, "one");
	assert_true(log_reopen(false));
	assert_file("one\n");
}

static void test_lines_that_have_no_room_do_not_push_others_out(void **state)
{
	char text[LOG_LINE_MAX];
	struct text expected = {0}, texts = {0};

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	log_gather(shared);
	for (int i = 0; i < 200; i++) {
		log_main(LOG_NOTICE, "%d", i);
		log_main(LOG_NOTICE, "%s", text);
		text_printf(&expected, "%d\n%s\n", i, text);
	}
	log_flush();
	read_texts(&texts);
	assert_bytes(text_span(&texts), text_span(&expected), "the file");
	text_free(&texts);
	text_free(&expected);
}

static void test_lines_of_a_crashed_process_are_written_by_the_other(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		log_gather(shared);
		log_main(LOG_NOTICE, "last words");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_file("");
	log_lines_rest(shared);
	assert_file("last words\n");
	log_lines_rest(shared);
	assert_file("last words\n");
}

/* The length stands first, where a process that overwrites its memory has put a number. */
static void test_length_that_cannot_be_is_not_believed(void **state)
{
	(void)state;
	memset(shared, 0xff, sizeof(size_t));
	log_lines_rest(shared);
	assert_file("");
	log_gather(shared);
	log_main(LOG_WARNING, "the next process");
	assert_file("the next process\n");
}

static int settle_and_remove(void **state)
{
	log_settle();
	return remove_own_file(state);
}

#define test(name) cmocka_unit_test_setup_teardown(name, open_log, close_log)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_process_that_does_not_gather_writes_at_once),
		test(test_lines_wait_for_the_flush),
		test(test_warning_takes_along_what_was_before),
		test(test_reopened_file_begins_behind_what_was_gathered),
		test(test_lines_that_have_no_room_do_not_push_others_out),
		test(test_lines_of_a_crashed_process_are_written_by_the_other),
		test(test_length_that_cannot_be_is_not_believed),
	};

	return cmocka_run_group_tests(tests, make_own_file, settle_and_remove);
}
