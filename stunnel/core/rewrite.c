/* SPDX-License-Identifier: ISC */
#include "rewrite.h"

#include "trace.h"

#define FIELDS_READ_BY_ALL 32 /* servers are known that stop reading at 64 */

enum rewrite_op {
	REWRITE_NONE = 0,
	REWRITE_DELETE, /* the client's lines go */
	REWRITE_SET,	/* the client's lines go, and ours comes */
	REWRITE_APPEND, /* the client's lines stay, and ours comes behind them; aliases go */
	REWRITE_CHAIN,	/* the client's values and ours become one list */
	REWRITE_STATE,	/* the client's line stays where its trace goes on; aliases go */
	REWRITE_TRUST,	/* as REWRITE_CHAIN from a trusted proxy, else as REWRITE_SET */
};

/* --- compiling -------------------------------------------------------------------------------- */

static struct span rule_name(const struct rewrite *rw, const struct rewrite_rule *rule)
{
	return text_kept(rw->pool.text, rule->name);
}

static uint64_t initial_bit(struct span name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = http_lower(name.p[i]);

		if (c >= 'a' && c <= 'z')
			return UINT64_C(1) << (c - 'a');
		if (c >= '0' && c <= '9')
			return UINT64_C(1) << (26 + c - '0');
	}
	return 0;
}

static void forget_rules(struct rewrite *rw, struct span name)
{
	for (size_t i = 0; i < rw->rule_count; i++)
		if (http_alias(rule_name(rw, &rw->rule[i]), name))
			rw->rule[i].op = REWRITE_NONE;
}

static const char *add_rule(struct rewrite *rw, enum rewrite_op op, struct span name,
			    struct span template)
{
	struct rewrite_rule *rule = &rw->rule[rw->rule_count];
	uint64_t bit = initial_bit(name);
	const char *why;

	if (name.len == 0 || !http_all(name, HTTP_TOKEN) || bit == 0)
		return "The header name is not a token with a letter or digit";
	if (http_frames(name) && !(op == REWRITE_SET && http_field(name) == HTTP_HOST_FIELD))
		return "This header frames or routes the message and cannot be changed by a rule";
	if (op != REWRITE_DELETE && http_alias(name, SPAN("Expect")))
		return "Only a client with content to come can expect something: a rule may delete "
		       "it";
	if (rw->rule_count == REWRITE_RULES_MAX)
		return "This service has too many header rules";
	if (!http_all(template, HTTP_VALUE))
		return "The header value holds a control character";
	*rule = (struct rewrite_rule){.op = (uint8_t)op};
	if (!template_keep(&rw->pool, name, &rule->name))
		return "The header rules of this service are too long";
	why = template_compile(&rw->pool, template, TEMPLATE_IN_HEADER, &rule->template);
	if (!why && http_frames(name) && rule->template.void_without_cert)
		return "Without a client certificate there would be no Host";
	rw->rule_count++;
	if (http_frames(name))
		rw->host_rule = rw->rule_count;
	rw->initials |= bit;
	rw->insertion += name.len + 4 + rule->template.max; /* ": " CRLF; in a list ", " instead */
	return why;
}

static const char *rule_from_line(struct rewrite *rw, enum rewrite_op op, struct span line)
{
	const char *colon = memchr(line.p, ':', line.len);
	struct span name;

	if (!colon)
		return "The value is not 'NAME: TEMPLATE'";
	name = http_trim(span_of(line.p, (size_t)(colon - line.p)));
	span_skip(&line, (size_t)(colon - line.p) + 1);
	if (op == REWRITE_SET)
		forget_rules(rw, name);
	return add_rule(rw, op, name, http_trim(line));
}

/* clang-format off: one row a line, so that it reads as the table that it is */
static const struct mode {
	struct span value;
	enum rewrite_op op;
} modes[] = {
	{SPAN_INIT("append"), REWRITE_APPEND}, {SPAN_INIT("chain"), REWRITE_CHAIN},
	{SPAN_INIT("replace"), REWRITE_SET},   {SPAN_INIT("trusted"), REWRITE_TRUST},
	{SPAN_INIT("no"), REWRITE_NONE},
};

/*
 * Options that are short for a rule: a header, its template, and what `yes` means. For a list,
 * `yes` appends, as proxies expect; a header of a single value never keeps the client's.
 */
