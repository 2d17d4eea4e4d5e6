/* SPDX-License-Identifier: ISC */
#include "section.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "log.h"
#include "options.h"
#include "steps.h"
#include "tls_ctx.h"

/* What is looked at, and where a reason goes. */
struct check {
	struct config *config;
	struct conf_section *section;
	char *why; /* CONF_WHY_MAX bytes */
};

/* What is wrong with the section, after the line of the option that is at fault (NULL: none). */
static bool refuse(struct check *r, const char *option, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool refuse(struct check *r, const char *option, const char *format, ...)
{
	const char *where = option ? options_where(&r->section->options, option) : NULL;
	int at = snprintf(r->why, CONF_WHY_MAX, "%s%sService [%.200s]: ", where ? where : "",
			  where ? ": " : "", r->section->name);
	va_list ap;

	va_start(ap, format);
	vsnprintf(r->why + at, CONF_WHY_MAX - (size_t)at, format, ap);
	va_end(ap);
	return false;
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
static bool check_ip_clients(struct check *r, const struct conf_list *accept)
{
	for (size_t i = 0; i < accept->count; i++)
		if (accept->item[i][0] == '/')
			return refuse(
				r, "protocol",
				"version 1 of the PROXY protocol names a client's IP address, "
				"and clients of %.200s have none (proxyVersion = 2 says so)",
				accept->item[i]);
	return true;
}

/* What a server name takes to another section was said before the name came. */
static bool check_early(struct check *r, const struct conf_section *s,
			const struct conf_section *primary)
{
	if (s->options.accept_proxy == primary->options.accept_proxy)
		return true;
	return refuse(r, "acceptProxy", "acceptProxy is for the section that accepts, [%.100s]",
		      primary->name);
}

/* `sni = PRIMARY:PATTERN`: the pattern is entered with the primary, which must stand before. */
static bool join_primary(struct check *r, struct conf_section *s)
{
	const char *colon = strchr(s->options.sni, ':');
	struct conf_section *primary;
	struct conn_sni *grown;

	if (!colon)
		return refuse(r, "sni", "Invalid SNI parameter format");
	primary = find_section(r->config, s->options.sni, (size_t)(colon - s->options.sni));
	if (!primary || primary == s)
		return refuse(r, "sni", "SNI section name not found: %.200s", s->options.sni);
	if (s->options.protocol && s->options.proxy.version == 1 &&
	    !check_ip_clients(r, &primary->options.accept))
		return false;
	if (!check_early(r, s, primary))
		return false;
	grown = realloc(primary->service.sni, (primary->service.sni_count + 1) * sizeof *grown);
	if (!grown)
		return refuse(r, NULL, "Out of memory");
	primary->service.sni = grown;
	grown[primary->service.sni_count++] = (struct conn_sni){colon + 1, &s->service};
	return true;
}

static bool check_proxy(struct check *r, const struct conf_section *s)
{
	const struct proxy *p = &s->options.proxy;
	size_t size = proxy_estimate(p, 40);

	if (p->version == 1 && p->tlvs != 0)
		return refuse(r, "proxyTLV", "proxyTLV needs proxyVersion = 2");
	if (p->version == 1 && p->pass)
		return refuse(r, "proxyPassTLV", "proxyPassTLV needs proxyVersion = 2");
	if (s->options.protocol && p->version == 2 && size > (size_t)p->max_length)
		log_main(LOG_WARNING,
			 "Service [%s]: the PROXY header can become about %zu bytes long: beyond "
			 "proxyMaxLength = %d TLVs are left out",
			 s->name, size, p->max_length);
	return true;
}

static bool check_protocol(struct check *r, const struct conf_section *s)
{
	static const char *const unbuilt[] = {"cifs", "pgsql",	"smtp",	     "pop3",
					      "imap", "nntp",	"connect",   "socks",
					      "ldap", "capwin", "capwinctrl"};
	const char *protocol = s->options.protocol;

	if (!protocol)
		return true;
	for (size_t i = 0; i < sizeof unbuilt / sizeof unbuilt[0]; i++)
		if (!strcasecmp(protocol, unbuilt[i]))
			return refuse(r, "protocol",
				      "Protocol %.50s of stock stunnel is not built yet", protocol);
	if (strcasecmp(protocol, "proxy") != 0)
		return refuse(r, "protocol", "Protocol not supported: %.200s", protocol);
	if (!check_proxy(r, s))
		return false;
	return s->options.proxy.version != 1 || check_ip_clients(r, &s->options.accept);
}

static bool check_endpoints(struct check *r, const struct conf_section *s)
{
	int endpoints = (s->options.accept.count != 0) + (s->options.connect.count != 0) +
			(s->options.sni != NULL);

	if (endpoints != 2)
		return refuse(r, NULL, "Each service must define two endpoints");
	if (!s->options.connect.count)
		return refuse(r, NULL, "A service without 'connect' has nowhere to go");
	return true;
}

static bool add_block(struct check *r, const struct ip_block *block, struct ip_block **blocks,
		      size_t *count)
{
	struct ip_block *grown = realloc(*blocks, (*count + 1) * sizeof *block);

	if (!grown)
		return refuse(r, NULL, "Out of memory");
	*blocks = grown;
	grown[(*count)++] = *block;
	return true;
}

static bool parse_blocks(struct check *r, const char *option, const struct conf_list *lines,
			 struct ip_block **blocks, size_t *count)
{
	for (size_t i = 0; i < lines->count; i++) {
		struct span list = span_of(lines->item[i], strlen(lines->item[i])), text;
		struct ip_block block;
		int rc;

		while ((rc = ip_block_next(&list, &text, &block)) > 0)
			if (!add_block(r, &block, blocks, count))
				return false;
		if (rc < 0)
			return refuse(r, option, "Not an address or block of addresses: %.*s",
				      text.len < 100 ? (int)text.len : 100, text.p);
	}
	return true;
}

/* Who may say who the client is, in which way. */
static bool parse_peers(struct check *r, struct conf_section *s)
{
	struct conn_service *service = &s->service;

	if (!parse_blocks(r, "trustedProxy", &s->options.trusted, &service->trusted,
			  &service->trusted_count) ||
	    !parse_blocks(r, "acceptProxyFrom", &s->options.proxy_peers, &service->proxy_peers,
			  &service->proxy_peer_count))
		return false;
	if (service->accept_proxy != CONN_PROXY_NO && service->proxy_peer_count == 0 &&
	    s->options.accept.count != 0)
		return refuse(
			r, "acceptProxy",
			"acceptProxy needs acceptProxyFrom: anybody else could say any address");
	return true;
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
	file = calloc(1, sizeof *file);
	if (!file)
		return NULL;
	file->path = path;
	file->fd = -1;
	*last = file;
	return file;
}

static bool make_access(struct check *r, struct conf_section *s)
{
	struct config *config = r->config;
	const char *path = s->options.access, *why;
	struct access_log *log;

	if (!path)
		return true;
	if (config->globals.foreground == CONF_BACKGROUND && strcasecmp(path, "syslog") != 0 &&
	    path[0] != '/')
		return refuse(r, "accessLog", "Access log must include full path name");
	log = calloc(1, sizeof *log);
	if (log)
		log->file = access_file(config, path);
	s->service.access = log;
	if (!log || !log->file)
		return refuse(r, NULL, "Out of memory");
	why = access_format(log, s->options.access_format ? s->options.access_format : "");
	return !why || refuse(r, "accessLogFormat", "%s", why);
}

static bool resolve_all(struct check *r, struct conf_section *s)
{
	const struct conf_list *accept = &s->options.accept, *connect = &s->options.connect;
	struct conn_service *service = &s->service;
	char why[256];

	for (size_t i = 0; i < accept->count; i++)
		if (net_resolve(accept->item[i], true, &s->accept, why) != 0)
			return refuse(r, "accept", "Cannot resolve accept target: %s", why);
	for (size_t i = 0; i < connect->count; i++) {
		if (net_resolve(connect->item[i], false, &service->targets, why) == 0)
			continue;
		log_main(LOG_INFO, "Cannot resolve connect target - delaying DNS lookup: %s", why);
		service->target_names = connect->item;
		service->target_name_count = connect->count;
	}
	return true;
}

static unsigned texts_on_cert(const struct conn_service *service)
{
	unsigned texts = tls_texts_of_templates(&service->rewrite.pool);

	if (service->access)
		texts |= tls_texts_of_templates(&service->access->pool);
	if (service->send_proxy)
		texts |= tls_texts_of_proxy(&service->proxy);
	return texts;
}

static struct tls_names names_of(const struct conf_list *list)
{
	return (struct tls_names){list->item, list->count};
}

static bool check_verification(struct check *r, const struct conf_options *o)
{
	const char *check = o->check_host.count	   ? "checkHost"
			    : o->check_email.count ? "checkEmail"
			    : o->check_ip.count	   ? "checkIP"
						   : NULL;

	if (o->verify & (TLS_VERIFY_CHAIN | TLS_VERIFY_PEER))
		return o->ca_file || o->ca_path ||
		       refuse(r, NULL,
			      "Either \"CAengine\", \"CAfile\", \"CApath\" or "
			      "\"CAstore\" has to be configured");
	return !check ||
	       refuse(r, check, "Either \"verifyChain\" or \"verifyPeer\" has to be enabled");
}

static bool make_tls(struct check *r, struct conf_section *s)
{
	const struct conf_options *o = &s->options;
	struct tls_settings settings = {
		.service = s->name,
		.cert = o->cert,
		.key = o->key ? o->key : o->cert,
		.ciphers = o->ciphers,
		.ciphersuites = o->ciphersuites,
		.curves = o->curves,
		.version_min = o->version_min,
		.version_max = o->version_max,
		.options_set = o->tls_set,
		.options_clear = o->tls_clear,
		.alpn = o->alpn,
		.verify = {o->verify, o->ca_file, o->ca_path, o->crl_file, o->crl_path,
			   names_of(&o->check_host), names_of(&o->check_email),
			   names_of(&o->check_ip)},
		.cert_texts = texts_on_cert(&s->service),
	};
	char why[TLS_WHY_MAX];
	const char *option;

	if (!o->cert)
		return refuse(r, NULL, "TLS server needs a certificate");
	if (!check_verification(r, o))
		return false;
	s->service.cert_texts = settings.cert_texts;
	/* A client that agreed on anything else would speak past the HTTP machine. */
	if (steps_http(&s->service)) {
		if (o->alpn && strcasecmp(o->alpn, "http/1.1") != 0)
			log_main(LOG_WARNING,
				 "Service [%s] sets headers: of 'alpn' only http/1.1 is offered",
				 s->name);
		settings.alpn = "http/1.1";
	}
	s->service.tls = tls_ctx_new(&settings, &option, why);
	return s->service.tls || refuse(r, option, "%s", why);
}

bool section_finish(struct config *config, struct conf_section *s, char why[static CONF_WHY_MAX])
{
	struct check check = {config, s, why}, *r = &check;
	struct conn_service *service = &s->service;
	size_t out_min;

	service->name = s->name;
	service->log_level = s->options.log_level;
	service->timeout = s->options.timeout;
	service->failover = (enum conn_failover)s->options.failover;
	service->options = s->options.sockets;
	service->rewrite = s->options.rewrite;
	service->limits = s->options.limits;
	service->limits.keep_client = s->options.keep_client;
	service->proxy = s->options.proxy;
	service->send_proxy = s->options.protocol != NULL;
	service->accept_proxy = (enum conn_accept_proxy)s->options.accept_proxy;
	log_main(LOG_INFO, "Initializing service [%s]", s->name);
	if ((s->options.sni && !join_primary(r, s)) || !check_endpoints(r, s) ||
	    !check_protocol(r, s) || !make_access(r, s) || !make_tls(r, s) || !parse_peers(r, s) ||
	    !resolve_all(r, s))
		return false;
	steps_plan(service);
	out_min = h1_out_min(&service->rewrite, service->limits);
	if (out_min > r->config->out_cap)
		r->config->out_cap = out_min;
	return true;
}
