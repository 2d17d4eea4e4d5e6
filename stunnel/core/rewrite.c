/* SPDX-License-Identifier: ISC */
#include "rewrite.h"

enum rewrite_op {
	REWRITE_NONE = 0,
	REWRITE_DELETE, /* the client's lines go */
	REWRITE_SET,	/* they go, and ours comes */
	REWRITE_APPEND, /* they stay, and ours comes last; aliases go */
	REWRITE_CHAIN,	/* their values and ours become one list */
	REWRITE_TRUST,	/* as CHAIN from a trusted proxy, else as SET */
};

enum variable {
	VAR_LITERAL = 0,
	VAR_CLIENT_IP,
	VAR_CLIENT_PORT,
	VAR_SERVER_IP,
	VAR_SERVER_PORT,
	VAR_SNI,
	VAR_ALPN,
	VAR_TLS_VERSION,
	VAR_TLS_CIPHER,
	VAR_SESSION_REUSED,
	VAR_REQUEST_ID,
	VAR_FORWARDED,
	VAR_COUNT,
};

/* for=NODE;by=NODE;host="HOST";proto=https, RFC 7239: a node is quoted and in brackets at most. */
#define FORWARDED_HOST_MAX 261 /* a name and a port; a longer one is left out */
#define FORWARDED_MAX (2 * (FACTS_IP_TEXT_MAX + 4) + FORWARDED_HOST_MAX + 2 + 27)

/* What the peer chose can hold bytes that are percent-encoded: three for one. */
static const struct variable_row {
	struct span name;
	uint16_t max;
} variables[VAR_COUNT] = {
	[VAR_CLIENT_IP] = {{"client_ip", 9}, FACTS_IP_TEXT_MAX},
	[VAR_CLIENT_PORT] = {{"client_port", 11}, 5},
	[VAR_SERVER_IP] = {{"server_ip", 9}, FACTS_IP_TEXT_MAX},
	[VAR_SERVER_PORT] = {{"server_port", 11}, 5},
	[VAR_SNI] = {{"sni", 3}, 3 * FACTS_NAME_MAX},
	[VAR_ALPN] = {{"alpn", 4}, 3 * FACTS_ALPN_MAX},
	[VAR_TLS_VERSION] = {{"tls_version", 11}, FACTS_TLS_MAX},
	[VAR_TLS_CIPHER] = {{"tls_cipher", 10}, FACTS_TLS_MAX},
	[VAR_SESSION_REUSED] = {{"session_reused", 14}, 1},
	[VAR_REQUEST_ID] = {{"request_id", 10}, FACTS_ID_MAX + 17},
	[VAR_FORWARDED] = {{"forwarded", 9}, FORWARDED_MAX},
};

/* --- compiling -------------------------------------------------------------------------------- */

static struct span rule_name(const struct rewrite *rw, const struct rewrite_rule *rule)
{
	return span_of(rw->text + rule->name_at, rule->name_len);
}

/* Appends to the text; false if it is full. */
static bool add_text(struct rewrite *rw, struct span s, uint16_t *at)
{
	if (s.len > REWRITE_TEXT_MAX - (size_t)rw->text_len)
		return false;
	*at = rw->text_len;
	if (s.len != 0)
		memcpy(rw->text + rw->text_len, s.p, s.len);
	rw->text_len = (uint16_t)(rw->text_len + s.len);
	return true;
}

static const char *add_part(struct rewrite *rw, struct rewrite_rule *rule, enum variable variable,
			    struct span literal)
{
	struct rewrite_part *part = &rw->part[rw->part_count];

	if (rw->part_count == REWRITE_PARTS_MAX)
		return "The templates of this service have too many parts";
	*part = (struct rewrite_part){(uint8_t)variable, 0, (uint16_t)literal.len};
	if (!add_text(rw, literal, &part->at))
		return "The header rules of this service are too long";
	rw->part_count++;
	rule->part_count++;
	rw->insertion += literal.len + variables[variable].max;
	return NULL;
}

/* %{name} at the front of *s; the variable, or VAR_LITERAL if there is no such one. */
static enum variable take_variable(struct span *s)
{
	const char *end = memchr(s->p, '}', s->len);
	struct span name;

	if (s->len < 2 || s->p[1] != '{' || !end)
		return VAR_LITERAL;
	name = span_of(s->p + 2, (size_t)(end - s->p) - 2);
	for (int i = VAR_LITERAL + 1; i < VAR_COUNT; i++) {
		if (!span_eq(name, variables[i].name))
			continue;
		span_skip(s, name.len + 3);
		return (enum variable)i;
	}
	return VAR_LITERAL;
}

