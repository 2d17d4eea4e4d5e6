/* SPDX-License-Identifier: ISC */
#include "template.h"

#include "http.h"
#include "trace.h"

/* for=NODE;by=NODE;host="HOST";proto=https, RFC 7239: a node is quoted and in brackets at most. */
#define FORWARDED_HOST_MAX 261 /* a name and a port; a longer one is left out */
#define FORWARDED_MAX (2 * (FACTS_IP_TEXT_MAX + 4) + FORWARDED_HOST_MAX + 2 + 27)

/* --- values that a peer chose -------------------------------------------------------- */

static void put_hex_byte(struct out *out, struct span prefix, unsigned char c)
{
	out_put(out, prefix);
	text_put_byte(out, c, true);
}

/* A control would end the field line, and `"` or `\` a quoted string around the value. */
static void put_in_header(struct out *out, unsigned char c)
{
	if (c < 0x20 || c == 0x7f || c == '"' || c == '\\')
		put_hex_byte(out, SPAN("%"), c);
	else
		out_char(out, (char)c);
}

/*
 * A distinguished name has its quotes and backslashes escaped by a backslash (RFC 4514 2.4), as a
 * quoted string does.
 */
static void put_dn_in_header(struct out *out, unsigned char c)
{
	if (c < 0x20 || c == 0x7f)
		put_hex_byte(out, SPAN("%"), c);
	else
		out_char(out, (char)c);
}

/* Log readers split lines at quotes: those in a value must be escaped. */
static void put_in_log(struct out *out, unsigned char c)
{
	if (c < 0x20 || c >= 0x7f) {
		put_hex_byte(out, SPAN("\\x"), c);
		return;
	}
	if (c == '"' || c == '\\')
		out_char(out, '\\');
	out_char(out, (char)c);
}

/* RFC 8259 7. Bytes that need not be UTF-8 are taken for Latin-1. */
static void put_in_json(struct out *out, unsigned char c)
{
	if (c < 0x20 || c >= 0x7f) {
		put_hex_byte(out, SPAN("\\u00"), c);
		return;
	}
	if (c == '"' || c == '\\')
		out_char(out, '\\');
	out_char(out, (char)c);
}

static void put_bytes_as(void (*in_header)(struct out *, unsigned char), struct span s,
			 enum template_place place, struct out *out)
{
	void (*put)(struct out *, unsigned char) = place == TEMPLATE_IN_HEADER ? in_header
						   : place == TEMPLATE_IN_JSON ? put_in_json
									       : put_in_log;

	if (s.len == 0 && place == TEMPLATE_IN_LOG)
		out_char(out, '-');
	for (size_t i = 0; i < s.len; i++)
		put(out, (unsigned char)s.p[i]);
}

static void put_value(struct span s, enum template_place place, struct out *out)
{
	put_bytes_as(put_in_header, s, place, out);
}

/* As put_value(), of what is one word in a log line: a space would make two words of it. */
static void put_word(struct span s, enum template_place place, struct out *out)
{
	if (place != TEMPLATE_IN_LOG || !memchr(s.p ? s.p : "", ' ', s.len)) {
		put_value(s, place, out);
		return;
	}
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] == ' ')
			out_put(out, SPAN("\\x20"));
		else
			put_in_log(out, (unsigned char)s.p[i]);
}

static void put_encoded(struct span s, struct span kept, struct out *out)
{
	for (size_t i = 0; i < s.len; i++)
		if (http_is(s.p[i], HTTP_ALNUM) || memchr(kept.p, s.p[i], kept.len))
			out_char(out, s.p[i]);
		else
			put_hex_byte(out, SPAN("%"), (unsigned char)s.p[i]);
}

/* All but unreserved characters (RFC 3986 2.3) encoded, as in nginx's $ssl_client_escaped_cert. */
static void put_cert_pem(const struct template_source *from, struct out *out)
{
	if (from->facts->client_cert)
		put_encoded(from->facts->client_cert->pem, SPAN("-._~"), out);
}

/*
 * OpenSSL takes any bytes for a server name. Bytes that no host name has (RFC 6066 3; some have an
 * underscore) could forge what the template says around the name, as `; role=admin`.
 */
static void put_sni(const struct template_source *from, struct out *out)
{
	if (from->facts->sni.len == 0)
		put_value(from->facts->sni, from->place, out);
	else
		put_encoded(from->facts->sni, SPAN("-._"), out);
}

