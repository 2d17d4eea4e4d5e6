/* SPDX-License-Identifier: ISC */
#include "strict.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What is known of the request that is being read. */
struct request {
	enum strict_mode mode;
	const char *ip;
	bool connect;
	int minor;
	int hosts, lengths, codings, ours, forwarded;
	bool ours_is_last;		 /* of the lines named X-Forwarded-For */
	bool others;			 /* a field beside it and Host has come */
	bool close, keep_alive, upgrade; /* as Connection says */
	bool expects;
	bool trace, contentless; /* methods: content is forbidden, or is the last of a connection */
	int upgrades;
	unsigned long long length;
};

struct reader {
	const char *p, *end;
};

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "OUTPUT IS WRONG: %s\n", what);
	abort();
}

static bool token_char(int c)
{
	return isalnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is(const char *p, size_t len, const char *word)
{
	return len == strlen(word) && strncasecmp(p, word, len) == 0;
}

static bool starts(const char *p, size_t len, const char *word)
{
	return len >= strlen(word) && strncasecmp(p, word, strlen(word)) == 0;
}

/* Letters and digits only, in lower case. */
static void fold(const char *p, size_t len, char *folded, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n + 1 < size; i++)
		if (isalnum((unsigned char)p[i]))
			folded[n++] = (char)tolower((unsigned char)p[i]);
	folded[n] = '\0';
}

/* A line without its CRLF; false at the end of the input. */
static bool line(struct reader *r, const char **p, size_t *len)
{
	*p = r->p;
	for (; r->p < r->end && *r->p != '\r'; r->p++)
		check(*r->p != '\n' && *r->p != '\0', "LF or NUL within a line");
	if (r->end - r->p < 2)
		return false;
	check(r->p[1] == '\n', "CR without LF");
	*len = (size_t)(r->p - *p);
	r->p += 2;
	return true;
}

static bool is_method(const char *p, const char *end, const char *name)
{
	return (size_t)(end - p) == strlen(name) && memcmp(p, name, strlen(name)) == 0;
}

static bool target_char(const struct request *q, char c)
{
	return (c & 0x80) ? q->mode == STRICT_RAW : c > ' ' && c != 0x7f;
}

static void request_line(struct request *q, const char *p, size_t len)
{
	const char *end = p + len, *begin = p;

	check(p < end && token_char((unsigned char)*p), "no method");
	while (p < end && token_char((unsigned char)*p))
		p++;
	q->connect = is_method(begin, p, "CONNECT");
	q->trace = is_method(begin, p, "TRACE");
	q->contentless = is_method(begin, p, "GET") || is_method(begin, p, "HEAD") ||
			 is_method(begin, p, "OPTIONS") || is_method(begin, p, "DELETE");
	check(p < end && *p++ == ' ', "no space behind the method");
	check(p < end && target_char(q, *p), "no target");
	while (p < end && target_char(q, *p))
		p++;
	check(end - p == 9 && memcmp(p, " HTTP/1.", 8) == 0, "no version");
	check(p[8] == '0' || p[8] == '1', "another version");
	q->minor = p[8] - '0';
}

static void connection(struct request *q, const char *p, size_t len)
{
	static const char *const values[] = {
		"close",
		"keep-alive",
		"TE",
		"close, TE",
		"keep-alive, TE",
		"Upgrade",
		"Upgrade, TE",
		"close, Upgrade",
		"close, Upgrade, TE",
		"keep-alive, Upgrade",
		"keep-alive, Upgrade, TE",
	};

	check(!q->close && !q->keep_alive && !q->upgrade, "Connection twice");
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		if (!is(p, len, values[i]))
			continue;
		q->close = values[i][0] == 'c';
		q->keep_alive = values[i][0] == 'k';
		q->upgrade = strstr(values[i], "Upgrade") != NULL;
		return;
	}
	check(false, "Connection with other options");
}