/* The template's parts, added to the rule; NULL or what is wrong. */
static const char *add_template(struct rewrite *rw, struct rewrite_rule *rule, struct span s)
{
	const char *why = NULL;

	if (!http_all(s, HTTP_VALUE))
		return "The header value holds a control character";
	while (s.len != 0 && !why) {
		const char *percent = memchr(s.p, '%', s.len);
		size_t len = percent ? (size_t)(percent - s.p) : s.len;
		enum variable variable;

		if (len != 0) {
			why = add_part(rw, rule, VAR_LITERAL, span_of(s.p, len));
			span_skip(&s, len);
		} else if (s.len > 1 && s.p[1] == '%') {
			why = add_part(rw, rule, VAR_LITERAL, SPAN("%"));
			span_skip(&s, 2);
		} else {
			variable = take_variable(&s);
			if (variable == VAR_LITERAL)
				return "Unknown template variable (a plain % is written %%)";
			why = add_part(rw, rule, variable, span_of(NULL, 0));
		}
	}
	return why;
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

	if (name.len == 0 || !http_all(name, HTTP_TOKEN) || bit == 0)
		return "The header name is not a token with a letter or digit";
	if (http_frames(name) && !(op == REWRITE_SET && http_field(name) == HTTP_HOST_FIELD))
		return "This header frames or routes the message and cannot be changed by a rule";
	if (rw->rule_count == REWRITE_RULES_MAX)
		return "This service has too many header rules";
	*rule = (struct rewrite_rule){(uint8_t)op, 0, (uint16_t)name.len, rw->part_count, 0};
	if (!add_text(rw, name, &rule->name_at))
		return "The header rules of this service are too long";
	rw->rule_count++;
	rw->initials |= bit;
	rw->insertion += name.len + 4; /* ": " CRLF; in a list ", " instead */
	return add_template(rw, rule, template);
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

static const struct mode {
	struct span value;
	enum rewrite_op op;
} modes[] = {
	{{"append", 6}, REWRITE_APPEND}, {{"chain", 5}, REWRITE_CHAIN},
	{{"replace", 7}, REWRITE_SET},	 {{"trusted", 7}, REWRITE_TRUST},
	{{"no", 2}, REWRITE_NONE},
};

/*
 * Options that are short for a rule: a header, what stands in it, and what `yes` means. Lists grow
 * at their end, as proxies expect; of a single value the client's own is never kept.
 */
static const struct short_form {
	struct span option, header, template;
	enum rewrite_op yes;
} short_forms[] = {
	{{"xForwardedFor", 13}, {"X-Forwarded-For", 15}, {"%{client_ip}", 12}, REWRITE_APPEND},
	{{"xForwardedProto", 15}, {"X-Forwarded-Proto", 17}, {"https", 5}, REWRITE_SET},
	{{"xForwardedPort", 14}, {"X-Forwarded-Port", 16}, {"%{server_port}", 14}, REWRITE_SET},
	{{"xRealIP", 7}, {"X-Real-IP", 9}, {"%{client_ip}", 12}, REWRITE_SET},
	{{"forwarded", 9}, {"Forwarded", 9}, {"%{forwarded}", 12}, REWRITE_APPEND},
	{{"requestId", 9}, {"X-Request-ID", 12}, {"%{request_id}", 13}, REWRITE_SET},
};

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

static const char *apply_option(struct rewrite *rw, struct span option, struct span value)
{
	for (size_t i = 0; i < sizeof short_forms / sizeof short_forms[0]; i++)
		if (http_equal(option, short_forms[i].option))
			return rule_from_mode(rw, &short_forms[i], value);
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

size_t rewrite_insertion(const struct rewrite *rw)
{
	/* A field written without white space gains a space, Connection at most two; a trailer
	 * section gains its last chunk's line. */
	return rw->insertion + H1_FIELDS_MAX + 8;
}

bool rewrite_protects(const struct rewrite *rw, struct span name)
{
	if ((rw->initials & initial_bit(name)) == 0)
		return false;
	for (size_t i = 0; i < rw->rule_count; i++)
		if (rw->rule[i].op != REWRITE_NONE && http_alias(name, rule_name(rw, &rw->rule[i])))
			return true;
	return false;
}

/* Whether a rule removes a client's field. */
static bool removes(const struct rewrite *rw, struct span name)
{
	if ((rw->initials & initial_bit(name)) == 0)
		return false;
	for (size_t i = 0; i < rw->rule_count; i++) {
		const struct rewrite_rule *rule = &rw->rule[i];

		if (rule->op == REWRITE_NONE || !http_alias(name, rule_name(rw, rule)))
			continue;
		if (rule->op != REWRITE_APPEND || !http_equal(name, rule_name(rw, rule)))
			return true;
	}
	return false;
}

/* What a peer sent to us may hold anything: a control would break the line. */
static void put_escaped(struct out *out, struct span s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || c == 0x7f) {
			out_char(out, '%');
			out_char(out, hex[c >> 4]);
			out_char(out, hex[c & 15]);
		} else {
			out_char(out, (char)c);
		}
	}
}

/* What templates are filled from. */
struct source {
	const struct facts *facts;
	const struct h1_head *head;
	uint64_t number;
};

static void put_ip(const struct facts_addr *addr, struct out *out)
{
	if (addr->family == FACTS_NONE)
		out_put(out, SPAN("unknown"));
	else
		out_put(out, span_of(addr->text, addr->text_len));
}

