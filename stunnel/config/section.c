/* SPDX-License-Identifier: ISC */
#include "config/section.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "sys/endpoint.h"
#include "sys/log.h"
#include "config/table.h"
#include "conn/steps/plan.h"
#include "negotiate/negotiators.h"
#include "tls/ctx.h"
#include "tls/facts.h"
#include "tls/trial.h"

/* The section that is checked, and where reasons go. */
struct check {
	struct config *config;
	struct config_section *section;
	struct report *report;
	size_t last_line; /* of the section */
};

/* Reports what is wrong with the section, at the line at fault, or behind its last (NULL). */
static void complain(struct check *r, enum report_kind kind, struct report_line *line,
		     const char *format, va_list ap) __attribute__((format(printf, 4, 0)));

static void complain(struct check *r, enum report_kind kind, struct report_line *line,
		     const char *format, va_list ap)
{
	struct report_place place = {line, r->last_line, r->section->title};
	char reason[512];

	vsnprintf(reason, sizeof reason, format, ap);
	report_add(r->report, kind, &place, "%s", reason);
	if (line && kind == REPORT_ERROR)
		line->refused = true;
}

/* Reports an error at the option's last line (NULL: no option); returns false, for callers to. */
static bool refuse(struct check *r, const char *option, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool refuse(struct check *r, const char *option, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	complain(r, REPORT_ERROR, option ? table_line(r->section, option) : NULL, format, ap);
	va_end(ap);
	return false;
}

/* Reports at one line among several of an option, or what is less than an error. */
static void tell(struct check *r, enum report_kind kind, struct report_line *line,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));

static void tell(struct check *r, enum report_kind kind, struct report_line *line,
		 const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	complain(r, kind, line, format, ap);
	va_end(ap);
}

/* Whether a line of one of these options was refused: nobody needs to hear that it is missing. */
static bool any_refused(const struct check *r, const char *const *options)
{
	for (; *options; options++)
		if (table_refused(r->section, *options))
			return true;
	return false;
}

#define ANY_REFUSED(check, ...) any_refused(check, (const char *const[]){__VA_ARGS__, NULL})

static bool is_proxy(const struct config_section *s)
{
	return s->protocol && !strcasecmp(s->protocol, "proxy");
}

/* A PROXY header names IP addresses: nobody may come over a Unix socket. */
static void check_ip_clients(struct check *r, const struct values_list *accept)
{
	for (size_t i = 0; i < accept->count; i++)
		if (accept->item[i][0] == '/')
			refuse(r, "protocol",
			       "version 1 of the PROXY protocol names a client's IP address, "
			       "and clients of %.200s have none (proxyVersion = 2 says so)",
			       accept->item[i]);
}

/* Refuses options that act before a server name can lead to this section. */
static void check_early(struct check *r, const struct config_section *s,
			const struct config_section *primary)
{
	if (s->service.policy.accept_proxy != primary->service.policy.accept_proxy)
		refuse(r, "acceptProxy", "acceptProxy is for the section that accepts, [%.100s]",
		       primary->service.name);
	if (s->service.admit.max != 0)
		refuse(r, "maxConnections",
		       "maxConnections is for the section that accepts, [%.100s]",
		       primary->service.name);
}

/* `sni = PRIMARY:PATTERN`: the pattern is entered with the primary, which must stand before. */
static bool join_primary(struct check *r, struct config_section *s)
{
	const char *colon = strchr(s->sni, ':');
	struct config_section *primary;
	struct conn_sni *grown;

	if (!colon)
		return refuse(r, "sni", "Invalid SNI parameter format (PRIMARY:PATTERN)");
	primary = config_section_named(r->config, s->sni, (size_t)(colon - s->sni));
	if (!primary || primary == s)
		return refuse(r, "sni", "SNI section name not found: %.200s", s->sni);
	if (primary->service.client)
		return refuse(r, "sni", "SNI primary service is a TLS client: [%.100s]",
			      primary->service.name);
	if (!colon[1])
		tell(r, REPORT_FAULT, table_line(s, "sni"),
		     "No server name matches an empty pattern");
	if (is_proxy(s) && s->service.policy.proxy.version == 1)
		check_ip_clients(r, &primary->accept_on);
	check_early(r, s, primary);
	grown = arena_grow(&r->config->arena, primary->service.sni, primary->service.sni_count,
			   sizeof *grown);
	if (!grown)
		return false;
	primary->service.sni = grown;
	grown[primary->service.sni_count++] = (struct conn_sni){colon + 1, &s->service};
	return true;
}

