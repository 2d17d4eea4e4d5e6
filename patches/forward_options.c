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
	SECONDS,
	BLOCKS, /* struct forward_blocks */
	TLVS,
	MAPPED,
	ACCEPT_PROXY,
	LOG_PATH,
	LOG_FORMAT,
	SEND_PROXY, /* of another patch: what stunnel's own option says */
	IDLE,	    /* the same: a number that changes nothing */
};

#define AT(member) offsetof(struct forward_options, member)

static const struct row {
	const char *name;
	enum kind kind;
	size_t at;
	unsigned min, max;
	const char *error, *preset, *help;
} rows[] = {
	{"acceptProxy", ACCEPT_PROXY, 0, 0, 0, NULL, "no",
	 "yes|required|no PROXY header from peers of acceptProxyFrom"},
	{"acceptProxyFrom", BLOCKS, AT(proxy_peers), 0, 0, "Too many peers", NULL,
	 "ADDRESS[/BITS], ... of peers that send a PROXY header"},
	{"accessLog", LOG_PATH, 0, 0, 0, NULL, NULL, "FILE|syslog for a line a request"},
	{"accessLogFormat", LOG_FORMAT, 0, 0, 0, NULL, "combined",
	 "combined|json or a template of these lines"},
	{"forwarded", RULE, 0, 0, 0, NULL, "no",
	 "yes|append|chain|replace|trusted|no Forwarded header"},
	{"httpAddHeader", RULE, 0, 0, 0, NULL, NULL, "NAME: TEMPLATE to add to each request"},
	{"httpConnect", FLAG, AT(limits.connect), 0, 0, NULL, "no",
	 "yes|no forward CONNECT requests"},
	{"httpDelHeader", RULE, 0, 0, 0, NULL, NULL, "NAME to delete from each request"},
	{"httpMaxFields", NUMBER, AT(limits.max_fields), 8, H1_FIELDS_MAX,
	 "Illegal number of fields (8 to 256)", "256", "fields of a request head"},
	{"httpMaxHead", NUMBER, AT(limits.max_head), 1024, FORWARD_INPUT_MAX,
	 "Illegal size of a head (1024 to 65536)", "32768", "bytes of a request head"},
	{"httpSetHeader", RULE, 0, 0, 0, NULL, NULL, "NAME: TEMPLATE instead of the client's"},
	{"listenqueue", IDLE, 0, 0, 0, "Illegal length of a queue", NULL,
	 "without effect: the queue is as long as the kernel allows"},
	{"proxyMapped", MAPPED, 0, 0, 0, NULL, "fold",
	 "fold|keep IPv4-mapped addresses in a PROXY header"},
	{"proxyMaxLength", NUMBER, AT(max_length), 52, PROXY_HEADER_MAX,
	 "Illegal length of a header (52 to 4096)", "536", "bytes of a PROXY header"},
	{"proxyPassTLV", FLAG, AT(proxy.pass), 0, 0, NULL, "no",
	 "yes|no send on the TLVs that came in"},
	{"proxyTLV", TLVS, 0, 0, 0, NULL, NULL, "alpn, authority, ssl, ... to send"},
	{"proxyVersion", NUMBER, AT(version), 1, 2, "The PROXY protocol has versions 1 and 2", NULL,
	 "1|2 of the PROXY protocol"},
	{"requestId", RULE, 0, 0, 0, NULL, "no", "yes|replace|...|no X-Request-ID header"},
	{"sendproxy", SEND_PROXY, 0, 0, 0, NULL, "no", "yes: protocol = proxy"},
	{"TIMEOUTproxy", SECONDS, AT(timeout_proxy), 0, 0, "Illegal PROXY timeout", "3",
	 "seconds for a PROXY header to come"},
	{"TIMEOUTrequest", SECONDS, AT(timeout_request), 0, 0, "Illegal request timeout", "60",
	 "seconds for a whole request head"},
	{"trustedProxy", BLOCKS, AT(trusted), 0, 0, "Too many trusted proxies", NULL,
	 "ADDRESS[/BITS], ... that xForwardedFor = trusted believes"},
	{"xForwardedFor", RULE, 0, 0, 0, NULL, "no",
	 "yes|append|chain|replace|trusted|no X-Forwarded-For header"},
	{"xForwardedPort", RULE, 0, 0, 0, NULL, "no", "yes|replace|...|no X-Forwarded-Port header"},
	{"xForwardedProto", RULE, 0, 0, 0, NULL, "no",
	 "yes|replace|...|no X-Forwarded-Proto header"},
	{"xRealIP", RULE, 0, 0, 0, NULL, "no", "yes|replace|...|no X-Real-IP header"},
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

/* 0 expires at once, a negative number never. */
static const char *set_seconds(const struct row *row, const char *value, int *to)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(value, &end, 10);
	if (end == value || *end || errno != 0 || n < INT_MIN || n > INT_MAX)
		return row->error;
	*to = (int)n;
	return NULL;
}

