/* SPDX-License-Identifier: ISC */
#include "config/table.h"

#include <limits.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#include "config/suggest.h"
#include "conn/relay.h"
#include "core/h1_head.h"

enum scope {
	BEFORE_SECTIONS,
	ANYWHERE,	/* before the first section: the default of all sections */
	INSIDE_SECTION, /* before the first one, the name means another option */
};

struct row {
	const char *name;
	enum scope scope;
	values_setter *set;
	size_t offset;	     /* of what it sets, in struct config_globals or config_section */
	const char *initial; /* the default as it would stand in a file; NULL: unset */
	struct values_bounds bounds;
	const char *same_as;	/* this row is another way to write that option */
	const char *in_section; /* why a global option has no effect there; NULL: refused */
	bool secret;		/* the value must not be logged */
	const char *help;
};

static const struct values_choice foreground_choice[] = {{"no", CONFIG_BACKGROUND},
							 {"yes", CONFIG_FOREGROUND},
							 {"quiet", CONFIG_FOREGROUND_QUIET},
							 {0}};
static const struct values_choice log_choice[] = {{"append", 0}, {"overwrite", 1}, {0}};
static const struct values_choice compressions[] = {{"deflate", 0}, {"zlib", 0}, {"rle", 0}, {0}};
static const struct values_choice level_choice[] = {{"default", -1}, {0}};
static const struct values_choice retry_choice[] = {{"no", -1}, {"yes", 1000}, {0}};
static const struct values_choice failover_choice[] = {
	{"prio", CONN_PRIORITY}, {"rr", CONN_ROUND_ROBIN}, {0}};

static const struct values_choice log_id_choice[] = {{"sequential", CONN_LOG_SEQUENTIAL},
						     {"unique", CONN_LOG_UNIQUE},
						     {"thread", CONN_LOG_PROCESS},
						     {"process", CONN_LOG_PROCESS},
						     {0}};

/* Where the setter writes; a member that is not of the setter's type does not compile. */
#define PLACE(setter, type, member)                                             \
	.set = setter, .offset = _Generic(&((type *)0)->member, setter##_slot * \
					  : offsetof(type, member))
#define ROW(where, type, row_name, setter, member, row_initial, row_help, ...) \
	{                                                                      \
		.name = row_name, .scope = where, PLACE(setter, type, member), \
		.initial = row_initial, .help = row_help, __VA_ARGS__          \
	}
#define GLOBAL(...) ROW(BEFORE_SECTIONS, struct config_globals, __VA_ARGS__)
#define SERVICE(...) ROW(ANYWHERE, struct config_section, __VA_ARGS__)
#define SECTION(...) ROW(INSIDE_SECTION, struct config_section, __VA_ARGS__)
/* An option whose help and default are in core/service.c. */
#define POLICY(row_name, ...)                                                            \
	{                                                                                \
		.name = row_name, .scope = ANYWHERE,                                     \
		PLACE(values_policy, struct config_section, service.policy), __VA_ARGS__ \
	}
#define NOWHERE(setter, row_name, row_help, ...)                                                  \
	{                                                                                         \
		.name = row_name, .scope = ANYWHERE, .set = setter, .help = row_help, __VA_ARGS__ \
	}
#define IDLE(row_name, why, ...) NOWHERE(values_idle, row_name, why, __VA_ARGS__)
#define ENGINE(row_name, as_we_do, ...)                                               \
	NOWHERE(values_unbuilt, row_name, "of stock stunnel with engines of OpenSSL", \
		.bounds.taken = as_we_do, .bounds.error = no_engines, __VA_ARGS__)
#define BOUNDS(least, most) .bounds.min = least, .bounds.max = most
#define SECONDS BOUNDS(INT_MIN, INT_MAX)
#define YES_NO .bounds.choice = values_yes_no, .bounds.error = VALUES_YES_NO_ERROR

static const struct values_choice transparent_choice[] = {
	{"none", 0},
	{"no", 0},
	{"source", CONN_FROM_CLIENT},
	{"yes", CONN_FROM_CLIENT},
	{"destination", CONN_TO_DESTINATION},
	{"both", CONN_FROM_CLIENT | CONN_TO_DESTINATION},
	{0}};
