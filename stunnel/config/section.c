/* SPDX-License-Identifier: ISC */
#include "config/section.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "sys/libwrap.h"
#include "sys/log.h"
#include "sys/log_file.h"
#include "config/alpn.h"
#include "config/check.h"
#include "config/protocol.h"
#include "config/security.h"
#include "config/table.h"
#include "conn/steps/plan.h"
#include "negotiate/negotiators.h"

/* Limits that are not those of the section that accepts. */
static void check_limits(struct check *r, const struct admit_service *own,
			 const struct conn_service *primary)
{
	if (own->max != 0)
		check_refuse(r, "maxConnections",
			     "maxConnections is for the section that accepts, [%.100s]",
			     primary->name);
	if (own->per_ip.max != 0 &&
	    memcmp(&own->per_ip, &primary->admit.per_ip, sizeof own->per_ip) != 0)
		check_refuse(r, "maxConnectionsPerIP",
			     "maxConnectionsPerIP is for the section that accepts, [%.100s]",
			     primary->name);
	if (own->per_second != 0 && own->per_second != primary->admit.per_second)
		check_refuse(r, "maxHandshakesPerSecond",
			     "maxHandshakesPerSecond is for the section that accepts, [%.100s]",
			     primary->name);
}

/* Refuses options that act before a server name can lead to this section. */
static void check_early(struct check *r, const struct config_section *s,
			const struct config_section *primary)
{
	if (s->service.policy->accept_proxy != primary->service.policy->accept_proxy)
		check_refuse(r, "acceptProxy",
			     "acceptProxy is for the section that accepts, [%.100s]",
			     primary->service.name);
	if (s->service.ident && !primary->service.ident)
		check_refuse(r, "ident", "ident is for the section that accepts, [%.100s]",
			     primary->service.name);
	check_limits(r, &s->service.admit, &primary->service);
}

/* Whether clients come by server name; in a client section `sni` is a name to ask for. */
static bool joins(const struct config_section *s)
{
	return s->sni && !s->service.client;
}

/* `sni = PRIMARY:PATTERN`: the pattern is entered with the primary, which must stand before. */
static bool join_primary(struct check *r, struct config_section *s)
{
	const char *colon = strchr(s->sni, ':');
	struct config_section *primary;
	struct conn_sni *grown;

	if (!colon)
		return check_refuse(r, "sni", "Invalid SNI parameter format (PRIMARY:PATTERN)");
	primary = config_section_named(r->config, s->sni, (size_t)(colon - s->sni));
	if (!primary || primary == s)
		return check_refuse(r, "sni", "SNI section name not found: %.200s", s->sni);
	if (primary->service.client)
		return check_refuse(r, "sni", "SNI primary service is a TLS client: [%.100s]",
				    primary->service.name);
	if (!colon[1])
		check_tell(r, REPORT_FAULT, table_line(s, "sni"),
			   "No server name matches an empty pattern");
	if (s->service.send_proxy && s->service.policy->proxy.version == 1)
		protocol_check_clients(r, &primary->accept_on);
	check_early(r, s, primary);
	grown = arena_grow(&r->config->arena, primary->service.sni, primary->service.sni_count,
			   sizeof *grown);
	if (!grown)
		return false;
	primary->service.sni = grown;
	grown[primary->service.sni_count++] = (struct conn_sni){colon + 1, &s->service};
	primary->service.asks |= s->tls.ocsp.url || s->tls.ocsp.aia || s->sessiond;
	return true;
}

/* Whole names first, by text; what is alike stays in the order of the file. */
static int compare_names(const void *left, const void *right)
{
	const struct conn_sni *a = *(struct conn_sni *const *)left;
	const struct conn_sni *b = *(struct conn_sni *const *)right;
	int whole = (a->pattern[0] == '*') - (b->pattern[0] == '*');
	int text = whole == 0 && a->pattern[0] != '*' ? strcasecmp(a->pattern, b->pattern) : whole;

	return text != 0 ? text : (a > b) - (a < b);
}

void section_index_names(struct config *config)
{
	for (size_t i = 0; i < config->count; i++) {
		struct conn_service *s = &config->section[i]->service;
		size_t size = s->sni_count * sizeof *s->sni_by_name;

		s->sni_by_name = size != 0 ? arena_alloc(&config->arena, size) : NULL;
		for (size_t n = 0; s->sni_by_name && n < s->sni_count; n++) {
			s->sni_by_name[n] = &s->sni[n];
			s->sni_whole += s->sni[n].pattern[0] != '*';
		}
		if (s->sni_by_name)
			qsort(s->sni_by_name, s->sni_count, sizeof *s->sni_by_name, compare_names);
	}
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
	s->service.program_calls = !r->config->inetd && s->accept_on.count == 0 &&
				   s->connect_to.count != 0 && !joins(s);
	if (s->service.program_calls && s->service.send_proxy &&
	    s->service.policy->proxy.version == 1)
		protocol_no_address(r, "programs", "");
	program->argv = program_words(r, s);
	program->keep_stderr = r->config->globals.foreground == CONFIG_FOREGROUND;
	if (access(config_outside(r->config, program->path), X_OK) != 0)
		check_tell(r, REPORT_WARNING, table_line(s, "exec"), "%.200s: %s", program->path,
			   strerror(errno));
}

