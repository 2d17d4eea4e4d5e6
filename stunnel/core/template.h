/* SPDX-License-Identifier: ISC */
#ifndef TEMPLATE_H
#define TEMPLATE_H

#include <stdint.h>

#include "facts.h"
#include "h1_head.h"
#include "out.h"
#include "text.h"

/*
 * Templates: literal text and %{variables} over what is known of a connection and of a request.
 * Header rules are made of them, and access logs. A plain % is written %%.
 */

#define TEMPLATE_PARTS_MAX 256
#define TEMPLATE_TEXT_MAX 8192

/* Bytes of a client's texts that a log line holds: the code that fills an exchange cuts them. */
#define TEMPLATE_REQUEST_MAX 2048
#define TEMPLATE_REFERER_MAX 1024
#define TEMPLATE_AGENT_MAX 512
#define TEMPLATE_HOST_MAX 261	 /* a name and a port */
#define TEMPLATE_SERVICE_MAX 255 /* of a section's name */
#define TEMPLATE_BACKEND_MAX 128 /* ADDRESS:PORT, or the path of a socket */

/* A piece of a template. */
struct template_part {
	uint16_t variable; /* 0: literal */
	struct text_at literal;
};

/*
 * What the templates of one owner are made of. Holds no pointer, so a plain copy is an independent
 * one. Zeroed: none.
 */
struct template_pool {
	uint16_t part_count;
	uint16_t text_len;
	struct template_part part[TEMPLATE_PARTS_MAX];
	char text[TEMPLATE_TEXT_MAX];
};

struct template
{
	uint16_t first; /* part */
	uint16_t count;
	uint32_t max;		/* bytes of the longest value that it has in a header */
	bool of_cert;		/* a variable tells of the client's certificate */
	bool void_without_cert; /* and a client without one gets no header of it */
};

/* Where a template stands: in a log there are more variables, and escapes of another kind. */
enum template_place {
	TEMPLATE_IN_HEADER = 1, /* percent-encoded: controls, and what a quoted string escapes */
	TEMPLATE_IN_LOG = 2,	/* as in Apache's logs: \xHH, \" and \\; an empty value is `-` */
	TEMPLATE_IN_JSON = 4,	/* within a string of JSON */
};

/* What a reader of the manual wants to know of a variable. */
struct template_variable {
	struct span name;
	int places; /* enum template_place, bits: where it may stand */
	const char *meaning;
};

/* One request with its response, for logs. */
struct template_exchange {
	struct span request_line, referer, user_agent, host;
	struct span trace_id; /* empty, unless a template uses it */
	struct span service;  /* the section's name */
	struct span backend;  /* where the request went; empty: nowhere */
	struct span time;     /* 23/Nov/2026:09:00:00 +0000, of the request */
	struct span iso_time; /* 2026-11-23T09:00:00.123Z */
	int status;	      /* 0: none was sent */
	uint64_t bytes;	      /* of the response behind its head */
	uint64_t first_byte; /* microseconds from the request's head to the response's first byte */
	uint64_t total;	     /* microseconds from the request's head to the response's last byte */
	uint64_t connect;    /* microseconds that its backend connection took; 0: it was there */
};

/* What templates are filled from. A header has a head, a log an exchange; the other is NULL. */
struct template_source {
	const struct facts *facts;
	const struct h1_head *head;
	const struct template_exchange *exchange;
	uint64_t number; /* of the request in its connection */
	enum template_place place;
};

/* Compiles text. NULL, or a static text that says what is wrong, and the pool unspecified. */
const char *template_compile(struct template_pool *pool, struct span text,
			     enum template_place place, struct template *t);

/* Appends to the pool's text, for names that belong to templates; false if it is full. */
bool template_keep(struct template_pool *pool, struct span text, struct text_at *at);

void template_put(const struct template_pool *pool, const struct template *t,
		  const struct template_source *from, struct out *out);

/* The variables, counted from 0 and in the order of their names; NULL behind the last. */
const struct template_variable *template_variable(size_t n);

/* Whether any template of the pool uses this variable. Else its value need not be found out. */
bool template_uses(const struct template_pool *pool, struct span name);

/* Whether any template of the pool uses any variable. */
bool template_varies(const struct template_pool *pool);

#endif
