/* SPDX-License-Identifier: ISC */
#include "config/alpn.h"

#include <string.h>

#include "config/table.h"

#define BLANKS " \t"
#define NAME_MAX_BYTES 255 /* RFC 7301 3.1 */

/* --- alpnConnect ------------------------------------------------------------------------------ */

static const struct conn_alpn *route_of(const struct conn_service *s, const char *name, size_t len)
{
	for (size_t i = 0; i < s->alpn_count; i++)
		if (strlen(s->alpn[i].protocol) == len && !memcmp(s->alpn[i].protocol, name, len))
			return &s->alpn[i];
	return NULL;
}

static bool is_http1(const char *name, size_t len)
{
	return len == 8 && (!memcmp(name, "http/1.1", len) || !memcmp(name, "http/1.0", len));
}

/* An ACME client's handshake shows a certificate of its own (RFC 8737 3). */
static bool is_raw(const char *name, size_t len)
{
	return len == 10 && !memcmp(name, "acme-tls/1", len);
}

/* Why a line's protocol, len bytes, cannot have a target of its own; NULL: it can. */
static const char *protocol_fault(const struct config_section *s, const char *name, size_t len)
{
	if (len == 0 || len > NAME_MAX_BYTES || memchr(name, ',', len))
		return "One protocol a line, of 255 bytes at most: PROTOCOL [HOST:]PORT";
	if (s->service.redirects && !is_raw(name, len))
		return "\"alpnConnect\" is incompatible with \"redirect\", whose clients may have "
		       "agreed on a protocol that its target does not speak";
	if (s->service.needs.http && is_http1(name, len))
		return "headers are set: requests of HTTP/1 go to 'connect', since any other way "
		       "would be one around that";
	if (route_of(&s->service, name, len))
		return "this protocol has a target already (several addresses can have one name)";
	return NULL;
}

/* Where headers tell who the client is, a blind target has nothing but a PROXY header to tell it.
 */
static void warn_of_unknown_clients(struct check *r, size_t line)
{
	const struct conn_service *s = &r->section->service;
	bool headers = service_needs(s->policy, false, NULL).http;

	if (headers && !s->alpn[s->alpn_count - 1].raw && !s->send_proxy &&
	    !(s->transparent & CONN_FROM_CLIENT))
		check_tell(r, REPORT_WARNING, r->section->alpn_connect.line[line],
			   "Its target does not know who the client is: such a connection gets no "
			   "headers, and without protocol = proxy no PROXY header");
}

/* Makes a route of a line, or reports why it is none. */
static void make_route(struct check *r, size_t line)
{
	struct config_section *s = r->section;
	const struct values_list *written = &s->alpn_connect;
	const char *value = written->item[line];
	size_t len = strcspn(value, BLANKS);
	const char *target = value + len + strspn(value + len, BLANKS);
	const char *fault = *target ? protocol_fault(s, value, len)
				    : "A protocol and its target: PROTOCOL [HOST:]PORT";
	struct conn_alpn *route = &s->service.alpn[s->service.alpn_count];

	if (fault) {
		check_tell(r, REPORT_ERROR, written->line[line], "%s", fault);
		return;
	}
	route->protocol = arena_format(&r->config->arena, "%.*s", (int)len, value);
	route->target = target;
	route->raw = is_raw(value, len);
	route->route.blind = true;
	if (!route->protocol)
		return;
	s->alpn_target.item[s->service.alpn_count] = target;
	s->alpn_target.line[s->service.alpn_count] = written->line[line];
	s->alpn_target.count = ++s->service.alpn_count;
	warn_of_unknown_clients(r, line);
}

/* Why connections of the section can have no target by their protocol; NULL: they can. */
static const char *section_fault(const struct config_section *s)
{
	if (s->service.client)
		return "\"alpnConnect\" is unsupported in client sections";
	if (s->service.protocol)
		return "\"alpnConnect\" is incompatible with the specified protocol negotiation";
	if (s->service.program.path)
		return "\"alpnConnect\" is incompatible with \"exec\"";
	return NULL;
}

static void make_routes(struct check *r)
{
	struct config_section *s = r->section;
	const struct values_list *written = &s->alpn_connect;
	struct arena *arena = &r->config->arena;
	const char *fault = section_fault(s);

	if (fault) {
		check_refuse(r, "alpnConnect", "%s", fault);
		return;
	}
	s->service.alpn = arena_alloc(arena, written->count * sizeof *s->service.alpn);
	s->alpn_target.item = arena_alloc(arena, written->count * sizeof *s->alpn_target.item);
	s->alpn_target.line = arena_alloc(arena, written->count * sizeof *s->alpn_target.line);
	for (size_t i = 0; !arena->failed && i < written->count; i++)
		make_route(r, i);
}

/* --- what is offered -------------------------------------------------------------------------- */

static void offer(struct check *r, const char *name, size_t len)
{
	struct tls_settings *tls = &r->section->tls;

	tls->alpn = arena_format(&r->config->arena, "%s%s%.*s", tls->alpn ? tls->alpn : "",
				 tls->alpn ? ", " : "", (int)len, name);
}

/* Goes to the next word of `alpn`, and over the last one; 0: there is none left. */
static size_t next_name(const char **at, size_t last)
{
	*at += last;
	*at += strspn(*at, "," BLANKS);
	return strcspn(*at, "," BLANKS);
}

/* A peer that agreed on anything else would speak past the HTTP machine. */
static void offer_http1(struct check *r, const char *wanted)
{
	const char *name = wanted;

	offer(r, "http/1.1, http/1.0", strlen("http/1.1, http/1.0"));
	for (size_t len = 0; wanted && (len = next_name(&name, len)) != 0;)
		if (!is_http1(name, len) && !route_of(&r->section->service, name, len)) {
			check_tell(r, REPORT_WARNING, table_line(r->section, "alpn"),
				   "headers are set: of 'alpn' only http/1.1 and http/1.0 are "
				   "offered");
			return;
		}
}

/* Protocols with targets of their own come first, in the order of the file. */
static void make_offer(struct check *r)
{
	struct config_section *s = r->section;
	const char *wanted = s->tls.alpn, *name = wanted;

	if (s->service.needs.http && s->service.client && !wanted)
		return; /* a server speaks HTTP/1 to a client that names nothing */
	if (!s->service.needs.http && s->service.alpn_count == 0)
		return;
	s->tls.alpn = NULL;
	for (size_t i = 0; i < s->service.alpn_count; i++)
		if (!s->service.alpn[i].raw)
			offer(r, s->service.alpn[i].protocol, strlen(s->service.alpn[i].protocol));
	/* As without alpnConnect, where there is no ALPN at all. */
	s->tls.alpn_optional = !wanted && !s->service.needs.http;
	if (s->service.needs.http) {
		offer_http1(r, wanted);
		return;
	}
	for (size_t len = 0; wanted && (len = next_name(&name, len)) != 0;)
		if (!route_of(&s->service, name, len))
			offer(r, name, len);
}

void alpn_make(struct check *r)
{
	if (r->section->alpn_connect.count != 0)
		make_routes(r);
	make_offer(r);
}