static const char randomness[] = "OpenSSL takes its randomness from the system";
static const char no_engines[] = "Specified option name is not valid here: engines of OpenSSL are "
				 "not used, 'provider' loads what took their place";

/* clang-format off: one row a line, so that it reads as the table that it is */
static const struct row rows[] = {
	GLOBAL("chroot", values_text, chroot, NULL,
	       "directory to which the workers confine themselves"),
	GLOBAL("foreground", values_unsigned, foreground, "no",
	       "stay in the foreground: yes, quiet (no log on stderr), no",
	       .bounds.choice = foreground_choice,
	       .bounds.error = "The argument needs to be either 'yes', 'quiet' or 'no'"),
	GLOBAL("log", values_flag, overwrite, "append", "append to or overwrite the log file",
	       .bounds.choice = log_choice,
	       .bounds.error = "The argument needs to be either 'append' or 'overwrite'"),
	GLOBAL("metrics", values_text, metrics, NULL,
	       "[HOST:]PORT or path where the daemon's figures are served"),
	GLOBAL("metricsAllow", values_blocks, metrics_allow, NULL,
	       "addresses that may read them; else those of the loopback",
	       .bounds.error = "Too many addresses"),
	GLOBAL("output", values_text, output, NULL, "log file"),
	GLOBAL("pid", values_text_or_none, pid, NULL, "file for the process id"),
	GLOBAL("service", values_text, service, "stunnel", "name that syslog shows",
	       .in_section = "the name is the whole program's, and stands before the sections"),
	GLOBAL("setEnv", values_variable, variables, NULL,
	       "NAME=VALUE for the environment; NAME alone is removed", .secret = true,
	       .bounds.error = "An environment variable needs a name"),
	GLOBAL("setgid", values_group, gid, NULL, "group of the workers"),
	GLOBAL("setuid", values_user, uid, NULL, "user of the workers"),
	SECTION("setgid", values_group, gid, NULL, "group of the Unix socket that is listened on"),
	SECTION("setuid", values_user, uid, NULL, "owner of the Unix socket that is listened on"),
	GLOBAL("syslog", values_flag, syslog, "yes", "log to syslog"),
	GLOBAL("ticketKeyRotation", values_integer, ticket_seconds, "43200",
	       "seconds after which session tickets get a new key; 0: never", .bounds.max = INT_MAX,
	       .bounds.error = "Illegal time of ticket keys"),
	GLOBAL("workers", values_integer, workers, "0", "worker processes; 0: one a core",
	       .bounds.max = 1024, .bounds.error = "Illegal number of workers"),
	NOWHERE(values_include, "include", "directory whose files are read here"),
	SERVICE("accept", values_item, accept_on, NULL, "[HOST:]PORT or path to listen on"),
	POLICY("acceptProxy"),
	POLICY("acceptProxyFrom"),
	SERVICE("accessLog", values_text, access_path, NULL,
		"file for a line a request, or syslog"),
	SERVICE("accessLogFormat", values_text, access_format, "combined",
		"combined, json or a template"),
	SERVICE("alpn", values_text, tls.alpn, NULL, "ALPN protocols to offer, in order"),
	SERVICE("CAfile", values_file_or_none, tls.verify.ca_file, NULL,
		"certificates to trust, PEM"),
	SERVICE("CApath", values_file_or_none, tls.verify.ca_path, NULL,
		"directory of certificates to trust"),
	SERVICE("CAstore", values_file_or_none, tls.verify.ca_store, NULL,
		"URI of certificates to trust"),
	SERVICE("cert", values_files, tls.cert, NULL, "certificate chain, PEM"),
	SERVICE("checkEmail", values_name, tls.verify.email, NULL,
		"e-mail address that a client's certificate may be for"),
	SERVICE("checkHost", values_name, tls.verify.host, NULL,
		"host name that a client's certificate may be for"),
	SERVICE("checkIP", values_name, tls.verify.ip, NULL,
		"IP address that a client's certificate may be for"),
	SERVICE("ciphers", values_text, tls.ciphers, NULL, "ciphers up to TLS 1.2"),
	SERVICE("ciphersuites", values_text, tls.ciphersuites, NULL, "cipher suites of TLS 1.3"),
	SERVICE("client", values_flag, service.client, "no",
		"yes: plain clients, and TLS with the other end"),
	SERVICE("config", values_name, tls.commands, NULL, "NAME[:VALUE] of SSL_CONF_cmd(3)"),
	SERVICE("connect", values_item, connect_to, NULL, "[HOST:]PORT or path of a backend"),
	SERVICE("CRLfile", values_file_or_undo, tls.verify.crl_file, NULL, "revocation lists, PEM"),
	SERVICE("CRLpath", values_file_or_undo, tls.verify.crl_path, NULL,
		"directory of revocation lists"),
	SERVICE("curve", values_text, tls.curves, NULL, "another name of curves",
		.same_as = "curves"),
	SERVICE("curves", values_text, tls.curves, NULL, "key exchange groups"),
	SERVICE("debug", values_level, service.log_level, "notice", "[FACILITY.]LEVEL of the log"),
	SERVICE("delay", values_flag, delay, "no",
		"look up the names of connect for connections, not at the load"),
	SERVICE("exec", values_text, service.program.path, NULL,
		"program to run for each connection"),
	SERVICE("execArgs", values_text, program_words, NULL,
		"its words, separated by blanks, with its name in front"),
	SERVICE("failover", values_unsigned, service.failover, "prio",
		"order of several connect targets: prio or rr", .bounds.choice = failover_choice,
		.bounds.error = "The argument needs to be either 'rr' or 'prio'"),
	NOWHERE(values_fips, "fips", "yes: only what OpenSSL's FIPS provider has"),
	POLICY("forwarded"),
	POLICY("httpAddHeader"),
	POLICY("httpAllow"),
	POLICY("httpConnect"),
	POLICY("httpDelHeader"),
	POLICY("httpKeepAlive"),
	POLICY("httpMaxAnswerHead"),
	POLICY("httpMaxFields"),
	POLICY("httpMaxHead"),
	POLICY("httpRequireLength"),
	POLICY("httpSetHeader"),
	SERVICE("ident", values_text, service.ident, NULL,
		"user that clients must be, as their hosts say by RFC 1413"),
	SERVICE("key", values_files, tls.key, NULL, "private key, PEM; else in cert"),
	SERVICE("libwrap", values_flag, service.libwrap, "no",
		"judge clients by hosts.allow and hosts.deny: hosts_access(5)"),
	SERVICE("local", values_text, local, NULL,
		"address of this host from which backends are connected"),
	SERVICE("logId", values_unsigned, service.log_id, "sequential",
		"what names a connection in the log: sequential, unique, thread or process",
		.bounds.choice = log_id_choice,
		.bounds.error = "Invalid connection identifier type"),
	GLOBAL("maxConnections", values_integer, max_connections, "0",
	       "connections of all sections and workers together; 0: any number",
	       .bounds.max = INT_MAX, .bounds.error = "Illegal number of connections"),
	SECTION("maxConnections", values_unsigned, service.admit.max, "0",
		"connections of the section, of all workers together; 0: any number",
		.bounds.max = INT_MAX, .bounds.error = "Illegal number of connections"),
	SERVICE("OCSP", values_ocsp_url, tls.ocsp.url, NULL,
		"URL of a responder that knows of revoked certificates"),
	SERVICE("OCSPaia", values_flag, tls.ocsp.aia, "no",
		"ask the responders that certificates name"),
	SERVICE("OCSPflag", values_ocsp_flag, tls.ocsp.flags, NULL,
		"how OpenSSL verifies a responder's answer"),
	SERVICE("OCSPnonce", values_flag, tls.ocsp.nonce, "no",
		"have responders answer with a nonce of ours"),
	SERVICE("OCSPrequire", values_flag, ocsp_require, "yes",
		"refuse a certificate that no responder knows to be good"),
	SERVICE("OCSPstaple", values_file, tls.staple, NULL,
		"yes: staple what our responder says; or a file with its answer, DER"),
	SERVICE("options", values_tls_option, tls, NULL, "OpenSSL option; -NAME clears it"),
	SERVICE("protocol", values_text, protocol, NULL,
		"what is said before TLS, or proxy: send a PROXY protocol header"),
	SERVICE("protocolAuthentication", values_text, service.negotiation.authentication, NULL,
		"how a client logs in: connect: basic or ntlm; smtp: plain or login"),
	SERVICE("protocolDomain", values_text, service.negotiation.domain, NULL,
		"domain of protocolUsername, for NTLM"),
	SERVICE("protocolHeader", values_item, protocol_headers, NULL,
		"a field that protocol = connect sends"),
	SERVICE("protocolHost", values_text, service.negotiation.host, NULL,
		"HOST:PORT that connect or socks asks for; name of smtp's EHLO"),
	SERVICE("protocolPassword", values_text, service.negotiation.password, NULL,
		"password of protocolUsername", .secret = true),
	SERVICE("protocolUsername", values_text, service.negotiation.user, NULL,
		"user for connect and smtp", .secret = true),
	POLICY("proxyMapped"),
	POLICY("proxyMaxLength"),
	POLICY("proxyPassTLV"),
	POLICY("proxyTLV"),
	POLICY("proxyVersion", .initial = "1"),
	NOWHERE(values_provider, "provider", "provider of OpenSSL to load"),
	NOWHERE(values_provider_parameter, "providerParameter", "PROVIDER:NAME=VALUE",
		.secret = true),
	SERVICE("PSKidentity", values_text, tls.psk_identity, NULL,
		"of the line of PSKsecrets that a client uses"),
	SERVICE("PSKsecrets", values_file, tls.psk_secrets, NULL,
		"file of lines IDENTITY:KEY, for TLS without certificates"),
	POLICY("requestId"),
	SERVICE("pty", values_flag, service.program.pty, "no", "give the program a terminal"),
	SERVICE("redirect", values_item, redirect_to, NULL,
		"[HOST:]PORT or path for clients whose verification fails"),
	SERVICE("renegotiation", values_flag, renegotiation, "yes",
		"no: never; yes: up to TLS 1.2 where nothing that the backend was told can change"),
	SERVICE("requireCert", values_require, tls.verify.bits, "no",
		"refuse clients without certificate"),
	SERVICE("reset", values_flag, service.reset, "yes",
		"end a broken connection by a TCP reset, not by a FIN"),
	SERVICE("retry", values_integer, service.retry_ms, "no",
		"start a program in place of accept again: yes, no, or after so many milliseconds",
		.bounds.choice = retry_choice, .bounds.max = INT_MAX,
		.bounds.error = "Illegal retry delay"),
	SERVICE("securityLevel", values_integer, tls.security_level, "default",
		"OpenSSL's security level, 0 to 5", .bounds.choice = level_choice, BOUNDS(0, 5),
		.bounds.error = "Illegal security level"),
	SERVICE("sendproxy", values_send_proxy, protocol, "no",
		"yes: protocol = proxy, as a patch for stunnel 4 called it", .same_as = "protocol"),
	SERVICE("session", values_integer, tls.session_seconds, NULL,
		"another name of sessionCacheTimeout", .same_as = "sessionCacheTimeout",
		.bounds.max = INT_MAX, .bounds.error = "Illegal session cache timeout"),
	SERVICE("sessionCacheSize", values_integer, tls.session_size, "1000",
		"sessions that are kept for clients without tickets", .bounds.max = INT_MAX,
		.bounds.error = "Illegal session cache size"),
	SERVICE("sessionCacheTimeout", values_integer, tls.session_seconds, "300",
		"seconds for which a session can be resumed", .bounds.max = INT_MAX,
		.bounds.error = "Illegal session cache timeout"),
	SERVICE("sessiond", values_text, sessiond, NULL,
		"HOST:PORT of a daemon, asked over UDP, that keeps sessions for several hosts"),
	SERVICE("sessionResume", values_flag, tls.session_resume, "yes", "let sessions be resumed"),
	SERVICE("sni", values_any_text, sni, NULL,
		"PRIMARY:PATTERN of server names for this section, or the name that a client "
		"sends"),
	SERVICE("socket", values_socket, service.options, NULL,
		"a|l|r:OPTION=VALUE[:VALUE] of sockets"),
	SERVICE("sslVersion", values_versions, tls, NULL, "the only TLS version"),
	SERVICE("sslVersionMax", values_version, tls.version_max, "all", "highest TLS version",
		.same_as = "sslVersion"),
	SERVICE("sslVersionMin", values_version, tls.version_min, "all", "lowest TLS version",
		.same_as = "sslVersion"),
	SERVICE("ticketKeySecret", values_ticket_secret, tls.ticket_key, NULL,
		"fixed key of session tickets, 16 or 32 bytes in hexadecimal",
		.bounds.error = "Failed to read ticketKeySecret", .secret = true),
	SERVICE("ticketMacSecret", values_ticket_secret, tls.ticket_mac, NULL,
		"fixed key of the authentication of session tickets, likewise",
		.bounds.error = "Failed to read ticketMacSecret", .secret = true),
	SERVICE("TIMEOUTbusy", values_integer, service.timeout.busy, "300",
		"seconds for the TLS handshake", SECONDS, .bounds.error = "Illegal busy timeout"),
	SERVICE("TIMEOUTclose", values_integer, service.timeout.close, "60",
		"seconds after one direction has ended", SECONDS,
		.bounds.error = "Illegal close timeout"),
	SERVICE("TIMEOUTconnect", values_integer, service.timeout.connect, "10",
		"seconds to connect a backend", SECONDS, .bounds.error = "Illegal connect timeout"),
	SERVICE("TIMEOUTidle", values_integer, service.timeout.idle, "43200",
		"seconds without a byte", SECONDS, .bounds.error = "Illegal idle timeout"),
	SERVICE("TIMEOUTocsp", values_integer, service.timeout.ocsp, "5",
		"seconds to wait for an OCSP responder", SECONDS,
		.bounds.error = "Illegal OCSP connect timeout"),
	POLICY("TIMEOUTproxy"),
	POLICY("TIMEOUTrequest"),
	SERVICE("TIMEOUTresolve", values_integer, service.timeout.resolve, "10",
		"seconds to look up a backend's name", SECONDS,
		.bounds.error = "Illegal resolve timeout"),
	SERVICE("TIMEOUTresponse", values_integer, service.timeout.answer, "60",
		"seconds for a backend to answer a request", SECONDS,
		.bounds.error = "Illegal response timeout"),
	SERVICE("transparent", values_unsigned, service.transparent, "none",
		"source: connect from the client's address; destination: to where it went; both",
		.bounds.choice = transparent_choice,
		.bounds.error = "Selected transparent proxy mode is not available"),
	POLICY("trustedProxy"),
	SERVICE("verify", values_verify, tls.verify.bits, NULL,
		"level from 0 to 4, older than the other verification options", BOUNDS(0, 4),
		.bounds.error = "Bad verify level: 0 to 4"),
	SERVICE("verifyChain", values_verify_chain, tls.verify.bits, "no",
		"require a certificate that leads to a trusted one", .same_as = "verify"),
	SERVICE("verifyPeer", values_verify_peer, tls.verify.bits, "no",
		"require a certificate that is trusted itself", .same_as = "verify"),
	POLICY("xForwardedFor"),
	POLICY("xForwardedPort"),
	POLICY("xForwardedProto"),
	POLICY("xRealIP"),
	IDLE("compression", "TLS is not compressed: that tells secrets (CRIME)",
	     .bounds.choice = compressions,
	     .bounds.error = "Specified compression type is not available"),
	IDLE("EGD", randomness),
	IDLE("listenqueue", "the queue is as long as the kernel allows", .bounds.max = INT_MAX,
	     .bounds.error = "Illegal length of a queue"),
	IDLE("RNDbytes", randomness, SECONDS,
	     .bounds.error = "Illegal number of bytes to read from random seed files"),
	IDLE("RNDfile", randomness),
	IDLE("RNDoverwrite", randomness, YES_NO),
	IDLE("stack", "there are no threads", .bounds.max = INT_MAX,
	     .bounds.error = "Illegal thread stack size"),
	ENGINE("CAengine", NULL),
	ENGINE("engine", "auto"),
	ENGINE("engineCtrl", NULL, .secret = true),
	ENGINE("engineDefault", NULL),
	ENGINE("engineId", NULL),
	ENGINE("engineNum", NULL),
};
/* clang-format on */

