/* SPDX-License-Identifier: ISC */
#include "forward_options.h"
#include "forward_blocks.h"
#include "forward_stock.h"

#include <stddef.h>

const char forward_go_on[] = "";

enum kind {
	RULE, /* of the HTTP machine */
	FLAG,
	NUMBER,
	BLOCKS,
	TLVS,
	MAPPED,
};

#define AT(member) offsetof(struct forward_options, member)

static const struct row {
	const char *name;
	enum kind kind;
	bool http; /* makes the section an HTTP service */
	size_t at;
	unsigned min, max;
	const char *error, *preset, *help;
} rows[] = {
	{"forwarded", RULE, true, 0, 0, 0, NULL, "no",
	 "yes|append|chain|replace|trusted|no Forwarded header"},
	{"httpAddHeader", RULE, true, 0, 0, 0, NULL, NULL, "NAME: TEMPLATE to add to each request"},
	{"httpConnect", FLAG, false, AT(limits.connect), 0, 0, NULL, "no",
	 "yes|no forward CONNECT requests"},
	{"httpDelHeader", RULE, true, 0, 0, 0, NULL, NULL, "NAME to delete from each request"},
	{"httpMaxFields", NUMBER, false, AT(limits.max_fields), 8, H1_FIELDS_MAX,
	 "Illegal number of fields (8 to 256)", "256", "fields of a request head"},
	{"httpMaxHead", NUMBER, false, AT(limits.max_head), 1024, FORWARD_INPUT_MAX,
	 "Illegal size of a head (1024 to 65536)", "32768", "bytes of a request head"},
	{"httpSetHeader", RULE, true, 0, 0, 0, NULL, NULL,
	 "NAME: TEMPLATE instead of the client's"},
	{"proxyMapped", MAPPED, false, 0, 0, 0, NULL, "fold",
	 "fold|keep IPv4-mapped addresses in a PROXY header"},
	{"proxyMaxLength", NUMBER, false, AT(max_length), 52, PROXY_HEADER_MAX,
	 "Illegal length of a header (52 to 4096)", "536", "bytes of a PROXY header"},
	{"proxyTLV", TLVS, false, 0, 0, 0, NULL, NULL, "alpn, authority, ssl, ... to send"},
	{"proxyVersion", NUMBER, false, AT(version), 1, 2,
	 "The PROXY protocol has versions 1 and 2", NULL, "1|2 of the PROXY protocol"},
	{"requestId", RULE, true, 0, 0, 0, NULL, "no", "yes|replace|...|no X-Request-ID header"},
	{"trustedProxy", BLOCKS, false, 0, 0, 0, NULL, NULL,
	 "ADDRESS[/BITS], ... that xForwardedFor = trusted believes"},
	{"xForwardedFor", RULE, true, 0, 0, 0, NULL, "no",
	 "yes|append|chain|replace|trusted|no X-Forwarded-For header"},
	{"xForwardedPort", RULE, true, 0, 0, 0, NULL, "no",
	 "yes|replace|...|no X-Forwarded-Port header"},
	{"xForwardedProto", RULE, true, 0, 0, 0, NULL, "no",
	 "yes|replace|...|no X-Forwarded-Proto header"},
	{"xRealIP", RULE, true, 0, 0, 0, NULL, "no", "yes|replace|...|no X-Real-IP header"},
};

#define ROWS (sizeof rows / sizeof rows[0])

/* --- values ----------------------------------------------------------------------------------- */

static struct span text_of(const char *text)
{
	return span_of(text, strlen(text));
}

static const char *set_number(const struct row *row, const char *value, unsigned *to)
{
	unsigned n;

	if (!ip_parse_number(text_of(value), row->max, &n) || n < row->min)
		return row->error;
	*to = n;
	return NULL;
}

static const char *set_flag(const char *value, bool *to)
{
	static const char error[] = "The argument needs to be either 'yes' or 'no'";

	if (strcasecmp(value, "yes") != 0 && strcasecmp(value, "no") != 0)
		return error;
	*to = !strcasecmp(value, "yes");
	return NULL;
}

static const char *set_mapped(const char *value, int *to)
{
	if (strcasecmp(value, "fold") != 0 && strcasecmp(value, "keep") != 0)
		return "The argument needs to be either 'fold' or 'keep'";
	*to = !strcasecmp(value, "keep");
	return NULL;
}

static const char *add_blocks(struct forward_options *o, const char *value)
{
	struct span list = text_of(value), word;
	struct ip_block block;
	int rc;

	while ((rc = ip_block_next(&list, &word, &block)) > 0) {
		if (o->trusted_count == FORWARD_TRUSTED_MAX)
			return "Too many trusted proxies";
		o->trusted[o->trusted_count++] = block;
	}
	return rc == 0 ? NULL : "Not an address or block of addresses";
}

