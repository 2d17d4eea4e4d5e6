/* SPDX-License-Identifier: ISC */

/*
 * Fuzzes the negotiators. The input: which one, then bytes of both ends: 0xff goes on with the
 * other end, 0xfe is a silence, and a host
 * that is sought has an address where a byte is odd. Found out: that one reads past what it was
 * given, says more than has room, goes on for ever, or says a byte of the peer's that ends a line
 * of its own.
 */

#include "negotiate/negotiators.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	const char *protocol;
	enum negotiation_phase phase;
	const char *authentication;
} rows[] = {
	{"cifs", NEGOTIATION_EARLY},	{"pgsql", NEGOTIATION_EARLY},
	{"smtp", NEGOTIATION_GREETED},	{"pop3", NEGOTIATION_GREETED},
	{"imap", NEGOTIATION_GREETED},	{"cifs", NEGOTIATION_PLAIN},
	{"pgsql", NEGOTIATION_PLAIN},	{"smtp", NEGOTIATION_PLAIN},
	{"smtp", NEGOTIATION_INSIDE},	{"pop3", NEGOTIATION_PLAIN},
	{"imap", NEGOTIATION_PLAIN},	{"nntp", NEGOTIATION_PLAIN},
	{"ldap", NEGOTIATION_PLAIN},	{"connect", NEGOTIATION_PLAIN},
	{"socks", NEGOTIATION_INSIDE},	{"socks", NEGOTIATION_ASKED},
	{"connect", NEGOTIATION_EARLY}, {"connect", NEGOTIATION_PLAIN, "ntlm"},
};

#define ROWS (sizeof rows / sizeof rows[0])

static void say(void *owner, int level, const char *text)
{
	(void)owner, (void)level;
	if (strchr(text, '\n'))
		abort();
}

/* What was said goes out: of lines, each must end as it should. */
static void put_out(struct negotiation *n, bool lines)
{
	for (int side = 0; side < 2; side++) {
		struct out *out = &n->out[side];

		for (size_t i = 0; lines && i < out->len; i++)
			if (out->p[i] == '\n' && (i == 0 || out->p[i - 1] != '\r'))
				abort();
		out_reset(out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t row = size != 0 ? data[0] % ROWS : 0;
	const struct negotiation_options options = {
		.host = "www.example.test:443",
		.user = "me",
		.password = "secret",
		.domain = "HERE",
		.authentication = rows[row].authentication,
	};
	static const struct facts_addr found[] = {
		{.family = FACTS_IPV4, .ip = {192, 0, 2, 1}, .text = "192.0.2.1"}};
	struct negotiation *n =
		negotiation_open(negotiators_in(rows[row].protocol, rows[row].phase, &options),
				 &options, "192.0.2.7:80", say, NULL);
	enum negotiation_side side = NEGOTIATION_FRONT;

	if (negotiators_check(rows[row].protocol, true, &options) || !n)
		abort();
	for (size_t i = 1; i < size && negotiation_result(n) == NEGOTIATION_GOES_ON; i++) {
		const struct negotiation_state *now = negotiation_now(n);
		bool whole = false;

		if (now->seeks)
			negotiation_found(n, found, data[i] & 1, "no such name");
		else if (data[i] == 0xff)
			side = (enum negotiation_side) !side;
		else if (now->listens)
			negotiation_heard(n, data[i] != 0xfe);
		else if (now->from == side)
			negotiation_take(n, (char)data[i], &whole);
		if (whole)
			put_out(n, now->bytes == 0 && rows[row].phase != NEGOTIATION_ASKED);
	}
	negotiation_close(n);
	return 0;
}