#define ROWS (sizeof rows / sizeof rows[0])

/* --- applying --------------------------------------------------------------------------------- */

static const char *set(struct table_target *t, const struct row *row, const char *value)
{
	struct span word = {0};
	const char *why;
	struct config_globals ignored = {0}, *globals = t->global ? &t->config->globals : &ignored;
	const struct config_section *defaults = &t->config->defaults;
	char *base = row->scope == BEFORE_SECTIONS ? (char *)globals : (char *)t->section;
	struct values_input in = {
		.value = value,
		.option = row->name,
		.bounds = &row->bounds,
		.line = t->line,
		.inherited = t->section != defaults &&
			     t->section->line[row - rows] == defaults->line[row - rows],
		.arena = &t->config->arena,
		.facility = t->global ? &globals->facility : NULL,
		.word = &word,
	};

	why = row->set(&in, base + row->offset);
	if (!why || word.len == 0)
		return why;
	snprintf(t->reason, sizeof t->reason, "%s: %.*s", why, word.len < 100 ? (int)word.len : 100,
		 word.p);
	return t->reason;
}

bool table_inherit(struct config_section *s, struct arena *arena)
{
	const size_t bytes = ROWS * sizeof(struct report_line *);
	struct report_line **own = arena_alloc(arena, bytes);

	if (own && s->line)
		memcpy(own, s->line, bytes);
	s->line = own;
	return own != NULL;
}