static void forwarded_for(struct request *q, const char *name, const char *value, size_t len)
{
	size_t ip_len = strlen(q->ip);
	const char *tail = value + len - ip_len;

	if (q->mode == STRICT_ANY)
		return;
	check(is(name, 15, "X-Forwarded-For") && name[15] == ':', "an alias of X-Forwarded-For");
	check(!q->others, "X-Forwarded-For behind what the client chose");
	q->forwarded++;
	q->ours_is_last = len >= ip_len && memcmp(tail, q->ip, ip_len) == 0 &&
			  (len == ip_len || (q->mode == STRICT_CHAIN && len > ip_len + 2 &&
					     memcmp(tail - 2, ", ", 2) == 0));
	q->ours += q->ours_is_last;
}

static void length(struct request *q, const char *p, size_t len)
{
	check(++q->lengths == 1, "Content-Length twice");
	check(len >= 1 && len <= 19 && (len == 1 || p[0] != '0'), "Content-Length not canonical");
	q->length = 0;
	for (size_t i = 0; i < len; i++) {
		check(isdigit((unsigned char)p[i]), "Content-Length is no number");
		q->length = q->length * 10 + (unsigned)(p[i] - '0');
	}
	check(q->length <= 0x7fffffffffffffffULL, "Content-Length too large");
}

/* Of fields that frame, route or are ours: what others hold is data. */
static void no_controls(const char *p, size_t len)
{
	for (const char *c = p; c < p + len; c++)
		check((*c & 0x80) || *c == '\t' || (*c >= ' ' && *c != 0x7f), "control in a value");
}

static void known_field(struct request *q, const char *name, size_t name_len, const char *value,
			size_t len)
{
	static const char *const framing[] = {"host",	    "contentlength", "transferencoding",
					      "connection", "upgrade",	     "te",
					      "trailer"};
	char folded[32];

	fold(name, name_len, folded, sizeof folded);
	for (size_t i = 0; i < sizeof framing / sizeof framing[0]; i++)
		if (strcmp(folded, framing[i]) == 0)
			no_controls(value, len);
	if (strcmp(folded, "xforwardedfor") == 0) {
		if (q->mode != STRICT_ANY)
			no_controls(value, len);
		forwarded_for(q, name, value, len);
	} else if (strcmp(folded, "host") == 0) {
		check(is(name, name_len, "Host") && ++q->hosts == 1, "Host twice or an alias");
		check(!q->others && q->forwarded == 0, "Host does not lead");
	} else if (strcmp(folded, "contentlength") == 0) {
		check(is(name, name_len, "Content-Length"), "an alias of Content-Length");
		length(q, value, len);
	} else if (strcmp(folded, "transferencoding") == 0) {
		check(is(name, name_len, "Transfer-Encoding"), "an alias of Transfer-Encoding");
		check(++q->codings == 1 && len == 7 && memcmp(value, "chunked", 7) == 0,
		      "Transfer-Encoding");
	} else if (strcmp(folded, "connection") == 0) {
		check(is(name, name_len, "Connection"), "an alias of Connection");
		connection(q, value, len);
	} else if (strcmp(folded, "upgrade") == 0) {
		check(is(name, name_len, "Upgrade") && ++q->upgrades == 1, "Upgrade twice");
		check(len != 0 && !memchr(value, ',', len), "several protocols");
		check(!starts(value, len, "h2") && !starts(value, len, "http"), "h2c");
	} else if (is(name, name_len, "Expect")) {
		check(!q->expects && len == 12 && memcmp(value, "100-continue", 12) == 0, "Expect");
		q->expects = true;
	} else {
		check(strcmp(folded, "http2settings") != 0, "HTTP2-Settings");
	}
}

/* NAME ": " VALUE, nothing else. */
static void field(struct request *q, const char *p, size_t len)
{
	const char *name = p, *end = p + len;
	size_t name_len;

	while (p < end && token_char((unsigned char)*p))
		p++;
	name_len = (size_t)(p - name);
	check(name_len != 0 && end - p >= 2 && p[0] == ':' && p[1] == ' ', "not NAME: VALUE");
	p += 2;
	known_field(q, name, name_len, p, (size_t)(end - p));
	q->others |= !is(name, name_len, "Host") && !is(name, name_len, "X-Forwarded-For");
}

static bool has_content(const struct request *q)
{
	return q->codings != 0 || q->length != 0;
}

