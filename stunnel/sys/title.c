/* SPDX-License-Identifier: ISC */
#include "sys/title.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *area; /* one piece: the words of argv, and those of the environment behind them */
static size_t area_len;

/* Read by nobody but who looks for leaks, after setenv() has left it: else it would be left out. */
static char **volatile moved;

/* Where the words end that follow one another from `end` on. */
static char *end_of(char *const *word, char *end)
{
	for (; *word; word++)
		if (*word == end)
			end += strlen(end) + 1;
	return end;
}

/* Copies the environment into one piece, so that its memory is free; false without memory for that.
 */
static bool move_environment(void)
{
	size_t count = 0, bytes = 0;
	char **copy, *text;

	for (; environ[count]; count++)
		bytes += strlen(environ[count]) + 1;
	copy = malloc((count + 1) * sizeof *copy + bytes);
	if (!copy)
		return false;
	text = (char *)(copy + count + 1);
	for (size_t i = 0; i < count; i++) {
		size_t size = strlen(environ[i]) + 1;

		copy[i] = memcpy(text, environ[i], size);
		text += size;
	}
	copy[count] = NULL;
	environ = moved = copy;
	return true;
}

/* The kernel shows what stands behind the command line if that has lost the NUL at its end. */
void title_take(int argc, char **argv)
{
	char *args = argc > 0 ? end_of(argv, argv[0]) : NULL, *end;

	if (!args)
		return;
	end = end_of(environ, args);
	area = argv[0];
	area_len = (size_t)((move_environment() ? end : args) - area);
}

void title_set(const char *format, ...)
{
	va_list ap;
	int n;

	if (area_len == 0)
		return;
	va_start(ap, format);
	n = vsnprintf(area, area_len, format, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < area_len)
		memset(area + n, 0, area_len - (size_t)n);
}