static const struct short_form {
	struct span option, header, template;
	enum rewrite_op yes;
} short_forms[] = {
#define FORM(option, header, template, yes)                                    \
	{                                                                      \
		SPAN_INIT(option), SPAN_INIT(header), SPAN_INIT(template), yes \
	}
	FORM("xForwardedFor", "X-Forwarded-For", "%{client_ip}", REWRITE_APPEND),
	FORM("xForwardedProto", "X-Forwarded-Proto", "%{proto}", REWRITE_SET),
	FORM("xForwardedPort", "X-Forwarded-Port", "%{server_port}", REWRITE_SET),
	FORM("xRealIP", "X-Real-IP", "%{client_ip}", REWRITE_SET),
	FORM("forwarded", "Forwarded", "%{forwarded}", REWRITE_APPEND),
	FORM("requestId", "X-Request-ID", "%{request_id}", REWRITE_SET),
#undef FORM
};
/* clang-format on */

static const char *rule_of_form(struct rewrite *rw, const struct short_form *form,
				enum rewrite_op op)
{
	forget_rules(rw, form->header);
	return op == REWRITE_NONE ? NULL : add_rule(rw, op, form->header, form->template);
}

static const char *rule_from_mode(struct rewrite *rw, const struct short_form *form,
				  struct span value)
{
	if (http_equal(value, SPAN("yes")))
		return rule_of_form(rw, form, form->yes);
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
		if (http_equal(value, modes[i].value))
			return rule_of_form(rw, form, modes[i].op);
	return "The argument needs to be either 'yes', 'append', 'chain', 'replace', 'trusted' or "
	       "'no'";
}

/* W3C Trace Context: tracestate belongs to the traceparent that came with it. */
static const char *rule_of_trace(struct rewrite *rw, struct span value)
{
	const struct span parent = SPAN("traceparent"), state = SPAN("tracestate");
	const char *why;

	if (!http_equal(value, SPAN("yes")) && !http_equal(value, SPAN("trusted")) &&
	    !http_equal(value, SPAN("no")))
		return "The argument needs to be either 'yes', 'trusted' or 'no'";
	rw->trace_of_trusted = http_equal(value, SPAN("trusted"));
	forget_rules(rw, parent);
	forget_rules(rw, state);
	if (http_equal(value, SPAN("no")))
		return NULL;
	why = add_rule(rw, REWRITE_SET, parent, SPAN("%{traceparent}"));
	return why ? why : add_rule(rw, REWRITE_STATE, state, span_of(NULL, 0));
}

static const char *apply_option(struct rewrite *rw, struct span option, struct span value)
{
	for (size_t i = 0; i < sizeof short_forms / sizeof short_forms[0]; i++)
		if (http_equal(option, short_forms[i].option))
			return rule_from_mode(rw, &short_forms[i], value);
	if (http_equal(option, SPAN("traceContext")))
		return rule_of_trace(rw, value);
	if (http_equal(option, SPAN("httpSetHeader")))
		return rule_from_line(rw, REWRITE_SET, value);
	if (http_equal(option, SPAN("httpAddHeader")))
		return rule_from_line(rw, REWRITE_APPEND, value);
	if (http_equal(option, SPAN("httpDelHeader"))) {
		forget_rules(rw, value);
		return add_rule(rw, REWRITE_DELETE, value, span_of(NULL, 0));
	}
	return "This is not an option of header rules";
}

int rewrite_option(struct rewrite *rw, struct span option, struct span value, const char **why)
{
	struct rewrite before = *rw;

	*why = apply_option(rw, option, value);
	if (!*why)
		return 0;
	*rw = before;
	return -1;
}

/* --- applying --------------------------------------------------------------------------------- */

bool rewrite_active(const struct rewrite *rw)
{
	for (size_t i = 0; i < rw->rule_count; i++)
		if (rw->rule[i].op != REWRITE_NONE)
			return true;
	return false;
}

bool rewrite_begins_trace(const struct rewrite *rw, const struct facts *facts)
{
	return rw->trace_of_trusted && !facts->client_trusted;
}

size_t rewrite_insertion(const struct rewrite *rw)
{
	/* A field written without white space gains a space, and Connection, which may be added, an
	 * option; a trailer section gains its last chunk's line. */
	return rw->insertion + H1_FIELDS_MAX + SPAN("Connection: close\r\n").len;
}

/*
 * Whether a rule is about a client's field. Backends believe a field about the client's certificate
 * by its name: a rule for Client-Cert is one for all names that begin so, as Client-Cert-Chain.
 */
static bool concerns(const struct rewrite *rw, const struct rewrite_rule *rule, struct span name)
{
	if (rule->op == REWRITE_NONE)
		return false;
	if (http_alias(name, rule_name(rw, rule)))
		return true;
	/* A name as short as `C` must not make Content-Length the rule's. */
	return rule->template.of_cert && !http_frames(name) &&
	       http_alias_begins(name, rule_name(rw, rule));
}