void table_default(struct table_target *t)
{
	net_options_default(&t->section->service.options);
	service_default(&t->section->service.policy);
	t->config->globals.facility = LOG_DAEMON;
	table_inherit(t->section, &t->config->arena);
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].initial)
			set(t, &rows[i], rows[i].initial);
}

static bool may_stand(const struct row *row, bool global)
{
	switch (row->scope) {
	case BEFORE_SECTIONS:
		return global || row->in_section;
	case ANYWHERE:
		return true;
	case INSIDE_SECTION:
		return !global;
	}
	return false;
}

/* The option of that name that may stand there: options of one name are for different places. */
static const struct row *find(const char *name, size_t len, bool global)
{
	for (size_t i = 0; i < ROWS; i++)
		if (!strncasecmp(name, rows[i].name, len) && !rows[i].name[len] &&
		    may_stand(&rows[i], global))
			return &rows[i];
	return NULL;
}

/* A refused line counts as its option's as well: nobody is told that the option is missing. */
static void note_line(struct table_target *t, const struct row *row, bool refused)
{
	t->section->line[row - rows] = t->line;
	t->line->refused |= refused;
}

void table_spoilt(struct table_target *t, const char *text)
{
	const struct row *row = find(text, strcspn(text, " \t:"), t->global);

	if (row)
		note_line(t, row, true);
}