static void check_proxy(struct check *r, const struct config_section *s)
{
	const struct service *policy = &s->service.policy;
	size_t size = service_long_header(policy);

	if (policy->proxy.version == 1)
		check_ip_clients(r, &s->accept_on);
	if (size != 0)
		tell(r, REPORT_WARNING, table_line(s, "proxyTLV"),
		     "the PROXY header can become about %zu bytes long: beyond "
		     "proxyMaxLength = %d TLVs are left out",
		     size, policy->proxy.max_length);
}

/* Of stock's negotiators these are not built, in either mode or for a server. */
static bool is_unbuilt(const char *protocol, bool client)
{
	return !strcasecmp(protocol, "capwin") || !strcasecmp(protocol, "capwinctrl") ||
	       (!client && (!strcasecmp(protocol, "connect") || !strcasecmp(protocol, "socks")));
}

static void check_negotiation(struct check *r, const struct config_section *s)
{
	bool client = s->service.client;
	const char *why = negotiators_check(s->protocol, client, &s->service.negotiation);

	if (is_unbuilt(s->protocol, client))
		refuse(r, "protocol", "Protocol %.50s of stock stunnel is not built yet%s",
		       s->protocol, client ? "" : " in the server mode");
	else if (!negotiators_know_any(s->protocol))
		refuse(r, "protocol", "Protocol not supported: %.200s%s", s->protocol,
		       strcasestr(s->protocol, "proxy")
			       ? ": write protocol = proxy, and proxyVersion"
			       : "");
	else if (!negotiators_know(s->protocol, client))
		refuse(r, "protocol", "The configured protocol is not supported in the %s mode",
		       client ? "client" : "server");
	else if (why)
		refuse(r, "protocol", "%s", why);
	else if (conn_service_http(&s->service) && strcasecmp(s->protocol, "connect") != 0 &&
		 strcasecmp(s->protocol, "socks") != 0)
		refuse(r, "protocol", "protocol = %.50s leads to no HTTP, whose headers are set",
		       s->protocol);
}

/* The words of execArgs, or else the program's path alone: stock knows no quotes. */
static const char *const *program_words(struct check *r, const struct config_section *s)
{
	const char *text = s->program_words ? s->program_words : s->service.program.path;
	char *words = arena_alloc(&r->config->arena, strlen(text) + 1), *save = NULL;
	const char **argv = arena_alloc(&r->config->arena, (strlen(text) / 2 + 2) * sizeof *argv);
	size_t count = 0;

	if (!words || !argv)
		return NULL;
	memcpy(words, text, strlen(text) + 1);
	if (!s->program_words)
		argv[count++] = words;
	else
		for (char *word = strtok_r(words, " \t", &save); word;
		     word = strtok_r(NULL, " \t", &save))
			argv[count++] = word;
	argv[count] = NULL;
	return argv;
}

static void make_program(struct check *r, struct config_section *s)
{
	struct program *program = &s->service.program;

	if (!program->path)
		return;
	if (s->accept_on.count == 0 && s->connect_to.count != 0) {
		refuse(r, "exec", "A program at one end and connect at the other: not built yet");
		return;
	}
	program->argv = program_words(r, s);
	program->keep_stderr = r->config->globals.foreground == CONFIG_FOREGROUND;
	if (access(config_outside(r->config, program->path), X_OK) != 0)
		tell(r, REPORT_WARNING, table_line(s, "exec"), "%.200s: %s", program->path,
		     strerror(errno));
}

static void make_protocol(struct check *r, struct config_section *s)
{
	const struct values_list *headers = &s->protocol_headers;
	const char **header = NULL;

	s->service.send_proxy = is_proxy(s);
	s->service.protocol = is_proxy(s) ? NULL : s->protocol;
	if (headers->count != 0)
		header = arena_alloc(&r->config->arena, (headers->count + 1) * sizeof *header);
	if (header)
		memcpy(header, headers->item, headers->count * sizeof *header);
	s->service.negotiation.header = header;
	if (is_proxy(s))
		check_proxy(r, s);
	else if (s->protocol)
		check_negotiation(r, s);
}

/* setuid and setgid of a section are the owner of its Unix socket; other sockets have none. */
static void check_owner(struct check *r, const struct config_section *s)
{
	static const char *const names[] = {"setuid", "setgid"};

	for (size_t i = 0; i < s->accept_on.count; i++)
		for (size_t n = 0; s->accept_on.item[i][0] == '/' && n < 2; n++)
			if (table_line(s, names[n]) != table_line(&r->config->defaults, names[n]))
				refuse(r, names[n], "The owner of a Unix socket is not built yet");
}