static void head_is_sound(const struct request *q)
{
	check(q->minor == 0 || q->hosts == 1, "no Host");
	check(q->lengths + q->codings <= 1, "length and coding");
	check(q->minor == 1 || q->codings == 0, "coding in HTTP/1.0");
	check(q->upgrade == (q->upgrades != 0), "Upgrade without its option, or the other way");
	check(q->minor == 1 || !q->upgrade, "Upgrade in HTTP/1.0");
	check(!has_content(q) || !q->trace, "TRACE with content");
	check(!has_content(q) || !q->contentless || q->close, "content that may not be read");
	check(has_content(q) || !q->expects, "Expect without content");
	if (q->mode == STRICT_ANY)
		return;
	check(q->ours_is_last, "X-Forwarded-For is not ours, or ours is not the last");
	check(q->mode == STRICT_APPEND || (q->ours == 1 && q->forwarded == 1),
	      "more than one X-Forwarded-For");
}

static void head(struct reader *r, struct request *q)
{
	const char *p;
	size_t len;

	check(line(r, &p, &len), "the request line is not complete");
	request_line(q, p, len);
	for (;;) {
		check(line(r, &p, &len), "a head is not complete");
		if (len == 0)
			break;
		field(q, p, len);
	}
	head_is_sound(q);
}

/* False if the input ends before. */
static bool skip(struct reader *r, unsigned long long n)
{
	if ((unsigned long long)(r->end - r->p) < n) {
		r->p = r->end;
		return false;
	}
	r->p += n;
	return true;
}

static bool trailers(struct reader *r, const struct request *q)
{
	static const char *const forbidden[] = {"xforwardedfor", "host",
						"contentlength", "connection",
						"authorization", "transferencoding",
						"upgrade",	 "te",
						"trailer"};
	const char *p;
	char folded[32];
	size_t len;

	for (;;) {
		struct request nothing = {.mode = STRICT_ANY, .ip = ""};

		check(line(r, &p, &len), "trailers are not complete");
		if (len == 0)
			return true;
		field(&nothing, p, len);
		fold(p, (size_t)((const char *)memchr(p, ':', len) - p), folded, sizeof folded);
		for (size_t i = q->mode == STRICT_ANY; i < sizeof forbidden / sizeof forbidden[0];
		     i++)
			check(strcmp(folded, forbidden[i]) != 0, "a trailer that must not be");
	}
}

static bool chunks(struct reader *r, const struct request *q)
{
	for (;;) {
		unsigned long long size = 0;
		const char *p;
		size_t len;

		if (r->p == r->end)
			return false;
		check(line(r, &p, &len), "a chunk line is not complete");
		check(len >= 1 && len <= 13 && (p[0] != '0' || len == 1), "a chunk size");
		for (size_t i = 0; i < len; i++) {
			check(isdigit((unsigned char)p[i]) || (p[i] >= 'a' && p[i] <= 'f'),
			      "a chunk size is not in lower-case hexadecimal");
			size = size * 16 + (unsigned)(isdigit((unsigned char)p[i])
							      ? p[i] - '0'
							      : p[i] - 'a' + 10);
		}
		if (size == 0)
			return trailers(r, q);
		if (!skip(r, size) || r->p == r->end)
			return false;
		check(r->end - r->p >= 2 && r->p[0] == '\r' && r->p[1] == '\n', "a chunk's end");
		r->p += 2;
	}
}

size_t strict_head(const char *p, size_t len, enum strict_mode mode, const char *ip)
{
	struct reader r = {p, p + len};
	struct request q = {.mode = mode, .ip = ip};

	head(&r, &q);
	return (size_t)(r.p - p);
}

struct strict_read strict_requests(const char *p, size_t len, enum strict_mode mode, const char *ip,
				   bool tunnel)
{
	struct reader r = {p, p + len};
	struct strict_read read = {0, true};
	bool last = false, asked = false;

	while (r.p < r.end) {
		struct request q = {.mode = mode, .ip = ip};

		check(!last, "a request behind the last one");
		head(&r, &q);
		last = q.close || (q.minor == 0 && !q.keep_alive);
		read.requests++;
		read.complete = q.codings ? chunks(&r, &q) : skip(&r, q.length);
		check(read.complete || (r.p == r.end && !tunnel), "incomplete before a tunnel");
		asked = q.connect || q.upgrade;
	}
	check(!tunnel || asked, "a tunnel that the last request did not ask for");
	return read;
}
