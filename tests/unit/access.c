/* SPDX-License-Identifier: ISC */
/* Lines of access logs that a worker has left to the master. */
#include "conn/access.h"

#include <string.h>
#include <unistd.h>

#include "harness.h"

static struct access_file file;

static int open_file(void **state)
{
	(void)state;
	file = (struct access_file){.path = own_file, .log = {.fd = -1}};
	return access_share(&file, 1) && access_open(&file, NULL) ? 0 : -1;
}

static int close_file(void **state)
{
	(void)state;
	access_close(&file);
	access_unshare(&file);
	return truncate(own_file, 0);
}

static void assert_file(const char *expected)
{
	char text[100];
	FILE *from = fopen(own_file, "r");
	size_t len = from ? fread(text, 1, sizeof text, from) : 0;

	assert_non_null(from);
	fclose(from);
	assert_bytes(span_of(text, len), span_str(expected), "the file");
}

static void leave(const char *text)
{
	memcpy(file.shared[0].text, text, strlen(text));
	file.shared[0].len = strlen(text);
}

static void test_lines_of_a_worker_that_has_ended_are_written_once(void **state)
{
	(void)state;
	leave("GET /\n");
	access_rest(&file, 0, NULL);
	assert_file("GET /\n");
	access_rest(&file, 0, NULL);
	assert_file("GET /\n");
}

static void test_length_that_cannot_be_is_not_believed(void **state)
{
	(void)state;
	leave("GET /\n");
	file.shared[0].len = SIZE_MAX;
	access_rest(&file, 0, NULL);
	assert_file("");
	leave("the next worker\n");
	access_rest(&file, 0, NULL);
	assert_file("the next worker\n");
}

#define test(name) cmocka_unit_test_setup_teardown(name, open_file, close_file)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_lines_of_a_worker_that_has_ended_are_written_once),
		test(test_length_that_cannot_be_is_not_believed),
	};

	return cmocka_run_group_tests(tests, make_own_file, remove_own_file);
}