/* Other options that make an endpoint in stock are not built, and were refused at their lines. */
static void check_endpoints(struct check *r, const struct config_section *s)
{
	bool accepts = s->accept_on.count != 0, written = s->connect_to.count != 0,
	     destined = s->service.transparent & CONN_TO_DESTINATION,
	     runs = s->service.program.path, connects = written || destined || runs;
	bool joins = s->sni && !s->service.client; /* of a client it is a name to ask for */

	if (ANY_REFUSED(r, "accept", "connect", "sni", "exec", "client", "protocol", "transparent"))
		return;
	if (written + destined + runs == 1 && accepts != joins)
		return;
	refuse(r, NULL, "Each service must define two endpoints: %s",
	       accepts && joins	     ? "'accept' and 'sni' are two for one"
	       : written && runs     ? "'connect' and 'exec' are two for one"
	       : written && destined ? "'connect' and 'transparent = destination' are two for one"
	       : accepts || joins    ? "'connect' is missing"
	       : connects	     ? "'accept' is missing"
				     : "'accept' and 'connect' are missing");
}

/* Connections can come from clients' addresses only where workers have the right. */
static void check_transparent(struct check *r, const struct config_section *s)
{
	int rc;

	if (!(s->service.transparent & CONN_FROM_CLIENT))
		return;
	for (size_t i = 0; i < s->accept_on.count; i++)
		if (s->accept_on.item[i][0] == '/')
			refuse(r, "transparent",
			       "Transparent source needs a socket: clients of "
			       "%.200s have no IP address",
			       s->accept_on.item[i]);
	rc = net_foreign();
	if (rc == 0 && r->config->globals.uid != 0)
		tell(r, REPORT_FAULT, table_line(s, "transparent"),
		     "with setuid no worker may connect from clients' addresses (CAP_NET_ADMIN)");
	else if (rc != 0)
		tell(r, REPORT_FAULT, table_line(s, "transparent"),
		     "nobody may connect from clients' addresses here: IP_TRANSPARENT: %s (%d)",
		     strerror(-rc), -rc);
}

/* Clients that a verification refuses go elsewhere, so there has to be one. */
static void check_redirect(struct check *r, struct config_section *s)
{
	unsigned *bits = &s->tls.verify.bits;

	s->service.redirects = s->redirect_to.count != 0;
	if (!s->service.redirects)
		return;
	if (s->service.client)
		refuse(r, "redirect", "\"redirect\" is unsupported in client sections");
	else if (s->protocol &&
		 negotiators_in(s->protocol, NEGOTIATION_GREETED, &s->service.negotiation))
		refuse(r, "redirect",
		       "\"redirect\" is incompatible with the specified protocol negotiation");
	else if (!(*bits & (TLS_VERIFY_CHAIN | TLS_VERIFY_PEER)) && !ANY_REFUSED(r, "verify"))
		refuse(r, "redirect",
		       "Either \"verifyChain\" or \"verifyPeer\" has to be enabled "
		       "for \"redirect\" to work");
	*bits |= TLS_VERIFY_REDIRECT;
}

/* Checks options of core/service.c against one another. */
static void check_policy(struct check *r, const struct config_section *s)
{
	unsigned parts = (s->accept_on.count != 0 ? SERVICE_ACCEPTS : 0) |
			 (is_proxy(s) ? SERVICE_SENDS_PROXY : 0);
	struct service_fault fault;
	size_t at = 0;

	while (service_check(&s->service.policy, parts, &at, &fault))
		if (strcmp(fault.option, "acceptProxy") != 0 || !ANY_REFUSED(r, "acceptProxyFrom"))
			refuse(r, fault.option, "%s", fault.why);
}

/* The destination of a path or `syslog`, shared by all sections that name it; NULL: no memory. */
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

/* A format is checked even without an accessLog that would use it. */
static void check_format(struct check *r, struct access_log *log, const char *format)
{
	const char *why = exchange_format(&log->format, format ? format : "");

	if (why && !ANY_REFUSED(r, "accessLogFormat"))
		refuse(r, "accessLogFormat", "%s", why);
}

static void make_access(struct check *r, struct config_section *s)
{
	struct config *config = r->config;
	const char *path = s->access_path;
	struct access_log *log = arena_alloc(&config->arena, sizeof *log);

	if (!log)
		return;
	check_format(r, log, s->access_format);
	if (!path)
		return;
	s->service.access = log;
	log->file = access_file(config, path);
	if (config->globals.foreground == CONFIG_BACKGROUND && strcasecmp(path, "syslog") != 0 &&
	    path[0] != '/')
		refuse(r, "accessLog", "Access log must include full path name");
}

