/* SPDX-License-Identifier: ISC */
#include "config/section.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sys/log.h"
#include "config/options.h"
#include "conn/steps/plan.h"
#include "tls/ctx.h"
#include "tls/library.h"
#include "tls/trial.h"

/* What is looked at, and where a reason goes. */
struct check {
	struct config *config;
	struct conf_section *section;
	struct report *report;
	size_t last_line; /* of the section */
};

/* What is wrong with the section, at the line of the option that is at fault (NULL: none). */
static void complain(struct check *r, enum report_kind kind, struct conf_line *line,
		     const char *format, va_list ap) __attribute__((format(printf, 4, 0)));

static void complain(struct check *r, enum report_kind kind, struct conf_line *line,
		     const char *format, va_list ap)
{
	struct report_place place = {line, r->last_line, r->section->title};
	char reason[512];

	vsnprintf(reason, sizeof reason, format, ap);
	report_add(r->report, kind, &place, "%s", reason);
	if (line && kind == REPORT_ERROR)
		line->refused = true;
}

/* False, for its callers to return. */
static bool refuse(struct check *r, const char *option, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool refuse(struct check *r, const char *option, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	complain(r, REPORT_ERROR, option ? options_line(&r->section->options, option) : NULL,
		 format, ap);
	va_end(ap);
	return false;
}

/* The same of one line among several of an option, or of less than an error. */
static void tell(struct check *r, enum report_kind kind, struct conf_line *line, const char *format,
		 ...) __attribute__((format(printf, 4, 5)));

static void tell(struct check *r, enum report_kind kind, struct conf_line *line, const char *format,
		 ...)
{
	va_list ap;

	va_start(ap, format);
	complain(r, kind, line, format, ap);
	va_end(ap);
}

/* Whether a line of one of these options was refused: nobody needs to hear that it is missing. */
static bool any_refused(const struct check *r, const char *const *options)
{
	for (; *options; options++) {
		const struct conf_line *line = options_line(&r->section->options, *options);

		if (line && line->refused)
			return true;
	}
	return false;
}

#define ANY_REFUSED(check, ...) any_refused(check, (const char *const[]){__VA_ARGS__, NULL})

/* Of several options that say one thing the last line decides. */
static const char *latest(const struct check *r, const char *const *options)
{
	const char *found = NULL;
	size_t order = 0;

	for (; *options; options++) {
		const struct conf_line *line = options_line(&r->section->options, *options);

		if (!line || line->order < order)
			continue;
		found = *options;
		order = line->order;
	}
	return found;
}

static struct conf_section *find_section(struct config *config, const char *name, size_t len)
{
	for (size_t i = 0; i < config->count; i++)
		if (strlen(config->section[i]->name) == len &&
		    !memcmp(config->section[i]->name, name, len))
			return config->section[i];
	return NULL;
}

/* A PROXY header names IP addresses: nobody may come over a Unix socket. */
static void check_ip_clients(struct check *r, const struct conf_list *accept)
{
	for (size_t i = 0; i < accept->count; i++)
		if (accept->item[i][0] == '/')
			refuse(r, "protocol",
			       "version 1 of the PROXY protocol names a client's IP address, "
			       "and clients of %.200s have none (proxyVersion = 2 says so)",
			       accept->item[i]);
}

/* What a server name takes to another section was said before the name came. */
static void check_early(struct check *r, const struct conf_section *s,
			const struct conf_section *primary)
{
	if (s->options.accept_proxy != primary->options.accept_proxy)
		refuse(r, "acceptProxy", "acceptProxy is for the section that accepts, [%.100s]",
		       primary->name);
	if (s->options.max_connections != 0)
		refuse(r, "maxConnections",
		       "maxConnections is for the section that accepts, [%.100s]", primary->name);
}

/* `sni = PRIMARY:PATTERN`: the pattern is entered with the primary, which must stand before. */
static bool join_primary(struct check *r, struct conf_section *s)
{
	const char *colon = strchr(s->options.sni, ':');
	struct conf_section *primary;
	struct conn_sni *grown;

	if (!colon)
		return refuse(r, "sni", "Invalid SNI parameter format (PRIMARY:PATTERN)");
	primary = find_section(r->config, s->options.sni, (size_t)(colon - s->options.sni));
	if (!primary || primary == s)
		return refuse(r, "sni", "SNI section name not found: %.200s", s->options.sni);
	if (!colon[1])
		tell(r, REPORT_FAULT, options_line(&s->options, "sni"),
		     "No server name matches an empty pattern");
	if (s->options.protocol && s->options.proxy.version == 1)
		check_ip_clients(r, &primary->options.accept);
	check_early(r, s, primary);
	grown = arena_grow(&r->config->arena, primary->service.sni, primary->service.sni_count,
			   sizeof *grown);
	if (!grown)
		return false;
	primary->service.sni = grown;
	grown[primary->service.sni_count++] = (struct conn_sni){colon + 1, &s->service};
	return true;
}

static void check_proxy(struct check *r, const struct conf_section *s)
{
	const struct proxy *p = &s->options.proxy;
	size_t size = proxy_estimate(p, 40);

	if (p->version == 1 && p->tlvs != 0)
		refuse(r, "proxyTLV", "proxyTLV needs proxyVersion = 2");
	if (p->version == 1 && p->pass)
		refuse(r, "proxyPassTLV", "proxyPassTLV needs proxyVersion = 2");
	if (p->version == 1)
		check_ip_clients(r, &s->options.accept);
	if (p->version == 2 && size > (size_t)p->max_length)
		tell(r, REPORT_WARNING, options_line(&s->options, "proxyTLV"),
		     "the PROXY header can become about %zu bytes long: beyond "
		     "proxyMaxLength = %d TLVs are left out",
		     size, p->max_length);
}

static void check_protocol(struct check *r, const struct conf_section *s)
{
	static const char *const unbuilt[] = {"cifs", "pgsql",	"smtp",	     "pop3",
					      "imap", "nntp",	"connect",   "socks",
					      "ldap", "capwin", "capwinctrl"};
	const char *protocol = s->options.protocol;

	if (!protocol)
		return;
	for (size_t i = 0; i < sizeof unbuilt / sizeof unbuilt[0]; i++) {
		if (strcasecmp(protocol, unbuilt[i]) != 0)
			continue;
		refuse(r, "protocol", "Protocol %.50s of stock stunnel is not built yet", protocol);
		return;
	}
	if (strcasecmp(protocol, "proxy") != 0)
		refuse(r, "protocol", "Protocol not supported: %.200s%s", protocol,
		       strcasestr(protocol, "proxy") ? ": write protocol = proxy, and proxyVersion"
						     : "");
	else
		check_proxy(r, s);
}

/* setuid and setgid of a section own the socket; no other socket has an owner. */
static void check_owner(struct check *r, const struct conf_section *s)
{
	static const char *const names[] = {"setuid", "setgid"};

	for (size_t i = 0; i < s->options.accept.count; i++)
		for (size_t n = 0; s->options.accept.item[i][0] == '/' && n < 2; n++)
			if (options_line(&s->options, names[n]) !=
			    options_line(&r->config->defaults, names[n]))
				refuse(r, names[n], "The owner of a Unix socket is not built yet");
}

/* What else may stand for an endpoint is not built, and was refused at its line. */
static void check_endpoints(struct check *r, const struct conf_section *s)
{
	const struct conf_options *o = &s->options;
	bool listens = o->accept.count != 0 || o->sni != NULL;

	if (ANY_REFUSED(r, "accept", "connect", "sni", "exec", "client", "protocol", "transparent"))
		return;
	if (o->connect.count && (o->accept.count != 0) != (o->sni != NULL))
		return;
	refuse(r, NULL, "Each service must define two endpoints: %s",
	       o->accept.count && o->sni ? "'accept' and 'sni' are two for one"
	       : listens		 ? "'connect' is missing"
	       : o->connect.count	 ? "'accept' is missing"
					 : "'accept' and 'connect' are missing");
}

static void parse_blocks(struct check *r, const struct conf_list *lines, struct ip_block **blocks,
			 size_t *count)
{
	for (size_t i = 0; i < lines->count; i++) {
		struct span list = span_of(lines->item[i], strlen(lines->item[i])), text;
		struct ip_block block;
		size_t had = *count;
		int rc;

		while ((rc = ip_block_next(&list, &text, &block)) > 0) {
			*blocks = arena_grow(&r->config->arena, *blocks, *count, sizeof block);
			if (!*blocks)
				return;
			(*blocks)[(*count)++] = block;
		}
		if (rc < 0)
			tell(r, REPORT_ERROR, lines->line[i],
			     "Not an address or block of addresses: %.*s",
			     text.len < 100 ? (int)text.len : 100, text.p);
		else if (*count == had)
			tell(r, REPORT_ERROR, lines->line[i], "No address in the list");
	}
}

/* Who may say who the client is, in which way. */
static void parse_peers(struct check *r, struct conf_section *s)
{
	const struct conf_options *o = &s->options;
	struct conn_service *service = &s->service;

	parse_blocks(r, &o->trusted, &service->trusted, &service->trusted_count);
	parse_blocks(r, &o->proxy_peers, &service->proxy_peers, &service->proxy_peer_count);
	if (service->accept_proxy != CONN_PROXY_NO && o->proxy_peers.count == 0 &&
	    o->accept.count != 0 && !ANY_REFUSED(r, "acceptProxyFrom"))
		refuse(r, "acceptProxy",
		       "acceptProxy needs acceptProxyFrom: anybody else could say any address");
}

/* The destination that a path, or `syslog`, stands for; one for all sections that name it. */
static struct access_file *access_file(struct config *config, const char *path)
{
	struct access_file **last = &config->access;
	struct access_file *file;

	if (!strcasecmp(path, "syslog"))
		path = NULL;
	for (; *last; last = &(*last)->next)
		if (path && (*last)->path ? !strcmp(path, (*last)->path) : path == (*last)->path)
			return *last;
	file = arena_alloc(&config->arena, sizeof *file);
	if (!file)
		return NULL;
	file->path = path;
	file->log.fd = -1;
	*last = file;
	return file;
}

/* A format is looked at also where nothing is to be written in it yet. */
static void check_format(struct check *r, struct access_log *log, const char *format)
{
	const char *why = exchange_format(&log->format, format ? format : "");

	if (why && !ANY_REFUSED(r, "accessLogFormat"))
		refuse(r, "accessLogFormat", "%s", why);
}

static void make_access(struct check *r, struct conf_section *s)
{
	struct config *config = r->config;
	const char *path = s->options.access;
	struct access_log *log = arena_alloc(&config->arena, sizeof *log);

	if (!log)
		return;
	check_format(r, log, s->options.access_format);
	if (!path)
		return;
	s->service.access = log;
	log->file = access_file(config, path);
	if (config->globals.foreground == CONF_BACKGROUND && strcasecmp(path, "syslog") != 0 &&
	    path[0] != '/')
		refuse(r, "accessLog", "Access log must include full path name");
}

static unsigned texts_on_cert(const struct conn_service *service)
{
	unsigned texts = tls_facts_of_templates(&service->rewrite.pool);

	if (service->access)
		texts |= tls_facts_of_templates(&service->access->format.pool);
	if (service->send_proxy)
		texts |= tls_facts_of_proxy(&service->proxy);
	return texts;
}

static struct tls_names names_of(const struct conf_list *list)
{
	return (struct tls_names){list->item, list->count};
}

static void check_verification(struct check *r, const struct conf_options *o)
{
	static const char *const asks[] = {"verify", "verifyChain", "verifyPeer", NULL};
	const char *check = o->check_host.count	   ? "checkHost"
			    : o->check_email.count ? "checkEmail"
			    : o->check_ip.count	   ? "checkIP"
						   : NULL;
	bool verified = o->verify & (TLS_VERIFY_CHAIN | TLS_VERIFY_PEER);

	if (verified && !o->ca_file && !o->ca_path &&
	    !ANY_REFUSED(r, "CAfile", "CApath", "CAengine", "CAstore"))
		refuse(r, latest(r, asks), "Either \"CAfile\" or \"CApath\" has to be configured");
	if (check && !verified && !any_refused(r, asks))
		refuse(r, check, "Either \"verifyChain\" or \"verifyPeer\" has to be enabled");
}

/* The option as it was written, of those that say the same. */
static const char *as_written(struct check *r, const char *option)
{
	static const char *const versions[] = {"sslVersion", "sslVersionMin", "sslVersionMax",
					       NULL};

	return option && !strcmp(option, "sslVersion") ? latest(r, versions) : option;
}

/* From tls_ctx_new(). */
static void tell_tls(void *arg, enum tls_trouble trouble, const char *option, const char *why)
{
	static const enum report_kind kinds[] = {[TLS_TROUBLE_WARNING] = REPORT_WARNING,
						 [TLS_TROUBLE_NOBODY] = REPORT_FAULT,
						 [TLS_TROUBLE_ERROR] = REPORT_ERROR};
	struct check *r = arg;

	option = as_written(r, option);
	tell(r, kinds[trouble], option ? options_line(&r->section->options, option) : NULL, "%s",
	     why);
}

/* From tls_trial(). */
static void tell_trial(void *arg, bool nobody, const char *option, const char *why)
{
	struct check *r = arg;

	option = as_written(r, option);
	tell(r, nobody ? REPORT_FAULT : REPORT_WARNING,
	     option ? options_line(&r->section->options, option) : NULL, "%s", why);
}

/* There is no other way to resume a session. */
static uint64_t no_tickets(void)
{
	uint64_t bit = 0;

	tls_library_option("NO_TICKET", &bit);
	return bit;
}

static void make_context(struct check *r, struct tls_settings *settings)
{
	struct tls_ctx *ctx;

	settings->ca_folder = conf_outside(r->config, settings->verify.ca_path);
	settings->crl_folder = conf_outside(r->config, settings->verify.crl_path);
	ctx = tls_ctx_new(settings, tell_tls, r);
	if (ctx)
		tls_trial(ctx, settings, tell_trial, r);
	r->section->service.tls = ctx;
}

static void make_tls(struct check *r, struct conf_section *s)
{
	static const char *const curves[] = {"curve", "curves", NULL};
	const struct conf_options *o = &s->options;
	struct tls_settings settings = {
		.service = s->name,
		.cert = ANY_REFUSED(r, "key") ? NULL
					      : o->cert, /* one is nothing without the other */
		.key = o->key,
		.ciphers = o->ciphers,
		.ciphersuites = o->ciphersuites,
		.curves = o->curves,
		.curves_option = latest(r, curves),
		.version_min = o->version_min,
		.version_max = o->version_max,
		.options_set = o->tls_set,
		.options_clear = o->tls_clear,
		.session_seconds = o->session_seconds,
		.alpn = o->alpn,
		.verify = {o->verify, o->ca_file, o->ca_path, o->crl_file, o->crl_path,
			   names_of(&o->check_host), names_of(&o->check_email),
			   names_of(&o->check_ip)},
		.cert_texts = texts_on_cert(&s->service),
	};

	if (!o->session_resume)
		settings.options_set |= no_tickets();
	if (!o->cert && !ANY_REFUSED(r, "cert", "PSKsecrets", "engine", "client"))
		refuse(r, NULL, "TLS server needs a certificate");
	check_verification(r, o);
	s->service.cert_texts = settings.cert_texts;
	/* A client that agreed on anything else would speak past the HTTP machine. */
	if (plan_http(&s->service)) {
		if (o->alpn && strcasecmp(o->alpn, "http/1.1") != 0)
			tell(r, REPORT_WARNING, options_line(o, "alpn"),
			     "headers are set: of 'alpn' only http/1.1 is offered");
		settings.alpn = "http/1.1";
	}
	make_context(r, &settings);
}

static void copy_options(struct conn_service *service, const struct conf_section *s)
{
	const struct conf_options *o = &s->options;

	service->name = s->name;
	service->log_level = o->log_level;
	service->timeout = o->timeout;
	service->failover = (enum conn_failover)o->failover;
	service->options = o->sockets;
	service->rewrite = o->rewrite;
	service->limits = o->limits;
	service->limits.keep_client = o->keep_client;
	service->proxy = o->proxy;
	service->send_proxy = o->protocol != NULL;
	service->accept_proxy = (enum conn_accept_proxy)o->accept_proxy;
	service->admit.max = (uint32_t)o->max_connections;
}

void section_finish(struct config *config, struct conf_section *s, struct report *report,
		    size_t last_line)
{
	struct check check = {config, s, report, last_line}, *r = &check;
	struct conn_service *service = &s->service;
	size_t errors = report->count[REPORT_ERROR], out_min;

	log_main(LOG_INFO, "Initializing service [%s]", s->name);
	copy_options(service, s);
	/* A client's `sni` is a name. */
	if (s->options.sni && !ANY_REFUSED(r, "client"))
		join_primary(r, s);
	check_protocol(r, s);
	check_endpoints(r, s);
	check_owner(r, s);
	make_access(r, s);
	make_tls(r, s);
	parse_peers(r, s);
	if (report->count[REPORT_ERROR] != errors)
		return;
	out_min = h1_out_min(&service->rewrite, service->limits);
	if (out_min > config->out_cap)
		config->out_cap = out_min;
}
