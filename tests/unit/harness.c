/* SPDX-License-Identifier: ISC */
#include "harness.h"

#include <ctype.h>
#include <sys/mman.h>
#include <unistd.h>

void text_add(struct text *t, struct span s)
{
	if (t->len + s.len + 1 > t->cap) {
		t->cap = 2 * (t->len + s.len + 1);
		t->p = realloc(t->p, t->cap);
		assert_non_null(t->p);
	}
	if (s.len != 0)
		memcpy(t->p + t->len, s.p, s.len);
	t->len += s.len;
	t->p[t->len] = '\0';
}

void text_printf(struct text *t, const char *format, ...)
{
	char line[4096];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	assert_in_range(n, 0, sizeof line - 1);
	text_add(t, span_of(line, (size_t)n));
}

void text_take(struct text *t, size_t n)
{
	assert_true(n <= t->len);
	if (n == 0)
		return;
	memmove(t->p, t->p + n, t->len - n);
	t->len -= n;
}

void text_free(struct text *t)
{
	free(t->p);
	*t = (struct text){0};
}

static void print_bytes(const char *label, struct span s)
{
	struct text line = {0};

	for (size_t i = 0; i < s.len && i < 3000; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '\n')
			text_printf(&line, "\\n\n    ");
		else if (c == '\r')
			text_printf(&line, "\\r");
		else if (isprint(c))
			text_printf(&line, "%c", c);
		else
			text_printf(&line, "\\x%02x", c);
	}
	print_error("%s, %zu bytes:\n    %s\n", label, s.len, line.p ? line.p : "");
	text_free(&line);
}

void assert_bytes(struct span actual, struct span expected, const char *what)
{
	if (span_eq(actual, expected))
		return;
	print_error("%s\n", what);
	print_bytes("  expected", expected);
	print_bytes("  actual", actual);
	fail();
}

char own_file[] = "/tmp/unit-XXXXXX";

int make_own_file(void **state)
{
	int fd = mkstemp(own_file);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

int remove_own_file(void **state)
{
	(void)state;
	return unlink(own_file);
}

struct guard guard_new(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct guard g = {NULL, (size + page - 1) / page * page};
	char *p = mmap(NULL, g.size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(mprotect(p + g.size, page, PROT_NONE), 0);
	g.end = p + g.size;
	return g;
}

struct span guard_place(struct guard *g, struct span s)
{
	assert_true(s.len <= g->size);
	if (s.len != 0)
		memcpy(g->end - s.len, s.p, s.len);
	return span_of(g->end - s.len, s.len);
}

size_t cut_end(struct cut cut, size_t at, size_t len)
{
	if (cut.bytes)
		return at + 1 < len ? at + 1 : len;
	return at < cut.split && cut.split < len ? cut.split : len;
}

static void run_again(struct cut cut, run_cut *run, void *arg, const struct text *first)
{
	struct text again = {0};
	char what[80];

	run(cut, &again, arg);
	if (cut.bytes)
		snprintf(what, sizeof what, "byte by byte differs from whole");
	else
		snprintf(what, sizeof what, "split at %zu differs from whole", cut.split);
	assert_bytes(text_span(&again), text_span(first), what);
	text_free(&again);
}

void every_cut(size_t len, run_cut *run, void *arg, struct text *seen)
{
	size_t stride = len > 4096 ? len / 1024 : 1;

	run((struct cut){0}, seen, arg);
	run_again((struct cut){.bytes = true}, run, arg, seen);
	for (size_t split = 1; split < len; split += stride)
		run_again((struct cut){.split = split}, run, arg, seen);
}

void offer_pieces(struct span input, struct cut cut, offer_piece *offer, void *arg)
{
	static struct guard guard;
	size_t taken = 0, at = 0;

	if (!guard.end)
		guard = guard_new(1 << 18);
	do {
		struct span in;
		long n;

		at = cut_end(cut, at, input.len);
		in = guard_place(&guard, span_of(input.p + taken, at - taken));
		n = offer(in, arg);
		if (n < 0)
			return;
		assert_true((size_t)n <= in.len);
		taken += (size_t)n;
	} while (at < input.len);
}
