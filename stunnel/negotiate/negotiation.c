/* SPDX-License-Identifier: ISC */
#include "negotiate/negotiation.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#define HOST_MAX 255 /* bytes of a name, RFC 1035 2.3.4; what SOCKS can say */

static_assert(HOST_MAX + sizeof ":65535" <= sizeof((struct negotiation){0}.goal),
	      "a goal has room");

static void trace(struct negotiation *n, const char *arrow, struct span line)
{
	char text[512];

	snprintf(text, sizeof text, " %s %.*s", arrow, n->secret ? 3 : (int)line.len,
		 n->secret ? "***" : line.p);
	n->say(n->owner, LOG_DEBUG, text);
}

struct negotiation *negotiation_open(const struct negotiator *who,
				     const struct negotiation_options *options, const char *target,
				     void (*say)(void *owner, int level, const char *text),
				     void *owner)
{
	struct negotiation *n = calloc(1, sizeof *n);

	if (!n)
		return NULL;
	n->who = who;
	n->options = options;
	snprintf(n->target, sizeof n->target, "%s", target);
	n->say = say;
	n->owner = owner;
	for (int side = 0; side < 2; side++)
		n->out[side] = out_of(n->bytes[side], sizeof n->bytes[side]);
	n->state = who->begin ? who->begin(n) : 0;
	return n;
}

void negotiation_close(struct negotiation *n)
{
	if (!n)
		return;
	explicit_bzero(n, sizeof *n);
	free(n);
}

enum negotiation_result negotiation_result(const struct negotiation *n)
{
	return n->state < 0 ? (enum negotiation_result)n->state : NEGOTIATION_GOES_ON;
}

/* Gives a whole unit to its state. */
static enum negotiation_result follow(struct negotiation *n, struct span unit)
{
	const struct negotiation_state *now = negotiation_now(n);

	n->len = n->need = 0;
	n->secret = false;
	n->state = now->take(n, unit);
	if (n->state >= 0 && (n->out[0].full || n->out[1].full))
		return (enum negotiation_result)(n->state = negotiation_fail(n, "Line too long"));
	return negotiation_result(n);
}

/* Counts a byte of the side that is to speak; false: it has said more than it may. */
static bool count(struct negotiation *n)
{
	enum negotiation_side from = negotiation_now(n)->from;
	unsigned most = from == NEGOTIATION_FRONT ? NEGOTIATION_FRONT_MAX : NEGOTIATION_BACK_MAX;

	if (n->taken[from]++ < most)
		return true;
	n->state = negotiation_fail(n, "protocol = %s: the %s says more than %u bytes",
				    n->who->protocol,
				    from == NEGOTIATION_FRONT ? "client" : "server", most);
	return false;
}

enum negotiation_result negotiation_take(struct negotiation *n, char byte, bool *whole)
{
	size_t bytes = n->need != 0 ? n->need : negotiation_now(n)->bytes;
	bool line = bytes == 0;

	*whole = false;
	if (!count(n))
		return NEGOTIATION_FAILED;
	if (line && byte == '\r')
		return NEGOTIATION_GOES_ON;
	if (!line || (byte != '\n' && byte != '\0')) {
		if (n->len == sizeof n->unit)
			n->state = negotiation_fail(n, "fd_getline: Line too long");
		else
			n->unit[n->len++] = byte;
		if (line || n->len < bytes)
			return negotiation_result(n);
	}
	*whole = true;
	if (line)
		trace(n, "<-", span_of(n->unit, n->len));
	return follow(n, span_of(n->unit, n->len));
}

enum negotiation_result negotiation_heard(struct negotiation *n, bool something)
{
	return follow(n, something ? span_of(n->unit, 0) : span_of(NULL, 0));
}

enum negotiation_result negotiation_found(struct negotiation *n, const struct facts_addr *found,
					  size_t count, const char *why)
{
	enum negotiation_result result;

	if (count == 0)
		negotiation_log(n, LOG_ERR, "%s", why);
	n->found = found;
	n->found_count = count;
	result = follow(n, span_of(n->unit, 0));
	n->found = NULL;
	n->found_count = 0;
	return result;
}

void negotiation_refuse(struct negotiation *n, const char *why)
{
	out_reset(&n->out[NEGOTIATION_FRONT]);
	out_reset(&n->out[NEGOTIATION_BACK]);
	n->state = negotiation_fail(n, "%s", why);
}

void negotiation_put(struct negotiation *n, enum negotiation_side to, struct span bytes)
{
	out_put(&n->out[to], bytes);
}

void negotiation_say(struct negotiation *n, enum negotiation_side to, const char *format, ...)
{
	struct out *out = &n->out[to];
	size_t room = out_room(out);
	va_list ap;
	int len;

	va_start(ap, format);
	len = vsnprintf(out->p + out->len, room, format, ap);
	va_end(ap);
	if (len < 0 || (size_t)len + 2 > room) {
		out->full = true;
		return;
	}
	trace(n, "->", span_of(out->p + out->len, (size_t)len));
	out->len += (size_t)len;
	out_put(out, SPAN("\r\n"));
}

void negotiation_need(struct negotiation *n, size_t bytes)
{
	n->need = bytes;
}

void negotiation_log(struct negotiation *n, int level, const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	for (char *p = text; *p; p++) /* names are whatever the peer says */
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '.';
	n->say(n->owner, level, text);
}

/* Whether a host can be called so; a path, above all, would be the name of a Unix socket. */
static bool may_be_host(struct span host)
{
	static const struct span chars = SPAN("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					      "0123456789-._:");

	for (size_t i = 0; i < host.len; i++)
		if (!memchr(chars.p, host.p[i], chars.len))
			return false;
	return host.len != 0 && host.len <= HOST_MAX;
}

void negotiation_seek(struct negotiation *n, struct span host, unsigned port)
{
	n->goal[0] = '\0';
	if (may_be_host(host))
		snprintf(n->goal, sizeof n->goal, "%.*s:%u", (int)host.len, host.p, port);
}

int negotiation_fail(struct negotiation *n, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(n->why, sizeof n->why, format, ap);
	va_end(ap);
	return NEGOTIATION_FAILED;
}

bool negotiation_begins(struct span line, const char *beginning)
{
	size_t len = strlen(beginning);

	return line.len >= len && strncasecmp(line.p, beginning, len) == 0;
}

bool negotiation_base64(struct span bytes, char *text, size_t cap)
{
	static const char digit[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	if ((bytes.len + 2) / 3 * 4 >= cap)
		return false;
	for (size_t i = 0; i < bytes.len; i += 3) {
		unsigned long group = 0;

		for (size_t k = 0; k < 3; k++)
			group = group << 8 |
				(i + k < bytes.len ? (unsigned char)bytes.p[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			*text++ = i + k <= bytes.len ? digit[group >> (18 - 6 * k) & 63] : '=';
	}
	*text = '\0';
	return true;
}
