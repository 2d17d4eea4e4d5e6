/* SPDX-License-Identifier: ISC */
#include "h1_target.h"

#include "text.h"

/* Of a port (RFC 3986 3.2.3): no digits, or up to five, and 65535 at most. */
static bool is_port(struct span s)
{
	uint64_t port;

	return s.len == 0 || (s.len <= 5 && text_decimal(s, 65535, &port));
}

/* No bracket or zone inside the brackets; whether an address is valid, the backend judges. */
static bool is_ip_literal(struct span s)
{
	return s.len != 0 && !memchr(s.p, '[', s.len) && !memchr(s.p, ']', s.len) &&
	       !memchr(s.p, '%', s.len);
}

/* A reg-name or IPv4 address, RFC 3986 3.2.2. */
static bool is_name(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '[' || s.p[i] == ']' || s.p[i] == ':')
			return false;
		if (s.p[i] == '%' && (s.len - i < 3 || text_hex_digit(s.p[i + 1]) < 0 ||
				      text_hex_digit(s.p[i + 2]) < 0))
			return false;
	}
	return s.len != 0;
}

/* Cuts uri-host [ ":" port ]; *port is empty where none is told. False for anything else. */
static bool split_host(struct span s, struct span *host, struct span *port)
{
	const char *end = s.len != 0 && s.p[0] == '[' ? memchr(s.p, ']', s.len) : NULL;
	const char *colon = end ? end + 1 : memchr(s.p, ':', s.len);

	*host = *port = s;
	if (!colon || colon == s.p + s.len) {
		span_skip(port, s.len);
		return true;
	}
	host->len = (size_t)(colon - s.p);
	span_skip(port, host->len + 1);
	return *colon == ':';
}

/*
 * uri-host [ ":" port ], RFC 3986 3.2.2: out of a malformed host backends read different names, and
 * route by them. Host may be empty (RFC 9110 7.2).
 */
static bool is_host(struct span s)
{
	struct span host, port;

	if (s.len == 0)
		return true;
	if (!http_all(s, HTTP_HOST) || !split_host(s, &host, &port) || !is_port(port))
		return false;
	if (host.len > 1 && host.p[0] == '[' && host.p[host.len - 1] == ']')
		return is_ip_literal(span_of(host.p + 1, host.len - 2));
	return is_name(host);
}

/* The port of a valid host, or the default one where none is told (RFC 3986 6.2.3). */
static uint64_t port_of(struct span port, uint64_t initial)
{
	uint64_t n;

	return text_decimal(port, 65535, &n) ? n : initial;
}

/* Whether two valid hosts are the same place for a scheme of this default port (RFC 9110 4.2.3). */
static bool same_host(struct span a, struct span b, uint64_t initial)
{
	struct span host_a, port_a, host_b, port_b;

	return split_host(a, &host_a, &port_a) && split_host(b, &host_b, &port_b) &&
	       http_equal(host_a, host_b) && port_of(port_a, initial) == port_of(port_b, initial);
}

/* The schemes of absolute-form targets that are served. */
static const struct scheme {
	struct span prefix;
	uint64_t port;
} schemes[] = {
	{SPAN_INIT("http://"), 80},
	{SPAN_INIT("https://"), 443},
};

/* The authority of an absolute-form target and its scheme; empty for any other target. */
static struct span target_authority(struct span target, const struct scheme **scheme)
{
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
		size_t len = schemes[i].prefix.len;

		if (target.len <= len || !http_equal(span_of(target.p, len), schemes[i].prefix))
			continue;
		*scheme = &schemes[i];
		span_skip(&target, len);
		for (len = 0; len < target.len; len++)
			if (target.p[len] == '/' || target.p[len] == '?')
				break;
		return span_of(target.p, len);
	}
	return span_of(NULL, 0);
}

/* Whether an authority-form target (RFC 9112 3.2.3) has the port that may not be left out. */
static bool has_port(struct span authority)
{
	size_t digits = 0;

	while (digits < authority.len && authority.p[authority.len - 1 - digits] >= '0' &&
	       authority.p[authority.len - 1 - digits] <= '9')
		digits++;
	return digits != 0 && digits + 1 < authority.len &&
	       authority.p[authority.len - 1 - digits] == ':';
}

static int judge_host(const struct h1_head *head, const struct h1_field **host)
{
	*host = NULL;
	for (size_t i = 0; i < head->count; i++) {
		if (head->field[i].id != HTTP_HOST_FIELD)
			continue;
		if (*host)
			return -ERR_HOST_DUPLICATE;
		*host = &head->field[i];
	}
	if (!*host)
		return head->minor == 0 ? 0 : -ERR_HOST_MISSING;
	return is_host((*host)->value) ? 0 : -ERR_HOST_INVALID;
}

/* RFC 9112 3.2.3: the authority alone, letter by letter that of Host. */
static int judge_authority(const struct h1_head *head, const struct h1_field *host)
{
	if (!has_port(head->target) || !is_host(head->target))
		return -ERR_TARGET_FORM;
	return host && !http_equal(host->value, head->target) ? -ERR_HOST_MISMATCH : 0;
}

/* A host in an absolute-form target must be Host's, or backends differ (RFC 9112 3.2.2). */
static int judge_absolute(const struct h1_head *head, const struct h1_field *host)
{
	const struct scheme *scheme = NULL;
	struct span authority = target_authority(head->target, &scheme);

	if (!scheme || authority.len == 0 || !is_host(authority))
		return -ERR_TARGET_FORM;
	return host && !same_host(host->value, authority, scheme->port) ? -ERR_HOST_MISMATCH : 0;
}

int h1_target_judge(const struct h1_head *head)
{
	const struct h1_field *host;
	int rc = judge_host(head, &host);

	if (rc != 0)
		return rc;
	if (span_eq(head->method, SPAN("CONNECT")))
		return judge_authority(head, host);
	if (head->target.p[0] == '/')
		return 0;
	if (span_eq(head->target, SPAN("*")))
		return span_eq(head->method, SPAN("OPTIONS")) ? 0 : -ERR_TARGET_FORM;
	return judge_absolute(head, host);
}