static bool has_own(const struct check *r, const struct config_section *s, const char *option)
{
	return table_line(s, option) != table_line(&r->config->defaults, option);
}

static bool listens_at_path(const struct config_section *s)
{
	for (size_t i = 0; i < s->accept_on.count; i++)
		if (s->accept_on.item[i][0] == '/')
			return true;
	return false;
}

/* Before the sections, setuid and setgid are also the defaults of who owns Unix sockets. */
static void make_owner(struct check *r, struct config_section *s)
{
	static const char *const names[] = {"setuid", "setgid"};

	for (size_t i = 0; i < 2; i++)
		if (has_own(r, s, names[i]) && !listens_at_path(s))
			check_tell(
				r, REPORT_WARNING, table_line(s, names[i]),
				"It has no effect here: the workers' user and group stand before "
				"the sections; here they own a Unix socket");
	if (!has_own(r, s, "setuid"))
		s->uid = r->config->globals.uid;
	if (!has_own(r, s, "setgid"))
		s->gid = r->config->globals.gid;
}

/* The other ends that a section names; one is right. */
struct ends {
	bool written, destined, run;
	bool asked; /* the client says where to connect */
};

static const char *endpoints_fault(const struct config_section *s, const struct ends *e, bool inetd)
{
	bool accepts = s->accept_on.count != 0, comes = accepts || joins(s);

	return inetd && comes	      ? "no [section] stands before 'accept' or 'sni'"
	       : accepts && joins(s)  ? "'accept' and 'sni' are two for one"
	       : e->written && e->run ? "'connect' and 'exec' are two for one"
	       : e->written && e->destined
		       ? "'connect' and 'transparent = destination' are two for "
			 "one"
	       : e->asked && (e->written || e->destined || e->run)
		       ? "the client of 'protocol = socks' says where to connect"
	       : inetd ? "there is no [section], and 'connect' is missing"
	       : comes ? "'connect' is missing"
	       : e->written || e->destined || e->run || e->asked
		       ? "'accept' is missing"
		       : "'accept' and 'connect' are missing";
}

/*
 * Other options that make an endpoint in stock are not built, and were refused at their lines. A
 * service without sections has its client already, and its lines may be a section's that lacks
 * its header.
 */
static void check_endpoints(struct check *r, const struct config_section *s)
{
	const struct negotiator *row =
		s->protocol ? negotiators_of(s->protocol, s->service.client) : NULL;
	struct ends e = {
		.written = s->connect_to.count != 0,
		.destined = s->service.transparent & CONN_TO_DESTINATION,
		.run = s->service.program.path,
		.asked = row && row->endpoint,
	};
	bool inetd = r->config->inetd, accepts = s->accept_on.count != 0,
	     one = e.written + e.destined + e.run + e.asked == 1;

	if (CHECK_REFUSED(r, "accept", "connect", "sni", "exec", "client", "protocol",
			  "transparent"))
		return;
	if (inetd ? one && !accepts && !joins(s)
		  : (one && accepts != joins(s)) ||
			    (s->service.program_calls && !e.destined && !e.asked))
		return;
	check_refuse(r, NULL, "%s: %s",
		     inetd ? "Inetd mode must define one endpoint"
			   : "Each service must define two endpoints",
		     endpoints_fault(s, &e, inetd));
}

