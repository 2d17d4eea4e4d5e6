/* SPDX-License-Identifier: ISC */
#include "answers.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LINE_MAX_LEN 8192

struct reader {
	const char *p, *end;
	bool strict;
};

/* What the fields of one head say. */
struct head {
	int status, minor;
	int lengths, codings;
	bool chunked; /* it is the last coding */
	bool close, keep_alive, logs_in;
	unsigned long long length;
};

static void strict(const struct reader *r, bool ok, const char *what)
{
	if (ok || !r->strict)
		return;
	fprintf(stderr, "AN ANSWER IS WRONG: %s\n", what);
	abort();
}

/* The next line without its end; false if it is not complete. */
static bool next_line(struct reader *r, char *line, size_t *len)
{
	const char *lf = memchr(r->p, '\n', (size_t)(r->end - r->p));

	if (!lf || (size_t)(lf - r->p) >= LINE_MAX_LEN)
		return false;
	*len = (size_t)(lf - r->p);
	strict(r, *len != 0 && lf[-1] == '\r', "a line ends in LF");
	if (*len != 0 && lf[-1] == '\r')
		--*len;
	memcpy(line, r->p, *len);
	line[*len] = '\0';
	strict(r, !memchr(line, '\r', *len) && !memchr(line, '\0', *len), "CR or NUL in a line");
	r->p = lf + 1;
	return true;
}

static bool status_line(struct reader *r, const char *line, struct head *head)
{
	const char *p = line + 8;

	if (strncmp(line, "HTTP/1.", 7) != 0 || !isdigit((unsigned char)line[7]) || *p != ' ')
		return false;
	head->minor = line[7] != '0';
	strict(r, line[7] <= '1' && p[1] != ' ', "a status line");
	while (*p == ' ')
		p++;
	head->status = (int)strtol(p, NULL, 10);
	strict(r, strspn(p, "0123456789") == 3 && p[3] == ' ', "a status");
	return head->status >= 100 && head->status <= 999;
}

static void options(char *list, struct head *head)
{
	for (char *save, *word = strtok_r(list, ", \t\r\n", &save); word;
	     word = strtok_r(NULL, ", \t\r\n", &save)) {
		head->close |= strcasecmp(word, "close") == 0;
		head->keep_alive |= strcasecmp(word, "keep-alive") == 0;
	}
}

bool answers_log_in(bool challenge, const char *name, size_t name_len, const char *value,
		    size_t len)
{
	static const char *const fields[2][2] = {{"authorization", "proxy-authorization"},
						 {"www-authenticate", "proxy-authenticate"}};
	static const char *const schemes[] = {"ntlm", "negotiate", "kerberos", "nego2"};
	bool about = false, found = false;

	for (size_t i = 0; i < 2; i++)
		about |= name_len == strlen(fields[challenge][i]) &&
			 strncasecmp(name, fields[challenge][i], name_len) == 0;
	for (size_t at = 0; at < len; at++)
		for (size_t i = 0; i < 4; i++) {
			size_t n = strlen(schemes[i]);

			found |= n <= len - at && strncasecmp(value + at, schemes[i], n) == 0 &&
				 (at == 0 || !isalnum((unsigned char)value[at - 1])) &&
				 (at + n == len || !isalnum((unsigned char)value[at + n]));
		}
	return about && found;
}

static void coding(struct reader *r, char *list, struct head *head)
{
	for (char *save, *word = strtok_r(list, ", \t\r\n", &save); word;
	     word = strtok_r(NULL, ", \t\r\n", &save)) {
		bool chunked = strcasecmp(word, "chunked") == 0;

		strict(r, strcasecmp(word, "identity") != 0, "identity");
		strict(r, !(chunked && head->chunked), "chunked twice");
		if (strcasecmp(word, "identity") == 0)
			continue;
		head->codings++;
		head->chunked = chunked;
	}
}

/* A field, whose folds were joined by spaces. */
static bool field(struct reader *r, char *line, struct head *head)
{
	char *colon = strchr(line, ':'), *value;
	size_t name;

	if (!colon)
		return false;
	for (name = (size_t)(colon - line); name != 0 && isblank((unsigned char)line[name - 1]);)
		name--;
	strict(r, name == (size_t)(colon - line) && name != 0, "space before a colon");
	for (size_t i = 0; i < name; i++)
		strict(r,
		       isgraph((unsigned char)line[i]) && !strchr("\"(),/:;<=>?@[\\]{}", line[i]),
		       "a name that is no token");
	for (value = colon + 1; isblank((unsigned char)*value);)
		value++;
	line[name] = '\0';
	head->logs_in |= answers_log_in(true, line, name, value, strlen(value));
	if (strcasecmp(line, "Content-Length") == 0) {
		strict(r, head->lengths++ == 0, "two lengths");
		strict(r, strspn(value, "0123456789") == strcspn(value, " \t") && *value != '\0',
		       "a length that is none");
		strict(r, value[0] != '0' || !isdigit((unsigned char)value[1]), "zeros in front");
		head->length = strtoull(value, NULL, 10);
	} else if (strcasecmp(line, "Transfer-Encoding") == 0) {
		strict(r, head->codings == 0, "two lines of codings");
		coding(r, value, head);
	} else if (strcasecmp(line, "Connection") == 0) {
		options(value, head);
	}
	return true;
}

