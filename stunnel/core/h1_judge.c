/* SPDX-License-Identifier: ISC */
#include "h1_judge.h"

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

/*
 * uri-host [ ":" port ], RFC 3986 3.2.2: out of a malformed host backends read different names, and
 * route by them. Host may be empty (RFC 9110 7.2).
 */
static bool is_host(struct span s)
{
	const char *end = s.len != 0 && s.p[0] == '[' ? memchr(s.p, ']', s.len) : NULL;
	struct span host = s, port = {0};

	if (!http_all(s, HTTP_HOST))
		return false;
	if (s.len == 0)
		return true;
	if (end)
		host.len = (size_t)(end - s.p) + 1;
	else if (memchr(s.p, ':', s.len))
		host.len = (size_t)((const char *)memchr(s.p, ':', s.len) - s.p);
	if (host.len < s.len) {
		if (s.p[host.len] != ':')
			return false;
		port = span_of(s.p + host.len + 1, s.len - host.len - 1);
	}
	if (!is_port(port))
		return false;
	return end ? is_ip_literal(span_of(s.p + 1, host.len - 2)) : is_name(host);
}

/* The authority of an absolute-form target of http or https; empty for any other target. */
static struct span target_authority(struct span target)
{
	static const struct span schemes[] = {SPAN_INIT("http://"), SPAN_INIT("https://")};