/* --- values of ours ------------------------------------------------------------------ */

static void put_ip(const struct facts_addr *addr, struct out *out)
{
	if (addr->family == FACTS_NONE)
		out_put(out, SPAN("unknown"));
	else
		out_put(out, span_of(addr->text, addr->text_len));
}

/* A node of RFC 7239 6: IPv6 is in brackets, which have to be quoted. */
static void put_node(const struct facts_addr *addr, struct out *out)
{
	bool v6 = addr->family == FACTS_IPV6;

	if (v6)
		out_put(out, SPAN("\"["));
	put_ip(addr, out);
	if (v6)
		out_put(out, SPAN("]\""));
}

static void put_client_ip(const struct template_source *from, struct out *out)
{
	put_ip(&from->facts->client, out);
}

static void put_client_port(const struct template_source *from, struct out *out)
{
	out_decimal(out, from->facts->client.port);
}

static void put_peer_ip(const struct template_source *from, struct out *out)
{
	put_ip(&from->facts->peer, out);
}

static void put_server_ip(const struct template_source *from, struct out *out)
{
	put_ip(&from->facts->server, out);
}

static void put_server_port(const struct template_source *from, struct out *out)
{
	out_decimal(out, from->facts->server.port);
}

static void put_session_reused(const struct template_source *from, struct out *out)
{
	out_char(out, from->facts->session_reused ? '1' : '0');
}

static void put_proto(const struct template_source *from, struct out *out)
{
	out_put(out, from->facts->plain ? SPAN("http") : SPAN("https"));
}

static void put_forwarded(const struct template_source *from, struct out *out)
{
	out_put(out, SPAN("for="));
	put_node(&from->facts->client, out);
	out_put(out, SPAN(";by="));
	put_node(&from->facts->server, out);
	for (size_t i = 0; i < from->head->count; i++) {
		const struct h1_field *field = &from->head->field[i];

		/* A judged Host has no character that needs an escape between quotes. */
		if (field->id != HTTP_HOST_FIELD || field->value.len == 0 ||
		    field->value.len > FORWARDED_HOST_MAX)
			continue;
		out_put(out, SPAN(";host=\""));
		out_put(out, field->value);
		out_char(out, '"');
	}
	out_put(out, SPAN(";proto="));
	put_proto(from, out);
}

static void put_request_id(const struct template_source *from, struct out *out)
{
	out_put(out, from->facts->conn_id);
	out_char(out, '-');
	out_hex(out, from->number);
}

static void put_traceparent(const struct template_source *from, struct out *out)
{
	trace_put(from->facts, from->head, from->number, out);
}

static void put_trace_id(const struct template_source *from, struct out *out)
{
	if (from->exchange)
		out_put(out, from->exchange->trace_id);
	else
		trace_put_id(from->facts, from->head, from->number, out);
}

/* Seconds with all their microseconds: 0.000123 */
static void put_seconds(uint64_t microseconds, struct out *out)
{
	out_decimal(out, microseconds / 1000000);
	out_char(out, '.');
	for (unsigned unit = 100000; unit != 0; unit /= 10)
		out_char(out, (char)('0' + microseconds / unit % 10));
}

static void put_first_byte(const struct template_source *from, struct out *out)
{
	put_seconds(from->exchange->first_byte, out);
}

static void put_total(const struct template_source *from, struct out *out)
{
	put_seconds(from->exchange->total, out);
}

static void put_connect(const struct template_source *from, struct out *out)
{
	put_seconds(from->exchange->connect, out);
}

static void put_bytes(const struct template_source *from, struct out *out)
{
	out_decimal(out, from->exchange->bytes);
}

/* Log readers expect three digits, 000 without a status, which in JSON is no number. */
static void put_status(const struct template_source *from, struct out *out)
{
	if (from->exchange->status == 0 && from->place == TEMPLATE_IN_LOG)
		out_put(out, SPAN("000"));
	else
		out_decimal(out, (uint64_t)from->exchange->status);
}

/* --- the variables ---------------------------------------------------------------------------- */

