/* SPDX-License-Identifier: ISC */
#include "forward_options.h"
#include "forward_blocks.h"
#include "forward_stock.h"

const char forward_go_on[] = "";

/* Options of a patched stock that core/service.h does not have. */
enum kind {
	LOG_PATH,
	LOG_FORMAT,
	SEND_PROXY, /* from another patch: means `protocol = proxy` */
	IDLE,	    /* from another patch: a number without effect */
};

static const struct row {
	enum kind kind;
	struct service_info info;
} rows[] = {
	{LOG_PATH, {"accessLog", NULL, "FILE|syslog for a line a request"}},
	{LOG_FORMAT, {"accessLogFormat", "combined", "combined|json or a template of these lines"}},
	{IDLE, {"listenqueue", NULL, "without effect: the queue is as long as the kernel allows"}},
	{SEND_PROXY, {"sendproxy", "no", "yes: protocol = proxy"}},
};

#define ROWS (sizeof rows / sizeof rows[0])

/* --- values ----------------------------------------------------------------------------------- */

static struct span text_of(const char *text)
{
	return span_of(text, strlen(text));
}

static const char *set_flag(const char *value, bool *to)
{
	static const char error[] = "The argument needs to be either 'yes' or 'no'";

	if (strcasecmp(value, "yes") != 0 && strcasecmp(value, "no") != 0)
		return error;
	*to = !strcasecmp(value, "yes");
	return NULL;
}

/* Refuses a relative path, since stock changes its working directory after the start. */
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

static const char *note_idle(const char *name, const char *value)
{
	size_t len = strlen(value);

	if (len == 0 || strspn(value, "0123456789") != len)
		return "Illegal length of a queue";
	s_log(LOG_NOTICE,
	      "\"%s = %s\": It has no effect here: the queue is as long as the kernel "
	      "allows",
	      name, value);
	return NULL;
}

/* Replaces `sendproxy = yes` by `protocol = proxy`, which stock then reads. */
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

static const char *set_service(struct forward_options *o, const char *name, const char *value)
{
	struct service_fault fault;

	service_option(&o->service, text_of(name), text_of(value), &fault);
	return fault.why;
}

static const char *set_own(enum kind kind, struct forward_options *o, const char *value)
{
	if (!*value)
		return "The value is empty";
	return kind == LOG_PATH ? set_log(o, value) : exchange_format(&o->log_format, value);
}

static bool find_service(const char *name, struct service_info *info)
{
	for (size_t i = 0; service_row(i, info); i++)
		if (!strcasecmp(name, info->name))
			return true;
	return false;
}

static const struct row *find_own(const char *name)
{
	for (size_t i = 0; i < ROWS; i++)
		if (!strcasecmp(name, rows[i].info.name))
			return &rows[i];
	return NULL;
}

static const char *set_line(SERVICE_OPTIONS *section, const SERVICE_OPTIONS *defaults, char **name,
			    char **value)
{
	const struct row *own = find_own(*name);
	struct service_info info;
	const char *why;

	if (own && own->kind == SEND_PROXY)
		return send_proxy(section, name, value);
	if (own && own->kind == IDLE)
		return note_idle(*name, *value);
	if (own) {
		info = own->info;
		why = set_own(own->kind, blocks_own(section, defaults), *value);
	} else if (find_service(*name, &info)) {
		why = set_service(blocks_own(section, defaults), *name, *value);
	} else {
		return forward_go_on;
	}
	if (!why)
		blocks_line(section, info.name, *value);
	return why;
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

/* The first fault of these parts of a service, or NULL. */
static const char *check_service(const struct service *s, unsigned parts)
{
	struct service_fault fault;
	size_t at = 0;

	return service_check(s, parts, &at, &fault) ? fault.why : NULL;
}

static void warn_of_long_header(const SERVICE_OPTIONS *section, const struct service *s)
{
	size_t size = service_long_header(s);

	if (size != 0 && stock_has_protocol(section))
		s_log(LOG_WARNING,
		      "Service [%s]: the PROXY header can become about %lu bytes long: beyond "
		      "proxyMaxLength = %d TLVs are left out",
		      section->servname, (unsigned long)size, s->proxy.max_length);
}

/*
 * A ticket holds the leaf certificate only: a resumed session would lack the chain. The section
 * that accepts issues the tickets; in the file it precedes those that a server name leads to.
 */
static void keep_sessions_whole(SERVICE_OPTIONS *s, const SERVICE_OPTIONS *defaults)
{
	stock_refuse_tickets(s);
	for (const SERVICE_OPTIONS *p = defaults->next; p; p = p->next)
		if (p->ctx && stock_name_leads_from(p, s))
			SSL_CTX_set_options(p->ctx, SSL_OP_NO_TICKET);
}

static enum service_accept_proxy accept_proxy(const SERVICE_OPTIONS *section)
{
	return section->forward ? section->forward->service.accept_proxy : SERVICE_PROXY_NO;
}

/* The PROXY header comes before the ClientHello, and so before a server name selects s. */
static const char *check_accept(const SERVICE_OPTIONS *s, const SERVICE_OPTIONS *defaults)
{
	const char *why;

	for (const SERVICE_OPTIONS *p = defaults->next; p; p = p->next)
		if (p->ctx && !p->option.client && !s->option.accept &&
		    stock_name_leads_from(p, s) && accept_proxy(s) != accept_proxy(p))
			return "acceptProxy is for the section that accepts: both must have it";
	if (accept_proxy(s) == SERVICE_PROXY_NO)
		return NULL;
	why = check_service(&s->forward->service, s->option.accept ? SERVICE_ACCEPTS : 0);
	if (why)
		return why;
	if (stock_has_protocol(s) && !stock_protocol_is(s, "proxy"))
		return "acceptProxy goes with no protocol but 'proxy'";
	return NULL;
}

/* Fails closed: an option that could have no effect in the section is an error. */
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
	o->needs = service_needs(&o->service, true, o->log[0] ? &o->log_format.pool : NULL);
	if (o->needs.http && !why)
		why = check_http(s);
	if (!why)
		why = check_service(&o->service, SERVICE_SENDS_PROXY | SERVICE_ONE_TO_ONE);
	if (!why)
		warn_of_long_header(s, &o->service);
	if (o->needs.http)
		stock_refuse_renegotiation(s); /* the backend was told of the first certificate */
	if (o->needs.cert_texts & FACTS_CERT_CHAIN)
		keep_sessions_whole(s, defaults);
	if (!why)
		blocks_keep(s);
	return why;
}

/* Prints rows[] and the rows of core/service.c merged, since both are in alphabetical order. */
static void print(enum forward_command command)
{
	struct service_info shared;
	size_t n = 0, own = 0;

	while (own < ROWS || service_row(n, &shared)) {
		bool mine = !service_row(n, &shared) ||
			    (own < ROWS && strcasecmp(rows[own].info.name, shared.name) < 0);
		const struct service_info *info = mine ? &rows[own++].info : &shared;
		const char *text = command == FORWARD_HELP ? info->help : info->initial;

		n += !mine;
		if (text)
			s_log(LOG_NOTICE, "%-22s = %s", info->name, text);
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