/* Connections can come from clients' addresses only where workers have the right. */
static void check_transparent(struct check *r, const struct config_section *s)
{
	int rc;

	if (!(s->service.transparent & CONN_FROM_CLIENT))
		return;
	for (size_t i = 0; i < s->accept_on.count; i++)
		if (s->accept_on.item[i][0] == '/')
			check_refuse(r, "transparent",
				     "Transparent source needs a socket: clients of "
				     "%.200s have no IP address",
				     s->accept_on.item[i]);
	if (s->service.program_calls)
		check_refuse(r, "transparent",
			     "Transparent source needs a socket: a program has no IP address");
	if (s->service.program.path && !s->service.program_calls) {
		if (access(PROGRAM_PRELOAD, R_OK) != 0)
			check_refuse(r, "transparent",
				     "Programs learn who the client is by a library: %s: %s (%d)",
				     PROGRAM_PRELOAD, strerror(errno), errno);
		return;
	}
	rc = net_foreign();
	if (rc == 0 && r->config->globals.uid != 0)
		check_tell(r, REPORT_FAULT, table_line(s, "transparent"),
			   "with setuid no worker may connect from clients' addresses "
			   "(CAP_NET_ADMIN)");
	else if (rc != 0)
		check_tell(
			r, REPORT_FAULT, table_line(s, "transparent"),
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
		check_refuse(r, "redirect", "\"redirect\" is unsupported in client sections");
	else if (s->protocol &&
		 negotiators_in(s->protocol, NEGOTIATION_GREETED, &s->service.negotiation))
		check_refuse(
			r, "redirect",
			"\"redirect\" is incompatible with the specified protocol negotiation");
	else if (!(*bits & (TLS_VERIFY_CHAIN | TLS_VERIFY_PEER)) && !CHECK_REFUSED(r, "verify"))
		check_refuse(r, "redirect",
			     "Either \"verifyChain\" or \"verifyPeer\" has to be enabled "
			     "for \"redirect\" to work");
	*bits |= TLS_VERIFY_REDIRECT;
}

/* Checks options of core/service.c against one another. */
static void check_policy(struct check *r, const struct config_section *s)
{
	unsigned parts = (s->accept_on.count != 0 || r->config->inetd ? SERVICE_ACCEPTS : 0) |
			 (s->service.send_proxy ? SERVICE_SENDS_PROXY : 0);
	struct service_fault fault;
	size_t at = 0;

	while (service_check(s->service.policy, parts, &at, &fault))
		if (strcmp(fault.option, "acceptProxy") != 0 ||
		    !CHECK_REFUSED(r, "acceptProxyFrom"))
			check_refuse(r, fault.option, "%s", fault.why);
}

/*
 * Clients share the connections to a backend only where nothing that a backend could learn of one
 * client holds for what comes later on the same connection.
 */
static const char *pool_fault(const struct conn_service *s)
{
	return s->client       ? "connections of TLS to a backend are not shared ('client = yes')"
	       : s->send_proxy ? "a PROXY header tells of one client"
	       : s->protocol   ? "what 'protocol' says holds for one client"
	       : s->transparent
		       ? "with 'transparent' a connection is between one client and its destination"
	       : s->program.path ? "a program serves one client ('exec')"
	       : service_needs(s->policy, false, NULL).cert_texts != 0
		       ? "the backend is told of clients' certificates, and may take a connection "
			 "for one client's"
		       : NULL;
}

static void check_pool(struct check *r, const struct conn_service *service)
{
	const char *fault = pool_fault(service);

	if (service->policy->limits.pool && service->needs.http && fault)
		check_refuse(r, "httpKeepAlive", "httpKeepAlive = pool: %s", fault);
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

	if (why && !CHECK_REFUSED(r, "accessLogFormat"))
		check_refuse(r, "accessLogFormat", "%s", why);
}

/* Why nothing can be written there; NULL: it is found out when it is opened. */
static const char *place_fault(const struct config *config, const char *path)
{
	static const char relative[] = "Access log must include full path name";
	const char *receiver = log_file_receiver(path);

	if (receiver)
		return *receiver == '/' ? NULL : relative;
	if (log_file_standard(path) >= 0 || !strcasecmp(path, "syslog") || path[0] == '/')
		return NULL;
	return config->globals.foreground == CONFIG_BACKGROUND ? relative : NULL;
}

static void make_access(struct check *r, struct config_section *s)
{
	struct config *config = r->config;
	const char *path = s->access_path;
	struct access_log log = {0};

	check_format(r, &log, s->access_format);
	if (!path)
		return;
	log.file = access_file(config, path);
	s->service.access = arena_share(&config->arena, &log, sizeof log);
	if (log_file_standard(path) >= 0 && !config_has_standard(config, path))
		check_refuse(r, "accessLog", CONFIG_NO_STANDARD, path);
	else if (place_fault(config, path))
		check_refuse(r, "accessLog", "%s", place_fault(config, path));
}

void section_finish(struct config *config, struct config_section *s, struct report *report,
		    size_t last_line)
{
	struct check check = {config, s, report, last_line}, *r = &check;
	struct conn_service *service = &s->service;
	size_t errors = report->count[REPORT_ERROR], out_min;

	log_main(LOG_INFO, "Initializing service [%s]", service->name);
	make_access(r, s);
	protocol_make(r);
	if (joins(s))
		join_primary(r, s);
	make_program(r, s);
	check_endpoints(r, s);
	make_owner(r, s);
	if (service->libwrap && !libwrap_built())
		check_refuse(r, "libwrap", "This program was built without libwrap");
	check_transparent(r, s);
	check_redirect(r, s);
	if (service->admit.per_ip.max != 0 && !admit_seed())
		check_refuse(r, "maxConnectionsPerIP", "The system gives no randomness");
	alpn_make(r);
	security_make(r);
	check_policy(r, s);
	check_pool(r, service);
	if (report->count[REPORT_ERROR] != errors)
		return;
	out_min = h1_out_min(&service->policy->rewrite, service->policy->limits);
	if (out_min > config->out_cap)
		config->out_cap = out_min;
}