bool rewrite_protects(const struct rewrite *rw, struct span name)
{
	if ((rw->initials & initial_bit(name)) == 0)
		return false;
	for (size_t i = 0; i < rw->rule_count; i++)
		if (concerns(rw, &rw->rule[i], name))
			return true;
	return false;
}

/* What becomes of a client's field. */
enum fate {
	FATE_UNTOUCHED = 0, /* no rule is about it */
	FATE_KEPT,	    /* stands before the lines of ours that have its name */
	FATE_REMOVED,
};

static bool is_ascii(struct span value)
{
	for (size_t i = 0; i < value.len; i++)
		if ((unsigned char)value.p[i] >= 0x7f || (unsigned char)value.p[i] < '\t')
			return false;
	return true;
}

/*
 * Whether a client's value may stand before ours: behind one that is not ASCII a server is known
 * that reads no more, and a quote that is open would take ours into it (RFC 9110 5.3, 5.6.4).
 * Readers differ about a quote behind a backslash.
 */
static bool may_precede(struct span value)
{
	bool quoted = false;

	for (size_t i = 0; i < value.len; i++) {
		if (value.p[i] != '"')
			continue;
		if (i != 0 && value.p[i - 1] == '\\')
			return false;
		quoted = !quoted;
	}
	return !quoted && is_ascii(value);
}

static enum fate fate_of(const struct rewrite *rw, const struct facts *facts,
			 const struct h1_field *field, const struct h1_head *head)
{
	enum fate fate = FATE_UNTOUCHED;

	if ((rw->initials & initial_bit(field->name)) == 0)
		return fate;
	for (size_t i = 0; i < rw->rule_count; i++) {
		const struct rewrite_rule *rule = &rw->rule[i];

		if (!concerns(rw, rule, field->name))
			continue;
		if (rule->op == REWRITE_STATE && http_equal(field->name, rule_name(rw, rule)) &&
		    trace_continued(facts, head).len != 0)
			continue;
		if (rule->op != REWRITE_APPEND || rule->template.of_cert ||
		    !http_equal(field->name, rule_name(rw, rule)) || !may_precede(field->value))
			return FATE_REMOVED;
		fate = FATE_KEPT;
	}
	return fate;
}

/* The values of the client's own lines, each followed by ", ". */
static void put_chain(struct span name, const struct h1_head *head, struct out *out)
{
	for (size_t i = 0; i < head->count; i++) {
		const struct h1_field *field = &head->field[i];

		if (field->dropped || field->value.len == 0 || !http_equal(field->name, name) ||
		    !may_precede(field->value))
			continue;
		out_put(out, field->value);
		out_put(out, SPAN(", "));
	}
}

static void put_rule(const struct rewrite *rw, const struct rewrite_rule *rule,
		     const struct template_source *from, struct out *out)
{
	struct span name = rule_name(rw, rule);
	size_t mark = out_mark(out), value;

	if (rule->op == REWRITE_NONE || rule->op == REWRITE_DELETE || rule->op == REWRITE_STATE)
		return;
	if (rule->template.void_without_cert && !from->facts->client_cert)
		return;
	out_put(out, name);
	out_put(out, SPAN(": "));
	if (rule->op == REWRITE_CHAIN || (rule->op == REWRITE_TRUST && from->facts->client_trusted))
		put_chain(name, from->head, out);
	value = out_mark(out);
	template_put(&rw->pool, &rule->template, from, out);
	/* RFC 8941 3.1: an empty list, as the chain of a leaf alone, has no field line. */
	if (rule->template.void_without_cert && !out->full && out->len == value) {
		out_rollback(out, mark);
		return;
	}
	out_put(out, SPAN("\r\n"));
}

void rewrite_field(struct out *out, struct span name, struct span value)
{
	out_put(out, name);
	out_put(out, SPAN(": "));
	out_put(out, value);
	out_put(out, SPAN("\r\n"));
}

/*
 * A backend believes the host in a target rather than Host (RFC 9112 3.2.2): where a rule sets
 * Host, a target in absolute-form loses its scheme and host.
 */
static void put_target(const struct rewrite *rw, const struct h1_head *head, struct out *out)
{
	struct span rest = head->target;
	const char *colon = memchr(rest.p, ':', rest.len);

	if (rest.p[0] == '/' || !colon || span_eq(head->method, SPAN("CONNECT")) ||
	    rw->host_rule == 0) {
		out_put(out, head->target);
		return;
	}
	span_skip(&rest, (size_t)(colon - rest.p) + 3); /* h1_judge_request() has seen "://" */
	while (rest.len != 0 && rest.p[0] != '/' && rest.p[0] != '?')
		span_skip(&rest, 1);
	if (rest.len == 0 && span_eq(head->method, SPAN("OPTIONS")))
		out_char(out, '*'); /* RFC 9112 3.2.4 */
	else if (rest.len == 0 || rest.p[0] == '?')
		out_char(out, '/');
	out_put(out, rest);
}

