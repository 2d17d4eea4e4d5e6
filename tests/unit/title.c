/* SPDX-License-Identifier: ISC */
#include "sys/title.h"

#include <fcntl.h>
#include <unistd.h>

#include "harness.h"

/* What ps(1) reads: the command line with NULs between its words and behind them. */
static char shown[4096];

static void read_shown(void)
{
	int fd = open("/proc/self/cmdline", O_RDONLY);
	ssize_t n = read(fd, shown, sizeof shown - 1);

	assert_true(n > 0);
	shown[n] = '\0';
	close(fd);
}

static void a_title_is_shown(void **state)
{
	(void)state;
	title_set("stunnel: worker %d (draining, %d connections)", 12, 3456);
	read_shown();
	assert_string_equal(shown, "stunnel: worker 12 (draining, 3456 connections)");
}

static void nothing_of_a_longer_one_is_left(void **state)
{
	(void)state;
	title_set("a longer title");
	title_set("short");
	read_shown();
	assert_string_equal(shown, "short");
	for (size_t i = strlen("short"); i < strlen("a longer title"); i++)
		assert_int_equal(shown[i], '\0');
}

static void the_environment_stays(void **state)
{
	(void)state;
	title_set("%0*d", 60000, 0);
	assert_string_equal(getenv("TITLE_TEST"), "of the environment");
	title_set("fits");
	assert_string_equal(getenv("TITLE_TEST"), "of the environment");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_title_is_shown),
		cmocka_unit_test(nothing_of_a_longer_one_is_left),
		cmocka_unit_test(the_environment_stays),
	};

	/* Only what the process has begun with lies behind its command line. */
	if (!getenv("TITLE_TEST")) {
		setenv("TITLE_TEST", "of the environment", 1);
		execv("/proc/self/exe", argv);
		return 1;
	}
	title_take(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
