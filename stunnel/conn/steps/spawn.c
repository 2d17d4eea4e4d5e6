/* SPDX-License-Identifier: ISC */
#include "conn/steps/spawn.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conn/steps/answer.h"
#include "sys/program.h"

/* What is loaded into a program that has the client for its peer, before what it would inherit. */
static bool set_preload(char text[static PATH_MAX])
{
	const char *inherited = getenv("LD_PRELOAD");
	int len = snprintf(text, PATH_MAX, "%s%s%s", PROGRAM_PRELOAD, inherited ? ":" : "",
			   inherited ? inherited : "");

	errno = E2BIG;
	return len < PATH_MAX && access(PROGRAM_PRELOAD, R_OK) == 0;
}

/* Who the client is, for the program: what stock tells it. */
static enum step_result run(struct conn *c, unsigned events)
{
	const struct facts_addr *client = &c->front.facts.client;
	char preload[PATH_MAX], port[8], subject[TLS_WHY_MAX], issuer[TLS_WHY_MAX];
	bool shown = c->front.end.tls && tls_peer_names(c->front.end.tls, subject, issuer);
	bool known = client->family != FACTS_NONE;
	bool peer = known && (c->service->transparent & CONN_FROM_CLIENT);
	const struct program_variable variables[] = {
		{"REMOTE_HOST", known ? client->text : NULL},
		{"REMOTE_PORT", known ? port : NULL},
		{"SSL_CLIENT_DN", shown ? subject : NULL},
		{"SSL_CLIENT_I_DN", shown ? issuer : NULL},
		{"LD_PRELOAD", preload}, /* last: it is left out, and then inherited */
	};
	size_t count = sizeof variables / sizeof variables[0];
	pid_t pid;
	int fd;

	(void)events;
	snprintf(port, sizeof port, "%u", client->port);
	if (peer && !set_preload(preload)) {
		conn_log(c, LOG_ERR, "exec: transparent: %s: %s (%d)", PROGRAM_PRELOAD,
			 strerror(errno), errno);
		return answer_unavailable(c);
	}
	fd = program_start(&c->service->program, variables, peer ? count : count - 1, &pid);
	if (fd < 0) {
		conn_log(c, LOG_ERR, "exec: %s: %s (%d)", c->service->program.path, strerror(-fd),
			 -fd);
		return answer_unavailable(c);
	}
	c->back->end = end_of(fd);
	c->back->end.program = true;
	conn_log(c, LOG_INFO, "Local mode child started (PID=%d)", (int)pid);
	return STEP_NEXT;
}

const struct step spawn_step = {"connecting", .run = run};