/* Host leads, whether it is the client's or ours (RFC 9110 7.2). */
static void put_host(const struct rewrite *rw, const struct template_source *from, struct out *out)
{
	const struct h1_head *head = from->head;

	if (rw->host_rule != 0) {
		put_rule(rw, &rw->rule[rw->host_rule - 1], from, out);
		return;
	}
	for (size_t i = 0; i < head->count; i++) {
		if (head->field[i].id != HTTP_HOST_FIELD)
			continue;
		rewrite_field(out, head->field[i].name, head->field[i].value);
		return;
	}
}

/* What decides where a request ends, and its backend connection. */
static bool is_framing(const struct h1_field *field)
{
	return field->id == HTTP_CONTENT_LENGTH || field->id == HTTP_TRANSFER_ENCODING ||
	       field->id == HTTP_CONNECTION;
}

/* The client's fields that go on, each group in its order. */
struct groups {
	const struct h1_field *kept[H1_FIELDS_MAX + 1]; /* of names that rules append to */
	const struct h1_field *rest[H1_FIELDS_MAX + 1];
	size_t kept_count, rest_count;
};

static void sort_fields(const struct rewrite *rw, const struct template_source *from,
			struct groups *g)
{
	g->kept_count = g->rest_count = 0;
	for (size_t i = 0; i < from->head->count; i++) {
		const struct h1_field *field = &from->head->field[i];
		enum fate fate;

		if (field->dropped || field->id == HTTP_HOST_FIELD)
			continue;
		fate = fate_of(rw, from->facts, field, from->head);
		if (fate == FATE_KEPT)
			g->kept[g->kept_count++] = field;
		else if (fate == FATE_UNTOUCHED)
			g->rest[g->rest_count++] = field;
	}
	/* Whoever sends that many wants ours, which stand behind them, not to be read. */
	if (g->kept_count > FIELDS_READ_BY_ALL)
		g->kept_count = 0;
}

/*
 * Whether a server that stops reading a head may miss what frames it, and take content for the next
 * request: civetweb stops at the 64th field, Poco behind a value that ends in 0xff. ahead: fields
 * that stand before the rest of a request with content.
 */
static bool is_framed_late(const struct groups *g, size_t ahead)
{
	size_t last = g->rest_count;

	while (last != 0 && !is_framing(g->rest[last - 1]))
		last--;
	for (size_t i = 0; i < last; i++)
		if (ahead + i >= FIELDS_READ_BY_ALL || !is_ascii(g->rest[i]->value))
			return true;
	return false;
}

static void put_client_field(const struct h1_field *field, struct out *out)
{
	rewrite_field(out, field->name, field->value);
}

/*
 * Ours stand in front of all that a client chooses: some servers stop reading fields after a number
 * of them, or at a value. A client's lines of the same name come before ours, of which the last is
 * true. What frames comes before the others where it could be missed.
 */
static void put_fields(const struct rewrite *rw, const struct template_source *from,
		       struct out *out)
{
	bool content = h1_head_has(from->head, HTTP_CONTENT_LENGTH) ||
		       h1_head_has(from->head, HTTP_TRANSFER_ENCODING);
	struct groups g;
	bool late;

	sort_fields(rw, from, &g);
	late = content && is_framed_late(&g, g.kept_count + rw->rule_count);
	put_host(rw, from, out);
	for (size_t i = 0; i < g.kept_count; i++)
		put_client_field(g.kept[i], out);
	for (size_t i = 0; i < rw->rule_count; i++)
		if (i + 1 != rw->host_rule)
			put_rule(rw, &rw->rule[i], from, out);
	for (size_t i = 0; late && i < g.rest_count; i++)
		if (is_framing(g.rest[i]))
			put_client_field(g.rest[i], out);
	for (size_t i = 0; i < g.rest_count; i++)
		if (!late || !is_framing(g.rest[i]))
			put_client_field(g.rest[i], out);
}

void rewrite_request(const struct rewrite *rw, const struct facts *facts,
		     const struct h1_head *head, uint64_t number, struct out *out)
{
	const struct template_source from = {facts, head, NULL, number, TEMPLATE_IN_HEADER};

	out_put(out, head->method);
	out_char(out, ' ');
	put_target(rw, head, out);
	out_put(out, head->minor == 0 ? SPAN(" HTTP/1.0\r\n") : SPAN(" HTTP/1.1\r\n"));
	put_fields(rw, &from, out);
	out_put(out, SPAN("\r\n"));
}
