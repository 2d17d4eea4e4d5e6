/* SPDX-License-Identifier: ISC */
/* PostgreSQL's SSLRequest (its protocol 3.0, "SSL Session Encryption"). */
#include "negotiate/pgsql.h"

static const struct span ssl_request = SPAN_INIT("\0\0\0\10\4\322\26\57");    /* 80877103 */
static const struct span gssenc_request = SPAN_INIT("\0\0\0\10\4\322\26\60"); /* 80877104 */

/* An ErrorResponse, behind which a client comes again without GSSENCRequest. */
static const struct span refusal = SPAN_INIT("E\0\0\0\75"
					     "SERROR\0"
					     "CXX000\0"
					     "MSSL expected but not requested by client\0\0");

static int server_request(struct negotiation *n, struct span unit)
{
	if (span_eq(unit, ssl_request)) {
		negotiation_put(n, NEGOTIATION_FRONT, SPAN("S"));
		return NEGOTIATION_DONE;
	}
	if (!span_eq(unit, gssenc_request))
		return negotiation_fail(n, "PostgreSQL client did not request TLS, rejecting");
	negotiation_put(n, NEGOTIATION_FRONT, refusal);
	return NEGOTIATION_LEFT;
}

static const struct negotiation_state server_states[] = {
	{.from = NEGOTIATION_FRONT, .bytes = 8, .last = true, .take = server_request},
};

const struct negotiator pgsql_server = {
	.protocol = "pgsql",
	.phase = NEGOTIATION_EARLY,
	.states = server_states,
};

static int client_begin(struct negotiation *n)
{
	negotiation_put(n, NEGOTIATION_BACK, ssl_request);
	return 0;
}

static int client_answer(struct negotiation *n, struct span unit)
{
	if (unit.p[0] != 'S')
		return negotiation_fail(n, "PostgreSQL server rejected TLS");
	return NEGOTIATION_DONE;
}

static const struct negotiation_state client_states[] = {
	{.from = NEGOTIATION_BACK, .bytes = 1, .last = true, .take = client_answer},
};

const struct negotiator pgsql_client = {
	.protocol = "pgsql",
	.phase = NEGOTIATION_PLAIN,
	.begin = client_begin,
	.states = client_states,
};