/* 1: a head, 0: it is not complete, -1: it cannot be read. */
static int read_head(struct reader *r, struct head *head)
{
	static char line[LINE_MAX_LEN], joined[4 * LINE_MAX_LEN];
	size_t len, held = 0;

	*head = (struct head){0};
	do
		if (!next_line(r, line, &len))
			return 0;
	while (len == 0 && !r->strict);
	if (!status_line(r, line, head))
		return -1;
	for (joined[0] = '\0'; next_line(r, line, &len);) {
		bool folded = line[0] == ' ' || line[0] == '\t';

		strict(r, !folded, "a folded line");
		if (folded && joined[0] != '\0') {
			if (held + len >= sizeof joined)
				return -1;
			memcpy(joined + held, line, len + 1);
			held += len;
			continue;
		}
		if (joined[0] != '\0' && !field(r, joined, head))
			return -1;
		if (len == 0)
			return 1;
		memcpy(joined, line, len + 1);
		held = len;
	}
	return 0;
}

static void content(struct answers *all, struct answers_one *one, const char *p, size_t n)
{
	if (n > sizeof all->content - all->len)
		abort();
	memcpy(all->content + all->len, p, n);
	all->len += n;
	one->len += n;
}

/* Takes up to n bytes; whether all of them were there. */
static bool take(struct reader *r, unsigned long long n, struct answers *all,
		 struct answers_one *one)
{
	size_t there = (size_t)(r->end - r->p);

	if (n < there)
		there = (size_t)n;
	content(all, one, r->p, there);
	r->p += there;
	return there == n;
}

static bool chunks(struct reader *r, struct answers *all, struct answers_one *one)
{
	static char line[LINE_MAX_LEN];
	size_t len;

	for (;;) {
		unsigned long long size;
		char *end;

		if (!next_line(r, line, &len))
			return false;
		size = strtoull(line, &end, 16);
		strict(r, isxdigit((unsigned char)line[0]) && *end == '\0' && len <= 13, "a size");
		strict(r, line[0] != '0' || len == 1, "a size with zeros");
		if (size == 0)
			break;
		if (!take(r, size, all, one) || !next_line(r, line, &len))
			return false;
		strict(r, len == 0, "content behind a chunk");
	}
	while (next_line(r, line, &len))
		if (len == 0)
			return true;
	return false;
}

static void read_content(struct reader *r, const struct answers_method *method,
			 const struct head *head, struct answers *all, struct answers_one *one)
{
	one->tunnel = head->status == 101 ||
		      (method->connect && head->status >= 200 && head->status < 300);
	one->complete = true;
	strict(r, !head->codings || !head->lengths, "a length and a coding");
	strict(r, head->minor == 1 || !head->codings, "a coding in HTTP/1.0");
	if (one->tunnel) {
		take(r, (size_t)(r->end - r->p), all, one);
	} else if (head->status == 204) {
		strict(r, !head->codings && !head->lengths, "a 204 that tells of content");
	} else if (method->head || head->status == 304) {
		return;
	} else if (head->codings && head->chunked) {
		strict(r, !method->old, "chunks for a client that knows none");
		one->complete = chunks(r, all, one);
	} else if (head->codings || !head->lengths) {
		one->until_close = true;
		one->complete = false;
		strict(r, head->close, "until close, and no word of it");
		take(r, (size_t)(r->end - r->p), all, one);
	} else {
		one->complete = take(r, head->length, all, one);
	}
}

static void read_all(struct reader *r, const struct answers_method *method, size_t count,
		     struct answers *all)
{
	struct head head;
	bool last = false;
	int rc = 1;

	all->count = all->len = 0;
	while (all->count < count && r->p < r->end) {
		struct answers_one *one = &all->one[all->count];

		rc = read_head(r, &head);
		strict(r, rc > 0, "a head that is cut or no head");
		if (rc <= 0)
			break;
		strict(r, !last, "an answer behind the last one");
		if (head.status < 200 && head.status != 101) {
			strict(r, !head.lengths && !head.codings, "an interim answer with content");
			continue;
		}
		*one = (struct answers_one){.status = head.status, .content = all->len};
		one->close = head.close;
		one->old = head.minor == 0;
		one->logs_in = head.logs_in;
		strict(r, !(head.close && head.keep_alive), "close and keep-alive");
		all->count++;
		read_content(r, &method[all->count - 1], &head, all, one);
		last = r->strict && head.close;
		if (one->tunnel || !one->complete)
			break;
	}
	all->rest = (size_t)(r->end - r->p);
	strict(r, r->p == r->end, "bytes that answer nothing");
}

void answers_lenient(const char *p, size_t len, const struct answers_method *method, size_t count,
		     struct answers *all)
{
	struct reader r = {p, p + len, false};

	read_all(&r, method, count, all);
}

void answers_strict(const char *p, size_t len, const struct answers_method *method, size_t count,
		    struct answers *all)
{
	struct reader r = {p, p + len, true};

	read_all(&r, method, count, all);
}
