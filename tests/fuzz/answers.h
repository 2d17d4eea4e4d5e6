/* SPDX-License-Identifier: ISC */
#ifndef ANSWERS_H
#define ANSWERS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A second opinion on answers: what the backend sent is read as the most lenient client reads, and
 * what went to the client as the strictest. Shares no code with the core.
 */

#define ANSWERS_MAX 256

struct answers_method {
	bool head, connect, old; /* old: HTTP/1.0, which knows no chunks */
};

/* A final answer, or a tunnel. */
struct answers_one {
	int status;
	size_t content, len; /* where its content is in answers.content */
	bool complete;
	bool until_close;
	bool close;   /* Connection says that it is the last */
	bool tunnel;  /* the content is that of a tunnel */
	bool old;     /* HTTP/1.0 */
	bool logs_in; /* it asks for credentials that hold for the connection */
};

struct answers {
	size_t count;
	size_t rest; /* bytes behind what could be read */
	struct answers_one one[ANSWERS_MAX];
	size_t len;
	char content[1 << 20];
};

/* Whether a field is of credentials, or of challenges, and names a scheme of connections: NTLM. */
bool answers_log_in(bool challenge, const char *name, size_t name_len, const char *value,
		    size_t len);

/* Reads answers to these requests, as far as they can be read. */
void answers_lenient(const char *p, size_t len, const struct answers_method *method, size_t count,
		     struct answers *all);

/* The same, and aborts at the first byte that a strict reader could stumble at. */
void answers_strict(const char *p, size_t len, const struct answers_method *method, size_t count,
		    struct answers *all);

#endif