static unsigned texts_on_cert(const struct conn_service *service)
{
	unsigned texts = tls_facts_of_templates(&service->policy.rewrite.pool);

	if (service->access)
		texts |= tls_facts_of_templates(&service->access->format.pool);
	if (service->send_proxy)
		texts |= tls_facts_of_proxy(&service->policy.proxy);
	return texts;
}

static void check_verification(struct check *r, const struct tls_verify *v)
{
	const char *check = v->host.count    ? "checkHost"
			    : v->email.count ? "checkEmail"
			    : v->ip.count    ? "checkIP"
					     : NULL;
	bool verified = v->bits & (TLS_VERIFY_CHAIN | TLS_VERIFY_PEER);

	if (verified && !v->ca_file && !v->ca_path && !v->ca_store &&
	    !ANY_REFUSED(r, "CAfile", "CApath", "CAengine", "CAstore"))
		refuse(r, "verify",
		       "Either \"CAengine\", \"CAfile\", \"CApath\" or \"CAstore\" has to be "
		       "configured");
	if (check && !verified && !ANY_REFUSED(r, "verify"))
		refuse(r, check, "Either \"verifyChain\" or \"verifyPeer\" has to be enabled");
}

/* Reports what tls_ctx_new() complains of. */
static void tell_tls(void *arg, enum tls_trouble trouble, const char *option, const char *why)
{
	static const enum report_kind kinds[] = {[TLS_TROUBLE_WARNING] = REPORT_WARNING,
						 [TLS_TROUBLE_NOBODY] = REPORT_FAULT,
						 [TLS_TROUBLE_ERROR] = REPORT_ERROR};
	struct check *r = arg;

	tell(r, kinds[trouble], option ? table_line(r->section, option) : NULL, "%s", why);
}

/* Reports what tls_trial() complains of. */
static void tell_trial(void *arg, bool nobody, const char *option, const char *why)
{
	struct check *r = arg;

	tell(r, nobody ? REPORT_FAULT : REPORT_WARNING,
	     option ? table_line(r->section, option) : NULL, "%s", why);
}

static void make_ocsp(struct check *r, struct config_section *s)
{
	const struct tls_ocsp *ocsp = &s->tls.ocsp;
	int seconds = s->service.timeout.ocsp;

	s->service.ocsp = ocsp->url || ocsp->aia;
	s->service.ocsp_require = ocsp->require;
	/* The certificate's responder is asked when the configured one has not answered. */
	s->service.ocsp_seconds =
		ocsp->url && ocsp->aia && seconds < INT_MAX / 2 ? 2 * seconds : seconds;
	if (s->service.ocsp && !(s->tls.verify.bits & TLS_VERIFY_CHAIN) &&
	    !ANY_REFUSED(r, "verify"))
		refuse(r, ocsp->url ? "OCSP" : "OCSPaia",
		       "\"verifyChain\" has to be enabled for OCSP support");
}

/* Either secret alone would leave half of the key to chance. */
static void check_tickets(struct check *r, const struct tls_settings *tls)
{
	static const char *const names[] = {"ticketKeySecret", "ticketMacSecret"};
	bool mac_only = tls->ticket_key.len == 0;

	if (tls->client)
		for (size_t i = 0; i < 2; i++)
			if (table_line(r->section, names[i]))
				tell(r, REPORT_NOTE, table_line(r->section, names[i]),
				     "It has no effect here: a client makes no tickets");
	if (mac_only != (tls->ticket_mac.len == 0) && !ANY_REFUSED(r, names[!mac_only]))
		refuse(r, names[mac_only],
		       "\"ticketKeySecret\" and \"ticketMacSecret\" must be set together");
}

static void check_alpn(struct check *r, struct tls_settings *tls)
{
	if (!conn_service_http(&r->section->service))
		return;
	if (tls->client && !tls->alpn)
		return; /* a server speaks HTTP/1 to a client that names nothing */
	if (tls->alpn && strcasecmp(tls->alpn, "http/1.1") != 0)
		tell(r, REPORT_WARNING, table_line(r->section, "alpn"),
		     "headers are set: of 'alpn' only http/1.1 and http/1.0 are offered");
	/* A peer that agreed on anything else would speak past the HTTP machine. */
	tls->alpn = "http/1.1, http/1.0";
}