	for (size_t i = 0; i < 2; i++) {
		size_t len = schemes[i].len;

		if (target.len <= len || !http_equal(span_of(target.p, len), schemes[i]))
			continue;
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

/* The target's form (RFC 9112 3.2); a host in the target must be Host's, or backends differ. */
static int judge_target(const struct h1_head *head, const struct h1_field *host, bool connect)
{
	struct span authority = head->target;

	if (connect && !has_port(authority))
		return -ERR_TARGET_FORM;
	if (!connect && head->target.p[0] == '/')
		return 0;
	if (!connect && span_eq(head->target, SPAN("*")))
		return span_eq(head->method, SPAN("OPTIONS")) ? 0 : -ERR_TARGET_FORM;
	if (!connect)
		authority = target_authority(head->target);
	if (authority.len == 0 || !is_host(authority))
		return -ERR_TARGET_FORM;
	if (host && !http_equal(host->value, authority))
		return -ERR_HOST_MISMATCH;
	return 0;
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

/* The options of Connection that are kept, as bits and as the field's value. */
enum {
	OPTION_CLOSE = 1,
	OPTION_KEEP_ALIVE = 2,
	OPTION_TE = 4,
	OPTION_UPGRADE = 8,
};

/* Values of Connection by its OPTION_ bits; close beats keep-alive. */
static const struct span connection_values[16] = {
	SPAN_INIT(""),
	SPAN_INIT("close"),
	SPAN_INIT("keep-alive"),
	SPAN_INIT("close"),
	SPAN_INIT("TE"),
	SPAN_INIT("close, TE"),
	SPAN_INIT("keep-alive, TE"),
	SPAN_INIT("close, TE"),
	SPAN_INIT("Upgrade"),
	SPAN_INIT("close, Upgrade"),
	SPAN_INIT("keep-alive, Upgrade"),
	SPAN_INIT("close, Upgrade"),
	SPAN_INIT("Upgrade, TE"),
	SPAN_INIT("close, Upgrade, TE"),
	SPAN_INIT("keep-alive, Upgrade, TE"),
	SPAN_INIT("close, Upgrade, TE"),
};

static void drop_fields(struct h1_head *head, struct span name)
{
	for (size_t i = 0; i < head->count; i++)
		if (http_equal(head->field[i].name, name))
			head->field[i].dropped = true;
}

/*
 * Judges one option of Connection. An intermediary removes the field that an option names (RFC 9110
 * 7.6.1): a client must not thereby remove what we add, nor what frames the message.
 */
static int judge_option(const struct rewrite *rw, struct h1_head *head, struct span option,
			unsigned *options)
{
	if (http_equal(option, SPAN("close"))) {
		*options |= OPTION_CLOSE;
		return 0;
	}
	if (http_equal(option, SPAN("keep-alive"))) {
		*options |= OPTION_KEEP_ALIVE;
		return 0;
	}
	switch (http_field(option)) {
	case HTTP_HOST_FIELD:
	case HTTP_CONTENT_LENGTH:
	case HTTP_TRANSFER_ENCODING:
		return -ERR_CONNECTION_OPTION;
	case HTTP_TE:
		*options |= OPTION_TE;
		return 0;
	case HTTP_UPGRADE:
		*options |= OPTION_UPGRADE;
		return 0;
	case HTTP_CONNECTION:
	case HTTP_HTTP2_SETTINGS:
		return 0;
	case HTTP_OTHER:
	case HTTP_TRAILER:
		break;
	}
	if (!rewrite_protects(rw, option))
		drop_fields(head, option);
	return 0;
}

/* Judges the options of all Connection lines, and collects the OPTION_ bits. */
static int connection_options(const struct rewrite *rw, struct h1_head *head, unsigned *options)
{
	*options = 0;
	for (size_t i = 0; i < head->count; i++) {
		struct span list = head->field[i].value, option;

		if (head->field[i].id != HTTP_CONNECTION)
			continue;
		while (http_list_next(&list, &option)) {
			int rc = judge_option(rw, head, option, options);

			if (rc != 0)
				return rc;
		}
	}
	return 0;
}

/* Leaves one Connection line, of the options that are kept. */
static void write_connection(struct h1_head *head, unsigned options)
{
	struct h1_field *first = NULL;

	for (size_t i = 0; i < head->count; i++) {
		struct h1_field *field = &head->field[i];

		if (field->id != HTTP_CONNECTION)
			continue;
		field->dropped = first || options == 0;
		if (!first)
			field->value = connection_values[options];
		first = field;
	}
}

/*
 * Whether a protocol may be spoken unseen. HTTP/2 may not (h2c, h2c-14, HTTP/2.0), nor TLS, in
 * which HTTP goes on (RFC 2817 3.3): their requests would pass without our headers.
 */
static bool may_switch_to(struct span protocol)
{
	static const struct span http[] = {SPAN_INIT("h2"), SPAN_INIT("http"), SPAN_INIT("tls")};
	const char *slash = memchr(protocol.p, '/', protocol.len);
	struct span name = span_of(protocol.p, slash ? (size_t)(slash - protocol.p) : protocol.len);
	struct span version = span_of(name.p + name.len, protocol.len - name.len);

	if (slash)
		span_skip(&version, 1);
	/* RFC 9110 7.8: protocol-name [ "/" protocol-version ], both tokens. */
	if (name.len == 0 || protocol.len > H1_PROTOCOL_MAX || !http_all(name, HTTP_TOKEN) ||
	    !http_all(version, HTTP_TOKEN) || (slash && version.len == 0))
		return false;
	for (size_t i = 0; i < sizeof http / sizeof http[0]; i++)
		if (name.len >= http[i].len && http_equal(span_of(name.p, http[i].len), http[i]))
			return false;
	return true;
}

/* The first protocol of an Upgrade field that may be switched to, or an empty one. */
static struct span upgrade_protocol(struct span list)
{
	struct span protocol;

	while (http_list_next(&list, &protocol))
		if (may_switch_to(protocol))
			return protocol;
	return span_of(NULL, 0);
}

/*
 * RFC 9110 7.8: Upgrade counts in HTTP/1.1 and if Connection names it. Only the client's first
 * choice among its protocols is forwarded. Returns that protocol, or an empty span.
 */
static struct span judge_upgrade(struct h1_head *head, unsigned options)
{
	bool wanted = head->minor == 1 && (options & OPTION_UPGRADE);
	struct span found = {0};

	for (size_t i = 0; i < head->count; i++) {
		struct h1_field *field = &head->field[i];
		struct span protocol;

		if (field->id != HTTP_UPGRADE)
			continue;
		protocol = upgrade_protocol(field->value);
		field->dropped = !wanted || found.len != 0 || protocol.len == 0;
		if (field->dropped)
			continue;
		field->value = protocol;
		found = protocol;
	}
	return found;
}

/* Drops aliases of framing fields, as Content_Length: no honest client sends them. */
static void drop_hop_fields(struct h1_head *head)
{
	for (size_t i = 0; i < head->count; i++) {
		struct h1_field *field = &head->field[i];

		if (field->id == HTTP_HTTP2_SETTINGS ||
		    (field->id == HTTP_OTHER && http_frames(field->name)))
			field->dropped = true;
	}
}

static bool is_idempotent(struct span method)
{
	static const struct span methods[] = {SPAN_INIT("GET"),	    SPAN_INIT("HEAD"),
					      SPAN_INIT("OPTIONS"), SPAN_INIT("DELETE"),
					      SPAN_INIT("PUT"),	    SPAN_INIT("TRACE")};

	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (span_eq(method, methods[i]))
			return true;
	return false;
}

int h1_judge_request(const struct rewrite *rw, struct h1_head *head, bool connect,
		     struct h1_verdict *verdict)
{
	const struct h1_field *host;
	unsigned options;
	int rc;

	verdict->kind = head->minor == 0 ? H1_KIND_HTTP10 : 0;
	if (span_eq(head->method, SPAN("HEAD")))
		verdict->kind |= H1_KIND_HEAD;
	if (span_eq(head->method, SPAN("CONNECT"))) {
		if (!connect)
			return -ERR_CONNECT_REFUSED;
		verdict->kind |= H1_KIND_CONNECT;
	}
	rc = judge_host(head, &host);
	if (rc != 0)
		return rc;
	rc = judge_target(head, host, verdict->kind & H1_KIND_CONNECT);
	if (rc != 0)
		return rc;
	rc = h1_body_of_request(head, &verdict->body);
	if (rc != 0)
		return rc;
	drop_hop_fields(head);
	rc = connection_options(rw, head, &options);
	if (rc != 0)
		return rc;
	if (verdict->kind & H1_KIND_CONNECT)
		options &= ~(unsigned)OPTION_UPGRADE;
	verdict->protocol = judge_upgrade(head, options);
	if (verdict->protocol.len != 0)
		verdict->kind |= H1_KIND_UPGRADE;
	else
		options &= ~(unsigned)OPTION_UPGRADE;
	if (verdict->body.state == H1_BODY_COMPLETE && is_idempotent(head->method) &&
	    !(verdict->kind & H1_KIND_UPGRADE))
		verdict->kind |= H1_KIND_REPEATABLE;
	write_connection(head, options);
	verdict->last =
		(options & OPTION_CLOSE) || (head->minor == 0 && !(options & OPTION_KEEP_ALIVE));
	return 0;
}

/*
 * Fields that RFC 9110 6.5.1 forbids in trailers, beside those that frame or route: a backend that
 * merges trailers into the head would let them modify or authenticate the request.
 */
static const struct span head_only[] = {
	SPAN_INIT("Authorization"), SPAN_INIT("Proxy-Authorization"),
	SPAN_INIT("Cookie"),	    SPAN_INIT("Expect"),
	SPAN_INIT("Content-Type"),  SPAN_INIT("Content-Encoding"),
	SPAN_INIT("Content-Range"), SPAN_INIT("Range"),
	SPAN_INIT("Cache-Control"), SPAN_INIT("Max-Forwards"),
	SPAN_INIT("Pragma"),	    SPAN_INIT("If-Match"),
	SPAN_INIT("If-None-Match"), SPAN_INIT("If-Modified-Since"),
	SPAN_INIT("If-Range"),	    SPAN_INIT("If-Unmodified-Since"),
};

bool h1_judge_trailer(const struct rewrite *rw, const struct h1_field *field)
{
	for (size_t i = 0; i < sizeof head_only / sizeof head_only[0]; i++)
		if (http_alias(field->name, head_only[i]))
			return false;
	return !http_frames(field->name) && !rewrite_protects(rw, field->name);
}