/* A node of RFC 7239 6: IPv6 in brackets, and so quoted. */
static void put_node(const struct facts_addr *addr, struct out *out)
{
	bool v6 = addr->family == FACTS_IPV6;

	if (v6)
		out_put(out, SPAN("\"["));
	put_ip(addr, out);
	if (v6)
		out_put(out, SPAN("]\""));
}

static void put_forwarded(const struct source *from, struct out *out)
{
	out_put(out, SPAN("for="));
	put_node(&from->facts->client, out);
	out_put(out, SPAN(";by="));
	put_node(&from->facts->server, out);
	for (size_t i = 0; i < from->head->count; i++) {
		const struct h1_field *field = &from->head->field[i];

		/* Its value was judged: no character of it needs an escape between quotes. */
		if (field->id != HTTP_HOST_FIELD || field->value.len == 0 ||
		    field->value.len > FORWARDED_HOST_MAX)
			continue;
		out_put(out, SPAN(";host=\""));
		out_put(out, field->value);
		out_char(out, '"');
	}
	out_put(out, SPAN(";proto=https"));
}

static void put_request_id(const struct source *from, struct out *out)
{
	out_put(out, from->facts->conn_id);
	out_char(out, '-');
	out_hex(out, from->number);
}

static void put_variable(enum variable variable, const struct source *from, struct out *out)
{
	const struct facts *facts = from->facts;

	switch (variable) {
	case VAR_CLIENT_IP:
		put_ip(&facts->client, out);
		break;
	case VAR_CLIENT_PORT:
		out_decimal(out, facts->client.port);
		break;
	case VAR_SERVER_IP:
		put_ip(&facts->server, out);
		break;
	case VAR_SERVER_PORT:
		out_decimal(out, facts->server.port);
		break;
	case VAR_SNI:
		put_escaped(out, facts->sni);
		break;
	case VAR_ALPN:
		put_escaped(out, facts->alpn);
		break;
	case VAR_TLS_VERSION:
		out_put(out, facts->tls_version);
		break;
	case VAR_TLS_CIPHER:
		out_put(out, facts->tls_cipher);
		break;
	case VAR_SESSION_REUSED:
		out_char(out, facts->session_reused ? '1' : '0');
		break;
	case VAR_REQUEST_ID:
		put_request_id(from, out);
		break;
	case VAR_FORWARDED:
		put_forwarded(from, out);
		break;
	case VAR_LITERAL:
	case VAR_COUNT:
		break;
	}
}

static void put_template(const struct rewrite *rw, const struct rewrite_rule *rule,
			 const struct source *from, struct out *out)
{
	for (size_t i = 0; i < rule->part_count; i++) {
		const struct rewrite_part *part = &rw->part[rule->part_first + i];

		if (part->variable == VAR_LITERAL)
			out_put(out, span_of(rw->text + part->at, part->len));
		else
			put_variable((enum variable)part->variable, from, out);
	}
}

/* The values of the client's own lines, each followed by ", ". */
static void put_chain(struct span name, const struct h1_head *head, struct out *out)
{
	for (size_t i = 0; i < head->count; i++) {
		const struct h1_field *field = &head->field[i];

		if (field->dropped || field->value.len == 0 || !http_equal(field->name, name))
			continue;
		out_put(out, field->value);
		out_put(out, SPAN(", "));
	}
}

static void put_rule(const struct rewrite *rw, const struct rewrite_rule *rule,
		     const struct source *from, struct out *out)
{
	struct span name = rule_name(rw, rule);

	if (rule->op == REWRITE_NONE || rule->op == REWRITE_DELETE)
		return;
	out_put(out, name);
	out_put(out, SPAN(": "));
	if (rule->op == REWRITE_CHAIN || (rule->op == REWRITE_TRUST && from->facts->client_trusted))
		put_chain(name, from->head, out);
	put_template(rw, rule, from, out);
	out_put(out, SPAN("\r\n"));
}

void rewrite_field(struct out *out, struct span name, struct span value)
{
	out_put(out, name);
	out_put(out, SPAN(": "));
	out_put(out, value);
	out_put(out, SPAN("\r\n"));
}

void rewrite_request(const struct rewrite *rw, const struct facts *facts,
		     const struct h1_head *head, uint64_t number, struct out *out)
{
	const struct source from = {facts, head, number};

	out_put(out, head->method);
	out_char(out, ' ');
	out_put(out, head->target);
	out_put(out, head->minor == 0 ? SPAN(" HTTP/1.0\r\n") : SPAN(" HTTP/1.1\r\n"));
	for (size_t i = 0; i < head->count; i++)
		if (!head->field[i].dropped && !removes(rw, head->field[i].name))
			rewrite_field(out, head->field[i].name, head->field[i].value);
	for (size_t i = 0; i < rw->rule_count; i++)
		put_rule(rw, &rw->rule[i], &from, out);
	out_put(out, SPAN("\r\n"));
}
