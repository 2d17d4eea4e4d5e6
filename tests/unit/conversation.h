/* SPDX-License-Identifier: ISC */
#ifndef CONVERSATION_H
#define CONVERSATION_H

#include "h1.h"
#include "harness.h"

/*
 * Drives struct h1 as a daemon does: keeps what is not consumed and offers it again, longer;
 * empties `out` after each call; lets requests go on when responses came. Everything that the
 * machine reads or writes ends at a guard page.
 */

/* Who the client is in every test. */
extern const struct facts conversation_facts;

/* Small enough to be reached, in every test that does not set its own. */
extern const struct h1_limits conversation_limits;

/* In which way the caller uses the machine. None of it may show in the output. */
enum driving {
	DRIVE_EXACT = 0, /* `out` has exactly h1_out_min() bytes */
	DRIVE_CRAMPED,	 /* `out` is nearly full whenever the machine is called */
	DRIVE_BYPASS,	 /* what needs no inspection goes past the machine */
	DRIVE_COUNT,
};

struct step {
	enum h1_dir dir;
	struct span bytes;
};

/* What to run: the steps end with one whose bytes.p is NULL. */
struct script {
	const struct rewrite *rewrite;
	const struct facts *facts;
	struct h1_limits limits;
	enum driving driving;
	const struct step *steps;
	bool gives_up; /* limits.pool: each backend connection that it can, for another one */
};

/* A script of conversation_facts and conversation_limits, DRIVE_EXACT; it keeps both pointers. */
struct script script_of(const struct rewrite *rewrite, const struct step *steps);

struct conversation {
	struct h1 h1;
	struct script script;
	struct text pending[2]; /* not consumed yet */
	struct text sent[2];	/* what came out: to the backend, to the client */
};

void conversation_begin(struct conversation *c, const struct script *script);

/* More bytes from one end, and everything that follows from it. */
void conversation_feed(struct conversation *c, enum h1_dir dir, struct span bytes);

/* The backend's connection ends, where that must not be the client's end; another one follows. */
void conversation_reconnect(struct conversation *c);

void conversation_end(struct conversation *c);

size_t script_length(const struct script *script);

/* All steps in pieces; `cut` counts through all of them. */
void conversation_run(struct conversation *c, struct cut cut);

/* The state as a caller sees it, on a line: to be compared and to be read. */
void conversation_state(const struct conversation *c, struct text *text);

/*
 * Runs the script in every cut and driving and checks what came out each time. `state` is what
 * conversation_state() says in the end; NULL: only that it is always the same.
 */
void check_script(struct script script, struct span backend, struct span client, const char *state,
		  const char *what);

/*
 * A short conversation with `xForwardedFor = replace`: turns[i] tells who sends bytes[i], 'c' the
 * client or 'b' the backend. Runs it by check_script().
 */
struct dialogue {
	const char *what;
	const char *turns;
	const char *bytes[8];
	const char *backend, *client, *state;
};

void check_dialogue(const struct dialogue *dialogue);

#define RUN_ROWS(rows)                                              \
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows)[0]; i++) \
		check_dialogue(&(rows)[i]);

/* What dialogues are made of. */
#define ADDED "X-Forwarded-For: 192.0.2.7\r\n"
#define HOST "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST
#define POST "POST /p HTTP/1.1\r\n" HOST

/* Option lines, as `name = value`, one a line; fails if one is refused. */
void rewrite_compile(struct rewrite *rw, const char *lines);

#endif
