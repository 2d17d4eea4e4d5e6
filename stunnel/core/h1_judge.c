/* SPDX-License-Identifier: ISC */
#include "h1_judge.h"

#include "h1_target.h"

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
	case HTTP_EXPECT:
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
	if (!h1_head_has(head, HTTP_CONNECTION))
		return 0;
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

/* Leaves one Connection line, of the options that are kept, or adds it. */
static void write_connection(struct h1_head *head, unsigned options)
{
	struct h1_field *first = NULL;

	if (!h1_head_has(head, HTTP_CONNECTION) && options == 0)
		return;
	for (size_t i = 0; i < head->count; i++) {
		struct h1_field *field = &head->field[i];

		if (field->id != HTTP_CONNECTION)
			continue;
		field->dropped = first || options == 0;
		if (!first)
			field->value = connection_values[options];
		first = field;
	}
	if (!first && options != 0)
		head->field[head->count++] = (struct h1_field){
			SPAN("Connection"), connection_values[options], HTTP_CONNECTION, false};
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

	if (!h1_head_has(head, HTTP_UPGRADE))
		return found;
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

/* What is known of a method, bits. */
enum {
	METHOD_IDEMPOTENT = 1, /* RFC 9110 9.2.2 */
	METHOD_CONTENT = 2,    /* every server reads the content */
};

static unsigned properties_of(struct span method)
{
	static const struct {
		struct span name;
		unsigned properties;
	} methods[] = {
		{SPAN_INIT("GET"), METHOD_IDEMPOTENT},
		{SPAN_INIT("HEAD"), METHOD_IDEMPOTENT},
		{SPAN_INIT("OPTIONS"), METHOD_IDEMPOTENT},
		{SPAN_INIT("DELETE"), METHOD_IDEMPOTENT},
		{SPAN_INIT("TRACE"), METHOD_IDEMPOTENT},
		{SPAN_INIT("PUT"), METHOD_IDEMPOTENT | METHOD_CONTENT},
		{SPAN_INIT("POST"), METHOD_CONTENT},
		{SPAN_INIT("PATCH"), METHOD_CONTENT},
		{SPAN_INIT("CONNECT"), METHOD_CONTENT},
	};

	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (span_eq(method, methods[i].name))
			return methods[i].properties;
	return 0;
}

/* RFC 9110 10.1.1: whether `100-continue` is asked for, maybe several times, and only that. */
static bool asks_to_continue(struct span list)
{
	struct span expectation;
	bool any = false;

	while (http_list_next(&list, &expectation)) {
		if (!http_equal(expectation, SPAN("100-continue")))
			return false;
		any = true;
	}
	return any;
}

/*
 * Any other expectation is ours to refuse: some servers answer 417 and read the content as the next
 * request. The one that is known goes on in one line and one spelling, if content is to come:
 * without any, some servers wait for it all the same.
 */
static int judge_expect(struct h1_head *head, bool content)
{
	bool found = false;

	if (!h1_head_has(head, HTTP_EXPECT))
		return 0;
	for (size_t i = 0; i < head->count; i++) {
		struct h1_field *field = &head->field[i];

		if (field->id != HTTP_EXPECT)
			continue;
		if (!asks_to_continue(field->value))
			return -ERR_EXPECTATION;
		field->value = SPAN("100-continue");
		field->dropped = found || !content;
		found = true;
	}
	return 0;
}

/* What the method has to do with the content, for which body->state stands. */
static int judge_content(struct h1_head *head, struct h1_verdict *verdict)
{
	bool content = verdict->body.state != H1_BODY_COMPLETE;
	unsigned properties = properties_of(head->method);

	if (content && span_eq(head->method, SPAN("TRACE")))
		return -ERR_TRACE_CONTENT;
	if (!content && (properties & METHOD_IDEMPOTENT))
		verdict->kind |= H1_KIND_REPEATABLE;
	if (content && !(properties & METHOD_CONTENT))
		verdict->kind |= H1_KIND_LAST;
	return judge_expect(head, content);
}

int h1_judge_values(const struct rewrite *rw, const struct h1_head *head)
{
	for (size_t i = 0; head->controls && i < head->count; i++) {
		const struct h1_field *field = &head->field[i];

		if (!http_all(field->value, HTTP_VALUE) &&
		    (http_frames(field->name) || rewrite_protects(rw, field->name)))
			return -ERR_FIELD_VALUE;
	}
	return 0;
}

/* The options of Connection as they go on, and what they ask for. */
static int judge_connection(const struct rewrite *rw, struct h1_head *head,
			    struct h1_verdict *verdict)
{
	unsigned options;
	int rc = connection_options(rw, head, &options);

	if (rc != 0)
		return rc;
	/* Some servers see `close` only where it stands alone, and read content as a request. */
	if (verdict->kind & (H1_KIND_CONNECT | H1_KIND_LAST))
		options &= ~(unsigned)(OPTION_UPGRADE | OPTION_TE);
	verdict->protocol = judge_upgrade(head, options);
	if (verdict->protocol.len != 0) {
		verdict->kind |= H1_KIND_UPGRADE;
		verdict->kind &= ~(unsigned)H1_KIND_REPEATABLE;
	} else {
		options &= ~(unsigned)OPTION_UPGRADE;
	}
	verdict->last =
		(options & OPTION_CLOSE) || (head->minor == 0 && !(options & OPTION_KEEP_ALIVE));
	if (verdict->kind & H1_KIND_LAST)
		options |= OPTION_CLOSE;
	write_connection(head, options);
	return 0;
}

int h1_judge_request(const struct rewrite *rw, const struct h1_limits *limits, struct h1_head *head,
		     struct h1_verdict *verdict)
{
	int rc = h1_judge_values(rw, head);

	verdict->kind = head->minor == 0 ? H1_KIND_HTTP10 : 0;
	if (span_eq(head->method, SPAN("HEAD")))
		verdict->kind |= H1_KIND_HEAD;
	if (rc == 0 && span_eq(head->method, SPAN("CONNECT"))) {
		verdict->kind |= H1_KIND_CONNECT;
		rc = limits->connect ? 0 : -ERR_CONNECT_REFUSED;
	}
	if (rc == 0)
		rc = h1_target_judge(head);
	if (rc == 0)
		rc = h1_body_of_request(head, &verdict->body);
	if (rc == 0 && limits->require_length && verdict->body.state == H1_BODY_CHUNK_SIZE)
		rc = -ERR_LENGTH_REQUIRED;
	if (rc == 0)
		rc = judge_content(head, verdict);
	if (rc != 0)
		return rc;
	drop_hop_fields(head);
	return judge_connection(rw, head, verdict);
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
