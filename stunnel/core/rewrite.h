/* SPDX-License-Identifier: ISC */
#ifndef REWRITE_H
#define REWRITE_H

#include <stdint.h>

#include "facts.h"
#include "h1_head.h"
#include "out.h"
#include "template.h"

#define REWRITE_RULES_MAX 64

struct rewrite_rule {
	uint8_t op;	     /* enum rewrite_op, in rewrite.c; 0: was replaced by a later rule */
	struct text_at name; /* in the pool's text */
	struct template template;
};

/*
 * The compiled header rules of one service. Holds no pointer, so a plain copy is an independent
 * one: that is how a section inherits the defaults. Zeroed: no rules, requests are only judged
 * and written anew.
 */
struct rewrite {
	uint64_t initials; /* of the rules' names, one bit a letter or digit */
	size_t insertion;  /* bytes that the rules can add to one head */
	uint16_t rule_count;
	uint16_t host_rule;    /* which rule sets Host, counted from 1; 0: none */
	bool trace_of_trusted; /* traceContext = trusted: those of others begin here */
	struct rewrite_rule rule[REWRITE_RULES_MAX];
	struct template_pool pool;
};

/*
 * Adds what an option line asks for. `option` is httpSetHeader, httpAddHeader, httpDelHeader or one
 * of the short forms xForwardedFor, xForwardedProto, xForwardedPort, xRealIP, forwarded,
 * requestId and traceContext, in any case; `value` is the option's raw value. A later rule for a
 * name replaces the earlier ones, but for httpAddHeader, which adds to them. Returns 0, or -1 with
 * a static text in *why and *rw unchanged.
 */
int rewrite_option(struct rewrite *rw, struct span option, struct span value, const char **why);

/* Whether there is any rule: a service with header rules is an HTTP service. */
bool rewrite_active(const struct rewrite *rw);

/*
 * Whether the service sets, adds or deletes a field that `name` is, or is an alias of: then a
 * client's Connection option or trailer must not touch it.
 */
bool rewrite_protects(const struct rewrite *rw, struct span name);

/* For facts.trace_begins: what traceContext says of a client; facts.client_trusted is set. */
bool rewrite_begins_trace(const struct rewrite *rw, const struct facts *facts);

/* Bytes by which rewrite_request() can lengthen a head whose lines end in CRLF, at most. */
size_t rewrite_insertion(const struct rewrite *rw);

/*
 * Appends the request head anew, with its empty line: request line, Host, the client's lines of the
 * names that rules add to, the rules' own lines, then all other fields that neither
 * head->field[].dropped nor a rule removes, in their order, case and number; behind many fields, or
 * a value that is not ASCII, what frames the message goes before the others. Nothing is copied that
 * was not parsed. number: of the request in its connection.
 */
void rewrite_request(const struct rewrite *rw, const struct facts *facts,
		     const struct h1_head *head, uint64_t number, struct out *out);

/* Appends one field line. */
void rewrite_field(struct out *out, struct span name, struct span value);

#endif
