/* SPDX-License-Identifier: ISC */
#include "config/protocol.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/table.h"
#include "negotiate/negotiators.h"

#define LIST_BYTES 128

void protocol_no_address(struct check *r, const char *clients, const char *of)
{
	check_refuse(r, "protocol",
		     "version 1 of the PROXY protocol names a client's IP address, and "
		     "%s%.200s have none (proxyVersion = 2 says so)",
		     clients, of);
}

void protocol_check_clients(struct check *r, const struct values_list *accept)
{
	for (size_t i = 0; i < accept->count; i++)
		if (accept->item[i][0] == '/')
			protocol_no_address(r, "clients of ", accept->item[i]);
}

static void check_proxy(struct check *r, const struct config_section *s)
{
	const struct service *policy = s->service.policy;
	size_t size = service_long_header(policy);

	if (policy->proxy.version == 1)
		protocol_check_clients(r, &s->accept_on);
	if (size != 0)
		check_tell(r, REPORT_WARNING, table_line(s, "proxyTLV"),
			   "the PROXY header can become about %zu bytes long: beyond "
			   "proxyMaxLength = %d TLVs are left out",
			   size, policy->proxy.max_length);
}

/* Stock's negotiators of one vendor's product, whose dialogue is published nowhere. */
static bool is_unbuilt(const char *protocol)
{
	return !strcasecmp(protocol, "capwin") || !strcasecmp(protocol, "capwinctrl");
}

/* "proxy, cifs, pgsql": the protocols of a mode. */
static const char *list(bool client, char text[static LIST_BYTES])
{
	const char *name;
	size_t len = (size_t)snprintf(text, LIST_BYTES, "proxy");

	for (size_t i = 0; len < LIST_BYTES && (name = negotiators_name(client, i)); i++)
		len += (size_t)snprintf(text + len, LIST_BYTES - len, ", %s", name);
	return text;
}

static void refuse_unknown(struct check *r, const char *protocol, bool client)
{
	char names[LIST_BYTES];

	if (strcasestr(protocol, "proxy"))
		check_refuse(r, "protocol",
			     "Protocol not supported: %.200s: write protocol = proxy, and "
			     "proxyVersion",
			     protocol);
	else
		check_refuse(r, "protocol", "Protocol not supported: %.200s: one of %s", protocol,
			     list(client, names));
}

static void check_negotiation(struct check *r, const struct config_section *s)
{
	bool client = s->service.client;
	char names[LIST_BYTES];
	const struct negotiator *row = negotiators_of(s->protocol, client);
	const char *why = negotiators_check(s->protocol, client, &s->service.negotiation);

	if (is_unbuilt(s->protocol))
		check_refuse(r, "protocol", "Protocol %.50s of stock stunnel is not built",
			     s->protocol);
	else if (!row && !negotiators_of(s->protocol, !client))
		refuse_unknown(r, s->protocol, client);
	else if (!row)
		check_refuse(r, "protocol",
			     "The configured protocol is not supported in the %s mode: one of %s",
			     client ? "client" : "server", list(client, names));
	else if (why)
		check_refuse(r, "protocol", "%s", why);
	else if (s->service.needs.http && !row->to_http)
		check_refuse(r, "protocol",
			     "protocol = %.50s leads to no HTTP, whose headers are set",
			     s->protocol);
}

void protocol_make(struct check *r)
{
	struct config_section *s = r->section;
	const struct values_list *headers = &s->protocol_headers;
	const char **header = NULL;

	s->service.send_proxy = s->protocol && !strcasecmp(s->protocol, "proxy");
	s->service.protocol = s->service.send_proxy ? NULL : s->protocol;
	s->service.needs =
		service_needs(s->service.policy, s->service.send_proxy,
			      s->service.access ? &s->service.access->format.pool : NULL);
	if (headers->count != 0)
		header = arena_alloc(&r->config->arena, (headers->count + 1) * sizeof *header);
	if (header)
		memcpy(header, headers->item, headers->count * sizeof *header);
	s->service.negotiation.header = header;
	if (s->service.send_proxy)
		check_proxy(r, s);
	else if (s->protocol)
		check_negotiation(r, s);
}