static const struct row *nearest(const char *name)
{
	const struct row *found = NULL;
	int least = SUGGEST_FAR;

	for (size_t i = 0; i < ROWS; i++) {
		int distance = suggest_distance(name, rows[i].name);

		if (distance >= least)
			continue;
		least = distance;
		found = &rows[i];
	}
	return found;
}

/* The reason to refuse a name, with what may have been meant; row: a global option, or NULL. */
static const char *refuse_name(struct table_target *t, const struct row *row, const char *name)
{
	static const char invalid[] = "Specified option name is not valid here";
	const char *as = NULL, *option;

	if (row) {
		snprintf(t->reason, sizeof t->reason, "%s: it stands before the first section",
			 invalid);
		return t->reason;
	}
	option = suggest_foreign(name, &as);
	row = option ? find(option, strlen(option), t->global) : nearest(name);
	if (!row)
		return invalid;
	note_line(t, row, true);
	snprintf(t->reason, sizeof t->reason, as ? "%s: write %s" : "%s: did you mean %s?", invalid,
		 as ? as : row->name);
	return t->reason;
}

bool table_is_secret(const char *line)
{
	const struct row *row;
	char name[64];

	snprintf(name, sizeof name, "%.*s", (int)strcspn(line, " \t\v\f=:"), line);
	row = find(name, strlen(name), false);
	if (!row)
		row = nearest(name);
	return row && row->secret;
}