/* Where the value of a variable is that is a text: only escapes are added. */
enum origin {
	FROM_FUNCTION = 0,
	FROM_FACTS,	    /* a struct span in struct facts */
	FROM_CERT,	    /* a struct span in struct facts_cert */
	FROM_CERT_DN,	    /* a distinguished name in struct facts_cert */
	FROM_EXCHANGE,	    /* a struct span in struct template_exchange */
	FROM_EXCHANGE_WORD, /* likewise, which is one word in a log line */
};

enum {
	IN_HEADERS = TEMPLATE_IN_HEADER,
	IN_LOGS = TEMPLATE_IN_LOG | TEMPLATE_IN_JSON,
	ANYWHERE = IN_HEADERS | IN_LOGS,
};

struct variable {
	struct template_variable is;
	uint32_t max; /* bytes in a header, in which a byte that a peer chose may become %XX */
	enum origin origin;
	size_t offset;
	void (*put)(const struct template_source *from, struct out *out);
};

#define FACT(field) FROM_FACTS, offsetof(struct facts, field), NULL
#define CERT(field) FROM_CERT, offsetof(struct facts_cert, field), NULL
#define CERT_DN(field) FROM_CERT_DN, offsetof(struct facts_cert, field), NULL
#define EXCHANGE(field) FROM_EXCHANGE, offsetof(struct template_exchange, field), NULL
#define EXCHANGE_WORD(field) FROM_EXCHANGE_WORD, offsetof(struct template_exchange, field), NULL
#define BY(function) FROM_FUNCTION, 0, function