static const char *set_accept_proxy(const char *value, enum forward_accept_proxy *to)
{
	static const char *const names[] = {"no", "yes", "required"};

	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcasecmp(value, names[i]) != 0)
			continue;
		*to = (enum forward_accept_proxy)i;
		return NULL;
	}
	return "The argument needs to be either 'yes', 'required' or 'no'";
}

static const char *add_blocks(const struct row *row, const char *value, struct forward_blocks *to)
{
	struct span list = text_of(value), word;
	unsigned had = to->count;
	struct ip_block block;
	int rc;

	while ((rc = ip_block_next(&list, &word, &block)) > 0) {
		if (to->count == FORWARD_BLOCKS_MAX)
			return row->error;
		to->block[to->count++] = block;
	}
	if (rc == 0 && to->count == had)
		return "No address in the list";
	return rc == 0 ? NULL : "Not an address or block of addresses";
}

/* Where stunnel stands when a line is written is not where it was started. */
static const char *set_log(struct forward_options *o, const char *value)
{
#ifdef USE_WIN32
	(void)o;
	(void)value;
	return "Access logs are not built on Windows";
#else
	if (strcasecmp(value, "syslog") != 0 && value[0] != '/')
		return "Access log must include full path name";
	if (strlen(value) >= sizeof o->log)
		return "The name of the access log is too long";
	memcpy(o->log, value, strlen(value) + 1);
	return NULL;
#endif
}

static const char *note_idle(const struct row *row, const char *name, const char *value)
{
	size_t len = strlen(value);

	if (len == 0 || strspn(value, "0123456789") != len)
		return row->error;
	s_log(LOG_NOTICE,
	      "\"%s = %s\": It has no effect here: the queue is as long as the kernel "
	      "allows",
	      name, value);
	return NULL;
}

static const char *set(const struct row *row, struct forward_options *o, const char *value)
{
	char *at = (char *)o + row->at;
	const char *why = NULL;

	if (!*value)
		return "The value is empty";
	switch (row->kind) {
	case RULE:
		rewrite_option(&o->rewrite, text_of(row->name), text_of(value), &why);
		break;
	case FLAG:
		return set_flag(value, (bool *)(void *)at);
	case NUMBER:
		return set_number(row, value, (unsigned *)(void *)at);
	case SECONDS:
		return set_seconds(row, value, (int *)(void *)at);
	case BLOCKS:
		return add_blocks(row, value, (struct forward_blocks *)(void *)at);
	case TLVS:
		proxy_option(&o->proxy, text_of(value), &why);
		break;
	case MAPPED:
		return set_mapped(value, &o->proxy.keep_mapped);
	case ACCEPT_PROXY:
		return set_accept_proxy(value, &o->accept_proxy);
	case LOG_PATH:
		return set_log(o, value);
	case LOG_FORMAT:
		return exchange_format(&o->log_format, value);
	case SEND_PROXY:
	case IDLE:
		break; /* of no section's options */
	}
	return why;
}

