/* SPDX-License-Identifier: ISC */
#include "conn/steps/spawn.h"

#include <stdio.h>
#include <string.h>

#include "conn/steps/answer.h"
#include "sys/program.h"

/* Who the client is, for the program: what stock tells it. */
static enum step_result run(struct conn *c, unsigned events)
{
	const struct facts_addr *client = &c->front.facts.client;
	char port[8], subject[TLS_WHY_MAX], issuer[TLS_WHY_MAX];
	bool shown = c->front.end.tls && tls_peer_names(c->front.end.tls, subject, issuer);
	bool known = client->family != FACTS_NONE;
	const struct program_variable variables[] = {
		{"REMOTE_HOST", known ? client->text : NULL},
		{"REMOTE_PORT", known ? port : NULL},
		{"SSL_CLIENT_DN", shown ? subject : NULL},
		{"SSL_CLIENT_I_DN", shown ? issuer : NULL},
	};
	pid_t pid;
	int fd;

	(void)events;
	snprintf(port, sizeof port, "%u", client->port);
	fd = program_start(&c->service->program, variables, sizeof variables / sizeof variables[0],
			   &pid);
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