/* One row a line or two, so that it reads as the table that it is. */
/* clang-format off */
static const struct variable variables[] = {
	{{SPAN_INIT("alpn"), ANYWHERE, "application protocol that was agreed on"},
	 3 * FACTS_ALPN_MAX, FACT(alpn)},
	{{SPAN_INIT("backend"), IN_LOGS, "address of the backend that the request went to"},
	 3 * TEMPLATE_BACKEND_MAX, EXCHANGE_WORD(backend)},
	{{SPAN_INIT("bytes"), IN_LOGS, "bytes of the answer behind its head"}, 20, BY(put_bytes)},
	{{SPAN_INIT("client_cert_chain"), IN_HEADERS, "certificates above the client's, as Client-Cert-Chain holds them (RFC 9440)"},
	 3 * FACTS_CHAIN_MAX, CERT(chain)},
	{{SPAN_INIT("client_cert_issuer"), ANYWHERE, "issuer of the client's certificate (RFC 4514)"},
	 3 * FACTS_DN_MAX, CERT_DN(issuer)},
	{{SPAN_INIT("client_cert_pem"), IN_HEADERS, "the client's certificate, PEM, percent-encoded"},
	 3 * FACTS_PEM_MAX, FROM_CERT, 0, put_cert_pem},
	{{SPAN_INIT("client_cert_rfc9440"), IN_HEADERS, "the client's certificate, as Client-Cert holds it (RFC 9440)"},
	 3 * FACTS_PEM_MAX, CERT(rfc9440)},
	{{SPAN_INIT("client_cert_serial"), ANYWHERE, "serial number of the client's certificate, hexadecimal"},
	 3 * FACTS_SERIAL_MAX, CERT(serial)},
	{{SPAN_INIT("client_cert_sha256"), ANYWHERE, "SHA-256 digest of the client's certificate, hexadecimal"},
	 3 * 64, CERT(sha256)},
	{{SPAN_INIT("client_cert_subject"), ANYWHERE, "subject of the client's certificate (RFC 4514)"},
	 3 * FACTS_DN_MAX, CERT_DN(subject)},
	{{SPAN_INIT("client_cert_verify"), ANYWHERE, "what was found of the client's certificate: NONE, SUCCESS or FAILED:REASON"},
	 3 * FACTS_VERIFY_MAX, FACT(client_verify)},
	{{SPAN_INIT("client_ip"), ANYWHERE, "the client's address"},
	 FACTS_IP_TEXT_MAX, BY(put_client_ip)},
	{{SPAN_INIT("client_port"), ANYWHERE, "the client's port"}, 5, BY(put_client_port)},
	{{SPAN_INIT("forwarded"), IN_HEADERS, "for=...;by=...;host=\"...\";proto=https (RFC 7239)"},
	 FORWARDED_MAX, BY(put_forwarded)},
	{{SPAN_INIT("host"), IN_LOGS, "Host of the request"},
	 3 * TEMPLATE_HOST_MAX, EXCHANGE_WORD(host)},
	{{SPAN_INIT("peer_ip"), ANYWHERE, "who connected: the client, or the sender of a PROXY header"},
	 FACTS_IP_TEXT_MAX, BY(put_peer_ip)},
	{{SPAN_INIT("proto"), ANYWHERE, "https, or http from a client of client = yes"},
	 5, BY(put_proto)},
	{{SPAN_INIT("referer"), IN_LOGS, "Referer of the request"},
	 3 * TEMPLATE_REFERER_MAX, EXCHANGE(referer)},
	{{SPAN_INIT("request"), IN_LOGS, "first line of the request"},
	 3 * TEMPLATE_REQUEST_MAX, EXCHANGE(request_line)},
	{{SPAN_INIT("request_id"), ANYWHERE, "what requestId sends"},
	 FACTS_ID_MAX + 17, BY(put_request_id)},
	{{SPAN_INIT("server_ip"), ANYWHERE, "our address that the client connected to"},
	 FACTS_IP_TEXT_MAX, BY(put_server_ip)},
	{{SPAN_INIT("server_port"), ANYWHERE, "our port"}, 5, BY(put_server_port)},
	{{SPAN_INIT("service"), IN_LOGS, "section of the configuration that answered"},
	 3 * TEMPLATE_SERVICE_MAX, EXCHANGE_WORD(service)},
	{{SPAN_INIT("session_reused"), ANYWHERE, "1 for a resumed session, else 0"},
	 1, BY(put_session_reused)},
	{{SPAN_INIT("sni"), ANYWHERE, "server name that the client asked for"},
	 3 * FACTS_NAME_MAX, BY(put_sni)},
	{{SPAN_INIT("status"), IN_LOGS, "status of the answer, 000 without one"},
	 20, BY(put_status)},
	{{SPAN_INIT("time"), IN_LOGS, "when the request came, as in Apache's logs"},
	 40, EXCHANGE(time)},
	{{SPAN_INIT("time_connect"), IN_LOGS, "seconds to the backend's connection, 0 where it was open"},
	 27, BY(put_connect)},
	{{SPAN_INIT("time_first_byte"), IN_LOGS, "seconds to the answer's first byte"},
	 27, BY(put_first_byte)},
	{{SPAN_INIT("time_iso8601"), IN_LOGS, "when the request came (ISO 8601)"},
	 40, EXCHANGE(iso_time)},
	{{SPAN_INIT("time_total"), IN_LOGS, "seconds to the answer's last byte"},
	 27, BY(put_total)},
	{{SPAN_INIT("tls_cipher"), ANYWHERE, "cipher, as OpenSSL calls it"},
	 3 * FACTS_TLS_MAX, FACT(tls_cipher)},
	{{SPAN_INIT("tls_group"), ANYWHERE, "key exchange group, such as x25519"},
	 3 * FACTS_TLS_MAX, FACT(group)},
	{{SPAN_INIT("tls_version"), ANYWHERE, "such as TLSv1.3"},
	 3 * FACTS_TLS_MAX, FACT(tls_version)},
	{{SPAN_INIT("trace_id"), ANYWHERE, "id of the trace that traceContext continues or begins"},
	 TRACE_ID_LEN, BY(put_trace_id)},
	{{SPAN_INIT("traceparent"), IN_HEADERS, "what traceContext sends"},
	 TRACE_PARENT_LEN, BY(put_traceparent)},
	{{SPAN_INIT("user_agent"), IN_LOGS, "User-Agent of the request"},
	 3 * TEMPLATE_AGENT_MAX, EXCHANGE(user_agent)},
};
/* clang-format on */

#define VARIABLES (sizeof variables / sizeof variables[0])
#define LITERAL 0 /* in template_part.variable; other values count rows from 1 on */

const struct template_variable *template_variable(size_t n)
{
	return n < VARIABLES ? &variables[n].is : NULL;
}

static struct span span_at(const void *base, size_t offset)
{
	static const struct span none;

	return base ? *(const struct span *)(const void *)((const char *)base + offset) : none;
}