static void note_idle(struct table_target *t, const struct row *row)
{
	struct report_place place = {.line = t->line};

	if (row->set == values_idle)
		report_add(t->report, REPORT_NOTE, &place, "It has no effect here: %s", row->help);
	else if (row->set == values_send_proxy)
		report_add(t->report, REPORT_NOTE, &place, "Newer files have protocol = proxy");
	else if (row->scope == BEFORE_SECTIONS && !t->global)
		report_add(t->report, REPORT_WARNING, &place, "It has no effect here: %s",
			   row->in_section);
}

const char *table_apply(struct table_target *t, const char *name, const char *value,
			const char **include)
{
	const struct row *row = find(name, strlen(name), t->global);
	const char *why;

	*include = NULL;
	if (!row)
		return refuse_name(t, find(name, strlen(name), true), name);
	if (row->set == values_include)
		*include = value;
	why = set(t, row, value);
	note_line(t, row, why != NULL);
	if (!why)
		note_idle(t, row);
	return why;
}

/* --- lines ------------------------------------------------------------------------------------ */

static bool is_way_to_write(const struct row *row, const char *name)
{
	return !strcasecmp(row->name, name) || (row->same_as && !strcmp(row->same_as, name));
}

/* The row whose line came last among the ways to write an option; NULL: none has a line. */
static const struct row *latest(const struct config_section *s, const char *name)
{
	const struct row *found = NULL;

	for (size_t i = 0; i < ROWS; i++)
		if (s->line[i] && is_way_to_write(&rows[i], name) &&
		    (!found || s->line[i]->order >= s->line[found - rows]->order))
			found = &rows[i];
	return found;
}

