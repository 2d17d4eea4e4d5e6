/* SPDX-License-Identifier: ISC */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "errors.h"
#include "out.h"
#include "span.h"

/* Character classes as bits of http_class[]. */
enum {
	HTTP_TOKEN = 1,	 /* tchar, RFC 9110 5.6.2 */
	HTTP_VALUE = 2,	 /* in a field value: VCHAR, obs-text, SP, HTAB; RFC 9110 5.5 */
	HTTP_TARGET = 4, /* in a request-target: VCHAR but for '#'; RFC 9112 3.2 */
	HTTP_HOST = 8,	 /* in Host: uri-host and port, RFC 3986 3.2.2 */
	HTTP_ALNUM = 16, /* letters and digits, which http_alias() compares */
};
extern const uint8_t http_class[256];

static inline bool http_is(char c, int class)
{
	return (http_class[(unsigned char)c] & class) != 0;
}

/* Whether every byte of s is of the class; true for an empty span. */
bool http_all(struct span s, int class);

static inline char http_lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

/* Equal but for the case of ASCII letters. */
bool http_equal(struct span a, struct span b);

/*
 * Whether two field names fall together at a backend that folds case and everything that is
 * neither letter nor digit, as CGI and WSGI do: X_Forwarded.For is X-Forwarded-For. Such an
 * alias of a field that we set is an attack on a backend that trusts the field.
 */
bool http_alias(struct span a, struct span b);

/* Whether a field name begins with `beginning`, both folded as http_alias() folds them. */
bool http_alias_begins(struct span name, struct span beginning);

/* Fields that decide how a message is framed, routed or connected, and Expect. */
enum http_field {
	HTTP_OTHER = 0,
	HTTP_HOST_FIELD,
	HTTP_CONNECTION,
	HTTP_CONTENT_LENGTH,
	HTTP_TRANSFER_ENCODING,
	HTTP_UPGRADE,
	HTTP_HTTP2_SETTINGS,
	HTTP_TE,
	HTTP_TRAILER,
	HTTP_EXPECT, /* neither frames nor routes */
};

/* Which of these fields a name is, in any case. */
enum http_field http_field(struct span name);

/* Whether a name is one of, or an alias of one of, the fields that frame a message or Host. */
bool http_frames(struct span name);

/*
 * Takes the next element of a comma-separated list (RFC 9110 5.6.1) from the front of *list into
 * *element, without the white space around it; empty elements are skipped. False at the end.
 */
bool http_list_next(struct span *list, struct span *element);

/* Without spaces and tabs at both ends: OWS, RFC 9110 5.6.3. */
struct span http_trim(struct span s);

/*
 * Appends a whole response that answers `error` and closes the connection: status line, type,
 * length, Connection: close, and a body of one line, which the answer to a HEAD lacks (RFC 9110
 * 9.3.2). It has at most HTTP_REPLY_MAX bytes.
 */
#define HTTP_REPLY_MAX 512
void http_error_reply(enum error error, bool to_head, struct out *out);

/* Bytes of the body of http_error_reply(). */
size_t http_error_length(enum error error);

#endif