/* sendproxy = yes is read on as what has taken its place. */
static const char *send_proxy(const SERVICE_OPTIONS *section, char **name, char **value)
{
	static char protocol[] = "protocol", proxy[] = "proxy";
	bool wanted;
	const char *why = set_flag(*value, &wanted);

	if (why)
		return why;
	if (!wanted)
		return stock_protocol_is(section, proxy) ? "It cannot undo what was set before"
							 : NULL;
	s_log(LOG_NOTICE, "\"%s = %s\": Newer files have protocol = proxy", *name, *value);
	*name = protocol;
	*value = proxy;
	return forward_go_on;
}

/* --- commands --------------------------------------------------------------------------------- */

static const char *set_line(SERVICE_OPTIONS *section, const SERVICE_OPTIONS *defaults, char **name,
			    char **value)
{
	for (size_t i = 0; i < ROWS; i++) {
		const char *why;

		if (strcasecmp(*name, rows[i].name) != 0)
			continue;
		if (rows[i].kind == SEND_PROXY)
			return send_proxy(section, name, value);
		if (rows[i].kind == IDLE)
			return note_idle(&rows[i], *name, *value);
		why = set(&rows[i], blocks_own(section, defaults), *value);
		if (!why)
			blocks_line(section, rows[i].name, *value);
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
		return o->proxy.tlvs   ? "proxyTLV needs proxyVersion = 2"
		       : o->proxy.pass ? "proxyPassTLV needs proxyVersion = 2"
				       : NULL;
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

static enum forward_accept_proxy accept_proxy(const SERVICE_OPTIONS *section)
{
	return section->forward ? section->forward->accept_proxy : FORWARD_PROXY_NO;
}

/* What a server name takes to another section was said before the name came. */
static const char *check_accept(const SERVICE_OPTIONS *s, const SERVICE_OPTIONS *defaults)
{
	for (const SERVICE_OPTIONS *p = defaults->next; p; p = p->next)
		if (p->ctx && !p->option.client && !s->option.accept &&
		    stock_name_leads_from(p, s) && accept_proxy(s) != accept_proxy(p))
			return "acceptProxy is for the section that accepts: both must have it";
	if (accept_proxy(s) == FORWARD_PROXY_NO)
		return NULL;
	if (s->option.accept && s->forward->proxy_peers.count == 0)
		return "acceptProxy needs acceptProxyFrom: anybody else could say any address";
	if (stock_has_protocol(s) && !stock_protocol_is(s, "proxy"))
		return "acceptProxy goes with no protocol but 'proxy'";
	return NULL;
}

/* Fails closed: an option that could do nothing is an error. */
static const char *check(SERVICE_OPTIONS *s, const SERVICE_OPTIONS *defaults)
{
	struct forward_options *o;
	const char *why = s->option.client ? NULL : check_accept(s, defaults);

	if (!s->forward)
		return why;
	if (s->option.client)
		return "Header and PROXY options are for TLS servers: not with 'client = yes'";
	if (stock_has_datagrams(s))
		return "Header and PROXY options are for TLS servers: not for DTLS";
	o = blocks_own(s, defaults);
	o->http = rewrite_active(&o->rewrite) || o->log[0];
	if (o->http && !why)
		why = check_http(s);
	if (!why)
		why = check_proxy(s, o);
	o->texts = tls_facts_of_templates(&o->rewrite.pool) | tls_facts_of_proxy(&o->proxy);
	if (o->log[0])
		o->texts |= tls_facts_of_templates(&o->log_format.pool);
	if (o->http)
		stock_refuse_renegotiation(s); /* it could change what was told of the client */
	if (o->texts & TLS_CERT_CHAIN)
		keep_sessions_whole(s, defaults);
	if (!why)
		blocks_keep(s);
	return why;
}

bool forward_is_among(const struct forward_blocks *blocks, const struct facts_addr *addr)
{
	for (unsigned i = 0; i < blocks->count; i++)
		if (ip_block_holds(&blocks->block[i], addr))
			return true;
	return false;
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
			   const SERVICE_OPTIONS *defaults, char **name, char **value)
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
