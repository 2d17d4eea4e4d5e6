/* SPDX-License-Identifier: ISC */
#include "negotiate/negotiators.h"

#include <strings.h>

#include "negotiate/cifs.h"
#include "negotiate/connect.h"
#include "negotiate/connect_server.h"
#include "negotiate/imap.h"
#include "negotiate/ldap.h"
#include "negotiate/nntp.h"
#include "negotiate/pgsql.h"
#include "negotiate/pop3.h"
#include "negotiate/smtp.h"
#include "negotiate/socks.h"
#include "negotiate/socks_server.h"

static const struct negotiator *const rows[] = {
	&cifs_server,	 &pgsql_server, &smtp_server, &pop3_server,  &imap_server,
	&connect_server, &socks_server, &cifs_client, &pgsql_client, &smtp_client,
	&smtp_login,	 &pop3_client,	&imap_client, &nntp_client,  &ldap_client,
	&connect_client, &socks_client,
};

#define ROWS (sizeof rows / sizeof rows[0])

static bool of_client(const struct negotiator *row)
{
	return row->phase == NEGOTIATION_PLAIN || row->phase == NEGOTIATION_INSIDE;
}

static bool has(const struct negotiator *row, const char *protocol, bool client)
{
	return of_client(row) == client && strcasecmp(row->protocol, protocol) == 0;
}

const struct negotiator *negotiators_of(const char *protocol, bool client)
{
	for (size_t i = 0; i < ROWS; i++)
		if (has(rows[i], protocol, client))
			return rows[i];
	return NULL;
}

const char *negotiators_name(bool client, size_t index)
{
	for (size_t i = 0; i < ROWS; i++)
		if (of_client(rows[i]) == client &&
		    negotiators_of(rows[i]->protocol, client) == rows[i] && index-- == 0)
			return rows[i]->protocol;
	return NULL;
}

const struct negotiator *negotiators_in(const char *protocol, enum negotiation_phase phase,
					const struct negotiation_options *options)
{
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i]->phase == phase && strcasecmp(rows[i]->protocol, protocol) == 0 &&
		    (!rows[i]->needed || rows[i]->needed(options)))
			return rows[i];
	return NULL;
}

const char *negotiators_check(const char *protocol, bool client,
			      const struct negotiation_options *options)
{
	for (size_t i = 0; i < ROWS; i++) {
		const char *why = has(rows[i], protocol, client) && rows[i]->check
					  ? rows[i]->check(options)
					  : NULL;

		if (why)
			return why;
	}
	return NULL;
}