static const char *set(const struct row *row, struct forward_options *o, const char *value)
{
	char *at = (char *)o + row->at;
	const char *why = NULL;

	switch (row->kind) {
	case RULE:
		rewrite_option(&o->rewrite, text_of(row->name), text_of(value), &why);
		break;
	case FLAG:
		return set_flag(value, (bool *)(void *)at);
	case NUMBER:
		return set_number(row, value, (unsigned *)(void *)at);
	case BLOCKS:
		return add_blocks(o, value);
	case TLVS:
		proxy_option(&o->proxy, text_of(value), &why);
		break;
	case MAPPED:
		return set_mapped(value, &o->proxy.keep_mapped);
	}
	return why;
}

/* --- commands --------------------------------------------------------------------------------- */

static const char *set_line(SERVICE_OPTIONS *section, const SERVICE_OPTIONS *defaults,
			    const char *name, const char *value)
{
	for (size_t i = 0; i < ROWS; i++) {
		const char *why;

		if (strcasecmp(name, rows[i].name) != 0)
			continue;
		why = set(&rows[i], blocks_own(section, defaults), value);
		if (!why)
			blocks_line(section, rows[i].name, value);
		return why;
	}
	return forward_go_on;
}

static const char *check_http(const SERVICE_OPTIONS *section)
{
	if (stock_has_protocol(section) && !stock_protocol_is(section, "proxy"))
		return "Header options are for HTTP: of protocols only 'proxy' goes with them";
#ifndef USE_WIN32
	if (section->option.pty)
		return "Header options are for HTTP: not with 'pty = yes'";
#endif
	return NULL;
}

static const char *check_proxy(const SERVICE_OPTIONS *section, struct forward_options *o)
{
	size_t size;

	o->proxy.version = o->version ? (int)o->version : 1;
	o->proxy.max_length = (int)o->max_length;
	if (o->proxy.version == 1)
		return o->proxy.tlvs ? "proxyTLV needs proxyVersion = 2" : NULL;
	size = proxy_estimate(&o->proxy, 40);
	if (stock_has_protocol(section) && size > o->max_length)
		s_log(LOG_WARNING,
		      "Service [%s]: the PROXY header can become about %lu bytes long: beyond "
		      "proxyMaxLength = %u TLVs are left out",
		      section->servname, (unsigned long)size, o->max_length);
	return NULL;
}

/*
 * A ticket keeps the leaf only: a resumed session would be without its chain. Tickets are made by
 * the section that accepts, which stands before the ones that names lead to.
 */
static void keep_sessions_whole(SERVICE_OPTIONS *s, const SERVICE_OPTIONS *defaults)
{
	stock_refuse_tickets(s);
	for (const SERVICE_OPTIONS *p = defaults->next; p; p = p->next)
		if (p->ctx && stock_name_leads_from(p, s))
			SSL_CTX_set_options(p->ctx, SSL_OP_NO_TICKET);
}

/* Fails closed: an option that could do nothing is an error. */
static const char *check(SERVICE_OPTIONS *s, const SERVICE_OPTIONS *defaults)
{
	struct forward_options *o;
	const char *why = NULL;

	if (!s->forward)
		return NULL;
	if (s->option.client)
		return "Header and PROXY options are for TLS servers: not with 'client = yes'";
	if (stock_has_datagrams(s))
		return "Header and PROXY options are for TLS servers: not for DTLS";
	o = blocks_own(s, defaults);
	o->http = rewrite_active(&o->rewrite);
	if (o->http)
		why = check_http(s);
	if (!why)
		why = check_proxy(s, o);
	o->texts = tls_texts_of_templates(&o->rewrite.pool) | tls_texts_of_proxy(&o->proxy);
	if (o->http)
		stock_refuse_renegotiation(s); /* it could change what was told of the client */
	if (o->texts & TLS_CERT_CHAIN)
		keep_sessions_whole(s, defaults);
	if (!why)
		blocks_keep(s);
	return why;
}

static void print(enum forward_command command)
{
	for (size_t i = 0; i < ROWS; i++) {
		const char *text = command == FORWARD_HELP ? rows[i].help : rows[i].preset;

		if (text)
			s_log(LOG_NOTICE, "%-22s = %s", rows[i].name, text);
	}
}

const char *forward_option(enum forward_command command, SERVICE_OPTIONS *section,
			   const SERVICE_OPTIONS *defaults, const char *name, const char *value)
{
	const char *why = NULL;

	switch (command) {
	case FORWARD_BEGIN:
		blocks_begin(section);
		break;
	case FORWARD_COPY:
		blocks_copy(section, defaults);
		break;
	case FORWARD_SET:
		return set_line(section, defaults, name, value);
	case FORWARD_CHECK:
		why = check(section, defaults);
		break;
	case FORWARD_FREE:
		blocks_free(section);
		break;
	case FORWARD_DEFAULTS:
	case FORWARD_HELP:
		print(command);
		break;
	case FORWARD_NOTHING:
		break;
	}
	return why ? why : forward_go_on;
}

int forward_refuses(SERVICE_OPTIONS *section, const SERVICE_OPTIONS *defaults)
{
	const char *why = check(section, defaults);

	if (why)
		s_log(LOG_ERR, "Service [%s]: %s", section->servname, why);
	return why != NULL;
}

void forward_info(int level)
{
	s_log(level, "Forward:HTTP,PROXY2 (stunnel-http " FORWARD_VERSION ")");
}