/* A client that trusts whoever answers is warned of, in stock's words. */
static void check_trust(struct check *r, const struct config_section *s)
{
	const struct report_place place = {.order = r->last_line};
	const struct tls_verify *v = &s->tls.verify;
	const char *name = s->service.name;

	if (s->tls.psk_secrets)
		return;
	if (!(v->bits & (TLS_VERIFY_CHAIN | TLS_VERIFY_PEER))) {
		report_add(r->report, REPORT_WARNING, &place,
			   "Service [%.100s] needs authentication to prevent MITM attacks", name);
	} else if (!(v->bits & TLS_VERIFY_PEER) &&
		   v->host.count + v->email.count + v->ip.count == 0) {
		report_add(r->report, REPORT_WARNING, &place,
			   "Service [%.100s] uses \"verifyChain\" without subject checks", name);
		report_add(r->report, REPORT_WARNING, &place,
			   "Use \"checkHost\" or \"checkIP\" to restrict trusted certificates");
	}
}

/*
 * The name that a client asks for: that of `sni`, which may be empty, or of whom a proxy is to
 * connect, or of the first target.
 */
static const char *server_name(struct check *r, const struct config_section *s)
{
	const char *host = s->service.negotiation.host;
	char target[ENDPOINT_MAX], *port;

	if (s->sni)
		return *s->sni ? s->sni : NULL;
	if (host && *host) {
		snprintf(target, sizeof target, "%.*s", (int)strcspn(host, ":"), host);
		return arena_text(&r->config->arena, target);
	}
	if (s->connect_to.count == 0 || endpoint_check(s->connect_to.item[0], false, target))
		return NULL;
	port = strrchr(target, ':');
	if (*target == '/' || !port)
		return "localhost";
	*port = '\0';
	return arena_text(&r->config->arena, target);
}

static void make_client(struct check *r, struct config_section *s)
{
	struct tls_settings *tls = &s->tls;

	tls->server_name = server_name(r, s);
	if (tls->server_name && strlen(tls->server_name) > FACTS_NAME_MAX) {
		refuse(r, s->sni ? "sni" : "connect", "A server name has %d bytes at most",
		       FACTS_NAME_MAX);
		tls->server_name = NULL;
	}
	check_trust(r, s);
}

/*
 * Renegotiation could change certificate, cipher and version after a backend was told of them; the
 * server name counts only in a connection's first handshake.
 */
static bool may_renegotiate(const struct config_section *s)
{
	const struct conn_service *service = &s->service;

	return s->renegotiation && !conn_service_http(service) &&
	       (service->client || s->tls.verify.bits == 0) &&
	       !(service->send_proxy && service->policy.proxy.tlvs != 0);
}

static void make_tls(struct check *r, struct config_section *s)
{
	struct tls_settings *tls = &s->tls;

	tls->client = s->service.client;
	if (tls->client)
		make_client(r, s);
	tls->renegotiates = may_renegotiate(s);
	tls->curves_option = table_written(s, "curves");
	tls->cert_texts = s->service.cert_texts = texts_on_cert(&s->service);
	tls->ca_folder = config_outside(r->config, tls->verify.ca_path);
	tls->crl_folder = config_outside(r->config, tls->verify.crl_path);
	if (!tls->client && tls->cert.count == 0 && !tls->psk_secrets &&
	    !ANY_REFUSED(r, "cert", "PSKsecrets", "engine", "client"))
		refuse(r, NULL, "TLS server needs a certificate");
	if (ANY_REFUSED(r, "key"))
		tls->cert = (struct tls_names){
			0}; /* without its key, loading it would only report more */
	check_verification(r, &tls->verify);
	check_alpn(r, tls);
	check_tickets(r, tls);
	make_ocsp(r, s);
	s->service.tls = tls_ctx_new(tls, &(struct tls_fault_to){tell_tls, r});
	if (s->service.tls && !tls->client)
		tls_trial(s->service.tls, tls, tell_trial, r);
}

void section_finish(struct config *config, struct config_section *s, struct report *report,
		    size_t last_line)
{
	struct check check = {config, s, report, last_line}, *r = &check;
	struct conn_service *service = &s->service;
	size_t errors = report->count[REPORT_ERROR], out_min;

	log_main(LOG_INFO, "Initializing service [%s]", service->name);
	if (s->sni && !service->client)
		join_primary(r, s);
	make_access(r, s);
	make_protocol(r, s);
	make_program(r, s);
	check_endpoints(r, s);
	check_owner(r, s);
	check_transparent(r, s);
	check_redirect(r, s);
	make_tls(r, s);
	check_policy(r, s);
	if (report->count[REPORT_ERROR] != errors)
		return;
	out_min = h1_out_min(&service->policy.rewrite, service->policy.limits);
	if (out_min > config->out_cap)
		config->out_cap = out_min;
}
