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

/* Where the words end that follow one another from `end` on. */
static char *end_of(char *const *word, char *end)
{
	for (; *word; word++)
		if (*word == end)
			end += strlen(end) + 1;
	return end;
}

/* Copies the environment, so that its memory is free; false without memory for that. */
static bool move_environment(void)
{
	size_t count = 0;
	char **copy;

	while (environ[count])
		count++;
	copy = calloc(count + 1, sizeof *copy);
	for (size_t i = 0; copy && i < count; i++) {
		copy[i] = strdup(environ[i]);
		if (copy[i])
			continue;
		while (i != 0)
			free(copy[--i]);
		free(copy);
		return false;
	}
	if (copy)
		environ = copy;
	return copy != NULL;
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