static void put_variable(const struct variable *v, const struct template_source *from,
			 struct out *out)
{
	if (v->put)
		v->put(from, out);
	else if (v->origin == FROM_FACTS)
		put_word(span_at(from->facts, v->offset), from->place, out);
	else if (v->origin == FROM_CERT)
		put_value(span_at(from->facts->client_cert, v->offset), from->place, out);
	else if (v->origin == FROM_CERT_DN)
		put_bytes_as(put_dn_in_header, span_at(from->facts->client_cert, v->offset),
			     from->place, out);
	else if (v->origin == FROM_EXCHANGE_WORD)
		put_word(span_at(from->exchange, v->offset), from->place, out);
	else
		put_value(span_at(from->exchange, v->offset), from->place, out);
}

/* --- compiling -------------------------------------------------------------------------------- */

bool template_keep(struct template_pool *pool, struct span text, struct text_at *at)
{
	return text_keep(pool->text, sizeof pool->text, &pool->text_len, text, at);
}

static bool of_cert(const struct variable *v)
{
	static const struct span prefix = SPAN_INIT("client_cert");

	return v->is.name.len > prefix.len && span_eq(span_of(v->is.name.p, prefix.len), prefix);
}

static const char *add_part(struct template_pool *pool, struct template *t, unsigned variable,
			    struct span literal)
{
	struct template_part *part = &pool->part[pool->part_count];

	if (pool->part_count == TEMPLATE_PARTS_MAX)
		return "The templates of this service have too many parts";
	part->variable = (uint16_t)variable;
	if (!template_keep(pool, literal, &part->literal))
		return "The templates of this service are too long";
	pool->part_count++;
	t->count++;
	t->max += (uint32_t)literal.len;
	if (variable == LITERAL)
		return NULL;
	t->max += variables[variable - 1].max;
	t->void_without_cert |= variables[variable - 1].origin == FROM_CERT ||
				variables[variable - 1].origin == FROM_CERT_DN;
	t->of_cert |= of_cert(&variables[variable - 1]);
	return NULL;
}

/* Takes %{name} from the front of *s: the variable's number, or LITERAL for an unknown name. */
static unsigned take_variable(struct span *s, enum template_place place)
{
	const char *end = memchr(s->p, '}', s->len);
	struct span name;

	if (s->len < 2 || s->p[1] != '{' || !end)
		return LITERAL;
	name = span_of(s->p + 2, (size_t)(end - s->p) - 2);
	for (unsigned i = 0; i < VARIABLES; i++) {
		if (!(variables[i].is.places & (int)place) || !span_eq(name, variables[i].is.name))
			continue;
		span_skip(s, name.len + 3);
		return i + 1;
	}
	return LITERAL;
}

const char *template_compile(struct template_pool *pool, struct span text,
			     enum template_place place, struct template *t)
{
	const char *why = NULL;

	*t = (struct template){.first = pool->part_count};
	while (text.len != 0 && !why) {
		const char *percent = memchr(text.p, '%', text.len);
		size_t len = percent ? (size_t)(percent - text.p) : text.len;
		unsigned variable;

		if (len != 0) {
			why = add_part(pool, t, LITERAL, span_of(text.p, len));
			span_skip(&text, len);
		} else if (text.len > 1 && text.p[1] == '%') {
			why = add_part(pool, t, LITERAL, SPAN("%"));
			span_skip(&text, 2);
		} else {
			variable = take_variable(&text, place);
			if (variable == LITERAL)
				return "Unknown template variable (a plain % is written %%)";
			why = add_part(pool, t, variable, span_of(NULL, 0));
		}
	}
	return why;
}

bool template_uses(const struct template_pool *pool, struct span name)
{
	for (size_t i = 0; i < pool->part_count; i++) {
		unsigned variable = pool->part[i].variable;

		if (variable != LITERAL && span_eq(name, variables[variable - 1].is.name))
			return true;
	}
	return false;
}

bool template_varies(const struct template_pool *pool)
{
	for (size_t i = 0; i < pool->part_count; i++)
		if (pool->part[i].variable != LITERAL)
			return true;
	return false;
}

/* --- filling --------------------------------------------------------------------------------- */

void template_put(const struct template_pool *pool, const struct template *t,
		  const struct template_source *from, struct out *out)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct template_part *part = &pool->part[t->first + i];

		if (part->variable == LITERAL)
			out_put(out, text_kept(pool->text, part->literal));
		else
			put_variable(&variables[part->variable - 1], from, out);
	}
}