struct report_line *table_line(const struct config_section *s, const char *name)
{
	const struct row *row = latest(s, name);

	return row ? s->line[row - rows] : NULL;
}

const char *table_written(const struct config_section *s, const char *name)
{
	const struct row *row = latest(s, name);

	return row ? row->name : NULL;
}

bool table_refused(const struct config_section *s, const char *name)
{
	for (size_t i = 0; i < ROWS; i++)
		if (s->line[i] && s->line[i]->refused && is_way_to_write(&rows[i], name))
			return true;
	return false;
}

/* --- -help ------------------------------------------------------------------------------------ */

static void print_names(FILE *to, const char *heading, values_setter *setter)
{
	fprintf(to, "%s\n   ", heading);
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].set == setter)
			fprintf(to, " %s", rows[i].name);
	fprintf(to, "\n");
}

/* Help and default of a row: its own, or those of core/service.c. */
static struct service_info info_of(const struct row *row)
{
	struct service_info info = {row->name, row->initial, row->help};

	for (size_t n = 0; !info.help && service_row(n, &info); n++)
		if (strcasecmp(info.name, row->name) != 0)
			info.help = NULL;
	if (row->initial)
		info.initial = row->initial;
	return info;
}

void table_print_defaults(FILE *to)
{
	for (size_t i = 0; i < ROWS; i++) {
		struct service_info info = info_of(&rows[i]);

		if (info.initial)
			fprintf(to, "%-22s = %s\n", info.name, info.initial);
	}
}

void table_print(FILE *to)
{
	for (size_t i = 0; i < ROWS; i++) {
		struct service_info info = info_of(&rows[i]);

		if (rows[i].set != values_unbuilt && rows[i].set != values_idle)
			fprintf(to, "%-15s = %s%s%s%s\n", info.name, info.help,
				info.initial ? " (" : "", info.initial ? info.initial : "",
				info.initial ? ")" : "");
	}
	print_names(to, "Taken from stock stunnel, without effect:", values_idle);
	print_names(to, "Known from stock stunnel, not built yet:", values_unbuilt);
}
