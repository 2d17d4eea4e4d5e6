/* SPDX-License-Identifier: ISC */
#include "config/options.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#include "config/report.h"
#include "config/suggest.h"
#include "config/values.h"

enum scope {
	GLOBAL,	 /* before the first section only */
	SERVICE, /* anywhere; before the first section it is the default of all */
	SECTION, /* inside a section only; an option of that name before the first one is another */
};

enum type {
	FLAG,	    /* bool: yes or no */
	INTEGER,    /* int within bounds */
	TEXT,	    /* const char * */
	LIST,	    /* struct conf_list: each line adds one */
	CHOICE,	    /* int: one of row->choice */
	LEVEL,	    /* int: a log level; before the sections with a facility */
	USER,	    /* unsigned: a user's id */
	GROUP,	    /* unsigned: a group's id */
	TLS_MIN,    /* int: a protocol version */
	TLS_MAX,    /* int */
	TLS_BOTH,   /* int: sets version_min and version_max */
	TLS_OPTION, /* a name of OpenSSL's options; `-` clears it */
	SOCKET,	    /* struct net_options */
	RULE,	    /* struct rewrite */
	TLVS,	    /* struct proxy */
	SEND_PROXY, /* const char *: the protocol, which `yes` makes proxy */
	VERIFY,	    /* unsigned: enum tls_verify_bit, by a level */
	VERIFY_BIT, /* yes sets row->max of them, no clears row->min */
	INCLUDE,    /* the caller's to follow */
	IDLE,	    /* stock's: a value is checked, and changes nothing; help says why */
	UNBUILT,    /* stock's, not built; only row->initial is taken, as what we do anyway */
};

/* What an empty value is, as of an unset variable in a template, where a value may be any text. */
enum empty {
	EMPTY_REFUSED,
	EMPTY_UNDOES, /* what was set before, as a default; where there was nothing it is refused */
	EMPTY_TAKEN,  /* the same as no line, as in stock */
};

struct option {
	const char *name;
	enum scope scope;
	enum type type;
	size_t offset;	     /* in struct conf_globals or struct conf_options */
	const char *initial; /* the default as it would stand in a file; NULL: unset */
	const char *error;   /* what is said of a bad value */
	int min, max;
	enum empty empty;
	const char *in_section; /* why a global option of ours or stock's changes nothing there */
	const struct values_choice *choice;
	bool secret; /* its value is not for the log */
	const char *help;
};

static const struct values_choice yes_no_choice[] = {{"no", 0}, {"yes", 1}, {0}};
static const struct values_choice ocsp_flags[] = {{"NOCERTS", 0},
						  {"NOINTERN", 0},
						  {"NOSIGS", 0},
						  {"NOCHAIN", 0},
						  {"NOVERIFY", 0},
						  {"NOEXPLICIT", 0},
						  {"NOCASIGN", 0},
						  {"NODELEGATED", 0},
						  {"NOCHECKS", 0},
						  {"TRUSTOTHER", 0},
						  {"RESPID_KEY", 0},
						  {"NOTIME", 0},
						  {0}};
static const struct values_choice foreground_choice[] = {
	{"no", CONF_BACKGROUND}, {"yes", CONF_FOREGROUND}, {"quiet", CONF_FOREGROUND_QUIET}, {0}};
static const struct values_choice accept_proxy_choice[] = {
	{"no", CONN_PROXY_NO}, {"yes", CONN_PROXY_YES}, {"required", CONN_PROXY_REQUIRED}, {0}};
static const struct values_choice mapped_choice[] = {{"fold", 0}, {"keep", 1}, {0}};
static const struct values_choice keep_alive_choice[] = {{"both", 0}, {"client", 1}, {0}};
static const struct values_choice log_choice[] = {{"append", 0}, {"overwrite", 1}, {0}};
static const struct values_choice failover_choice[] = {
	{"prio", CONN_PRIORITY}, {"rr", CONN_ROUND_ROBIN}, {0}};

#define IN_GLOBALS(field) .scope = GLOBAL, .offset = offsetof(struct conf_globals, field)
#define IN_SERVICE(field) .scope = SERVICE, .offset = offsetof(struct conf_options, field)
#define IN_SECTION(field) .scope = SECTION, .offset = offsetof(struct conf_options, field)
#define NO_PLACE .scope = SERVICE /* its type knows where the value goes */
#define ROW(row_name, row_type, place, row_initial, row_help, ...)                 \
	{                                                                          \
		.name = row_name, .type = row_type, place, .initial = row_initial, \
		.help = row_help, __VA_ARGS__                                      \
	}
#define SECONDS .min = INT_MIN, .max = INT_MAX
#define YES_NO .choice = yes_no_choice, .error = "The argument needs to be either 'yes' or 'no'"
#define IDLE_ROW(row_name, why, ...)                                           \
	{                                                                      \
		.name = row_name, .scope = SERVICE, .type = IDLE, .help = why, \
		.empty = EMPTY_REFUSED, __VA_ARGS__                            \
	}
#define STOCK(row_name, as_we_do)                                                         \
	{                                                                                 \
		.name = row_name, .scope = SERVICE, .type = UNBUILT, .initial = as_we_do, \
		.help = "of stock stunnel, not built yet"                                 \
	}
#define STOCK_SECRET(row_name)                                            \
	{                                                                 \
		.name = row_name, .scope = SERVICE, .type = UNBUILT,      \
		.help = "of stock stunnel, not built yet", .secret = true \
	}

static const char randomness[] = "OpenSSL takes its randomness from the system";
static const char only_exec[] = "it is for programs that 'exec' starts";
static const char no_ocsp[] = "no OCSP responder is asked";
static const char owner[] =
	"the workers' user and group stand before the sections; here they own a Unix socket";

/* clang-format off: one row a line, so that it reads as the table that it is */
static const struct option rows[] = {
	ROW("chroot", TEXT, IN_GLOBALS(chroot), NULL,
	    "directory to which the workers confine themselves"),
	ROW("foreground", CHOICE, IN_GLOBALS(foreground), "no",
	    "stay in the foreground: yes, quiet (no log on stderr), no",
	    .choice = foreground_choice,
	    .error = "The argument needs to be either 'yes', 'quiet' or 'no'"),
	ROW("log", CHOICE, IN_GLOBALS(overwrite), "append", "append to or overwrite the log file",
	    .choice = log_choice,
	    .error = "The argument needs to be either 'append' or 'overwrite'"),
	ROW("output", TEXT, IN_GLOBALS(output), NULL, "log file"),
	ROW("pid", TEXT, IN_GLOBALS(pid), NULL, "file for the process id", .empty = EMPTY_TAKEN),
	ROW("service", TEXT, IN_GLOBALS(service), "stunnel", "name that syslog shows",
	    .in_section = "the name is the whole program's, and stands before the sections"),
	ROW("setgid", GROUP, IN_GLOBALS(gid), NULL, "group of the workers", .in_section = owner),
	ROW("setuid", USER, IN_GLOBALS(uid), NULL, "user of the workers", .in_section = owner),
	ROW("syslog", FLAG, IN_GLOBALS(syslog), "yes", "log to syslog"),
	ROW("workers", INTEGER, IN_GLOBALS(workers), "0", "worker processes; 0: one a core",
	    .max = 1024, .error = "Illegal number of workers"),
	ROW("include", INCLUDE, NO_PLACE, NULL, "directory whose files are read here"),
	ROW("accept", LIST, IN_SERVICE(accept), NULL, "[HOST:]PORT or path to listen on"),
	ROW("acceptProxy", CHOICE, IN_SERVICE(accept_proxy), "no",
	    "expect a PROXY header from peers of acceptProxyFrom; required: from all",
	    .choice = accept_proxy_choice,
	    .error = "The argument needs to be either 'yes', 'required' or 'no'"),
	ROW("acceptProxyFrom", LIST, IN_SERVICE(proxy_peers), NULL,
	    "ADDRESS[/BITS], ... of peers that send a PROXY header"),
	ROW("accessLog", TEXT, IN_SERVICE(access), NULL, "file for a line a request, or syslog"),
	ROW("accessLogFormat", TEXT, IN_SERVICE(access_format), "combined",
	    "combined, json or a template"),
	ROW("alpn", TEXT, IN_SERVICE(alpn), NULL, "ALPN protocols to offer, in order"),
	ROW("CAfile", TEXT, IN_SERVICE(ca_file), NULL, "certificates to trust, PEM",
	    .empty = EMPTY_TAKEN),
	ROW("CApath", TEXT, IN_SERVICE(ca_path), NULL, "directory of certificates to trust",
	    .empty = EMPTY_TAKEN),
	ROW("cert", TEXT, IN_SERVICE(cert), NULL, "certificate chain, PEM"),
	ROW("checkEmail", LIST, IN_SERVICE(check_email), NULL,
	    "e-mail address that a client's certificate may be for"),
	ROW("checkHost", LIST, IN_SERVICE(check_host), NULL,
	    "host name that a client's certificate may be for"),
	ROW("checkIP", LIST, IN_SERVICE(check_ip), NULL,
	    "IP address that a client's certificate may be for"),
	ROW("ciphers", TEXT, IN_SERVICE(ciphers), NULL, "ciphers up to TLS 1.2"),
	ROW("ciphersuites", TEXT, IN_SERVICE(ciphersuites), NULL, "cipher suites of TLS 1.3"),
	ROW("connect", LIST, IN_SERVICE(connect), NULL, "[HOST:]PORT or path of a backend"),
	ROW("CRLfile", TEXT, IN_SERVICE(crl_file), NULL, "revocation lists, PEM",
	    .empty = EMPTY_UNDOES),
	ROW("CRLpath", TEXT, IN_SERVICE(crl_path), NULL, "directory of revocation lists",
	    .empty = EMPTY_UNDOES),
	ROW("curve", TEXT, IN_SERVICE(curves), NULL, "another name of curves"),
	ROW("curves", TEXT, IN_SERVICE(curves), NULL, "key exchange groups"),
	ROW("debug", LEVEL, IN_SERVICE(log_level), "notice", "[FACILITY.]LEVEL of the log"),
	ROW("delay", FLAG, IN_SERVICE(delay), "no",
	    "look up the names of connect for connections, not at the load"),
	ROW("failover", CHOICE, IN_SERVICE(failover), "prio",
	    "order of several connect targets: prio or rr", .choice = failover_choice,
	    .error = "The argument needs to be either 'rr' or 'prio'"),
	ROW("forwarded", RULE, IN_SERVICE(rewrite), NULL,
	    "Forwarded (RFC 7239): yes, append, chain, replace, trusted or no"),
	ROW("httpAddHeader", RULE, IN_SERVICE(rewrite), NULL,
	    "NAME: TEMPLATE to add to every request"),
	ROW("httpConnect", FLAG, IN_SERVICE(limits.connect), "no", "forward CONNECT requests"),
	ROW("httpDelHeader", RULE, IN_SERVICE(rewrite), NULL, "NAME to delete from every request"),
	ROW("httpKeepAlive", CHOICE, IN_SERVICE(keep_client), "both",
	    "a backend that closes ends its client (both) or gets a successor (client)",
	    .choice = keep_alive_choice,
	    .error = "The argument needs to be either 'both' or 'client'"),
	ROW("httpMaxFields", INTEGER, IN_SERVICE(limits.max_fields), "256",
	    "fields of a request head", .min = 8, .max = H1_FIELDS_MAX,
	    .error = "Illegal number of fields (8 to 256)"),
	ROW("httpMaxHead", INTEGER, IN_SERVICE(limits.max_head), "32768", "bytes of a request head",
	    .min = 1024, .max = RELAY_INPUT_MAX, .error = "Illegal size of a head (1024 to 65536)"),
	ROW("httpSetHeader", RULE, IN_SERVICE(rewrite), NULL,
	    "NAME: TEMPLATE instead of the client's"),
	ROW("key", TEXT, IN_SERVICE(key), NULL, "private key, PEM; else in cert"),
	ROW("maxConnections", INTEGER, IN_GLOBALS(max_connections), "0",
	    "connections of all sections and workers together; 0: any number", .max = INT_MAX,
	    .error = "Illegal number of connections"),
	ROW("maxConnections", INTEGER, IN_SECTION(max_connections), "0",
	    "connections of the section, of all workers together; 0: any number", .max = INT_MAX,
	    .error = "Illegal number of connections"),
	ROW("options", TLS_OPTION, NO_PLACE, NULL, "OpenSSL option; -NAME clears it"),
	ROW("protocol", TEXT, IN_SERVICE(protocol), NULL, "proxy: send a PROXY protocol header"),
	ROW("proxyMapped", CHOICE, IN_SERVICE(proxy.keep_mapped), "fold",
	    "IPv4-mapped addresses in a PROXY header: fold to IPv4, or keep",
	    .choice = mapped_choice, .error = "The argument needs to be either 'fold' or 'keep'"),
	ROW("proxyMaxLength", INTEGER, IN_SERVICE(proxy.max_length), "536",
	    "bytes of a PROXY v2 header", .min = 52, .max = PROXY_HEADER_MAX,
	    .error = "Illegal length of a header (52 to 4096)"),
	ROW("proxyPassTLV", FLAG, IN_SERVICE(proxy.pass), "no", "send on the TLVs that came in"),
	ROW("proxyTLV", TLVS, IN_SERVICE(proxy), NULL, "alpn, authority, ssl, ... to send"),
	ROW("proxyVersion", INTEGER, IN_SERVICE(proxy.version), "1", "PROXY protocol: 1 or 2",
	    .min = 1, .max = 2, .error = "The PROXY protocol has versions 1 and 2"),
	ROW("requestId", RULE, IN_SERVICE(rewrite), NULL, "X-Request-ID: yes, replace, ... or no"),
	ROW("requireCert", VERIFY_BIT, IN_SERVICE(verify), "no",
	    "refuse clients without certificate", .min = TLS_VERIFY_REQUIRE,
	    .max = TLS_VERIFY_REQUEST | TLS_VERIFY_REQUIRE),
	ROW("sendproxy", SEND_PROXY, IN_SERVICE(protocol), "no",
	    "yes: protocol = proxy, as a patch for stunnel 4 called it"),
	ROW("session", INTEGER, IN_SERVICE(session_seconds), NULL,
	    "another name of sessionCacheTimeout", .max = INT_MAX,
	    .error = "Illegal session cache timeout"),
	ROW("sessionCacheTimeout", INTEGER, IN_SERVICE(session_seconds), "300",
	    "seconds for which a session can be resumed", .max = INT_MAX,
	    .error = "Illegal session cache timeout"),
	ROW("sessionResume", FLAG, IN_SERVICE(session_resume), "yes", "let sessions be resumed"),
	ROW("sni", TEXT, IN_SERVICE(sni), NULL, "PRIMARY:PATTERN of server names for this section"),
	ROW("socket", SOCKET, IN_SERVICE(sockets), NULL, "a|l|r:OPTION=VALUE[:VALUE] of sockets"),
	ROW("sslVersion", TLS_BOTH, NO_PLACE, NULL, "the only TLS version"),
	ROW("sslVersionMax", TLS_MAX, IN_SERVICE(version_max), "all", "highest TLS version"),
	ROW("sslVersionMin", TLS_MIN, IN_SERVICE(version_min), "all", "lowest TLS version"),
	ROW("TIMEOUTbusy", INTEGER, IN_SERVICE(timeout.busy), "300",
	    "seconds for the TLS handshake", SECONDS, .error = "Illegal busy timeout"),
	ROW("TIMEOUTclose", INTEGER, IN_SERVICE(timeout.close), "60",
	    "seconds after one direction has ended", SECONDS, .error = "Illegal close timeout"),
	ROW("TIMEOUTconnect", INTEGER, IN_SERVICE(timeout.connect), "10",
	    "seconds to connect a backend", SECONDS, .error = "Illegal connect timeout"),
	ROW("TIMEOUTidle", INTEGER, IN_SERVICE(timeout.idle), "43200", "seconds without a byte",
	    SECONDS, .error = "Illegal idle timeout"),
	ROW("TIMEOUTproxy", INTEGER, IN_SERVICE(timeout.proxy), "3",
	    "seconds for a PROXY header to come", SECONDS, .error = "Illegal PROXY timeout"),
	ROW("TIMEOUTrequest", INTEGER, IN_SERVICE(timeout.request), "60",
	    "seconds for a whole request head", SECONDS, .error = "Illegal request timeout"),
	ROW("TIMEOUTresolve", INTEGER, IN_SERVICE(timeout.resolve), "10",
	    "seconds to look up a backend's name", SECONDS, .error = "Illegal resolve timeout"),
	ROW("trustedProxy", LIST, IN_SERVICE(trusted), NULL,
	    "ADDRESS[/BITS], ... of proxies that xForwardedFor = trusted believes"),
	ROW("verify", VERIFY, IN_SERVICE(verify), NULL,
	    "level from 0 to 4, older than the other verification options"),
	ROW("verifyChain", VERIFY_BIT, IN_SERVICE(verify), "no",
	    "require a certificate that leads to a trusted one", .min = TLS_VERIFY_CHAIN,
	    .max = TLS_VERIFY_REQUEST | TLS_VERIFY_REQUIRE | TLS_VERIFY_CHAIN),
	ROW("verifyPeer", VERIFY_BIT, IN_SERVICE(verify), "no",
	    "require a certificate that is trusted itself", .min = TLS_VERIFY_PEER,
	    .max = TLS_VERIFY_REQUEST | TLS_VERIFY_REQUIRE | TLS_VERIFY_PEER),
	ROW("xForwardedFor", RULE, IN_SERVICE(rewrite), NULL,
	    "yes, append, chain, replace, trusted or no"),
	ROW("xForwardedPort", RULE, IN_SERVICE(rewrite), NULL,
	    "X-Forwarded-Port: yes, replace, ... or no"),
	ROW("xForwardedProto", RULE, IN_SERVICE(rewrite), NULL,
	    "X-Forwarded-Proto: yes, replace, ... or no"),
	ROW("xRealIP", RULE, IN_SERVICE(rewrite), NULL, "X-Real-IP: yes, replace, ... or no"),
	IDLE_ROW("EGD", randomness, .min = 0),
	IDLE_ROW("execArgs", only_exec, .min = 0),
	IDLE_ROW("listenqueue", "the queue is as long as the kernel allows", .max = INT_MAX,
		 .error = "Illegal length of a queue"),
	IDLE_ROW("OCSPflag", no_ocsp, .choice = ocsp_flags, .error = "Illegal OCSP flag"),
	IDLE_ROW("OCSPnonce", no_ocsp, YES_NO),
	IDLE_ROW("OCSPrequire", no_ocsp, YES_NO),
	IDLE_ROW("PSKidentity", "a server has none", .min = 0),
	IDLE_ROW("pty", only_exec, YES_NO),
	IDLE_ROW("renegotiation", "no connection is ever negotiated anew", YES_NO),
	IDLE_ROW("retry", only_exec, .choice = yes_no_choice, .max = INT_MAX,
		 .error = "Illegal retry delay"),
	IDLE_ROW("RNDbytes", randomness, SECONDS,
		 .error = "Illegal number of bytes to read from random seed files"),
	IDLE_ROW("RNDfile", randomness, .min = 0),
	IDLE_ROW("RNDoverwrite", randomness, YES_NO),
	IDLE_ROW("sessionCacheSize", "sessions are resumed by ticket, without a cache",
		 .max = INT_MAX, .error = "Illegal session cache size"),
	IDLE_ROW("stack", "there are no threads", .max = INT_MAX,
		 .error = "Illegal thread stack size"),
	IDLE_ROW("TIMEOUTocsp", no_ocsp, SECONDS, .error = "Illegal OCSP connect timeout"),
	STOCK("CAengine", NULL),
	STOCK("CAstore", NULL),
	STOCK("client", "no"),
	STOCK("compression", NULL),
	STOCK("config", NULL),
	STOCK("engine", "auto"),
	STOCK_SECRET("engineCtrl"),
	STOCK("engineDefault", NULL),
	STOCK("engineId", NULL),
	STOCK("engineNum", NULL),
	STOCK("exec", NULL),
	STOCK("fips", "no"),
	STOCK("ident", NULL),
	STOCK("libwrap", "no"),
	STOCK("local", NULL),
	STOCK("logId", "sequential"),
	STOCK("OCSP", NULL),
	STOCK("OCSPaia", "no"),
	STOCK("protocolAuthentication", NULL),
	STOCK("protocolDomain", NULL),
	STOCK("protocolHeader", NULL),
	STOCK("protocolHost", NULL),
	STOCK_SECRET("protocolPassword"),
	STOCK_SECRET("protocolUsername"),
	STOCK("provider", NULL),
	STOCK_SECRET("providerParameter"),
	STOCK("PSKsecrets", NULL),
	STOCK("redirect", NULL),
	STOCK("reset", "yes"),
	STOCK("securityLevel", "2"),
	STOCK("sessiond", NULL),
	STOCK_SECRET("setEnv"),
	STOCK_SECRET("ticketKeySecret"),
	STOCK_SECRET("ticketMacSecret"),
	STOCK("transparent", "none|no"),
};
/* clang-format on */

#define ROWS (sizeof rows / sizeof rows[0])

/* --- applying --------------------------------------------------------------------------------- */

/* What we do anyway may be asked for. */
static const char *refuse_unbuilt(const struct option *row, const char *value)
{
	const char *taken = row->initial;
	bool flag = taken && (!strcmp(taken, "yes") || !strcmp(taken, "no"));
	bool ignored;

	while (taken && *value) {
		size_t len = strcspn(taken, "|");

		if (!strncasecmp(value, taken, len) && !value[len])
			return NULL;
		taken = taken[len] ? taken + len + 1 : NULL;
	}
	if (flag && values_flag(value, &ignored))
		return values_flag(value, &ignored);
	return "This option of stock stunnel is not built yet";
}

/* One of the choices, or a number within the bounds, or where the row has neither any text. */
static const char *check_idle(const struct option *row, const char *value)
{
	bool bounded = row->min < row->max;
	int ignored;

	if (row->choice && (!bounded || !values_choice(value, row->choice, "", &ignored)))
		return values_choice(value, row->choice, row->error, &ignored);
	if (bounded)
		return values_integer(value, row->min, row->max, row->error, &ignored);
	return *value ? NULL : "The value is empty";
}

/* The other types have their own words for it: it is no value of theirs. */
static bool refused_as_empty(const struct option *row, const void *slot)
{
	if (row->type == TEXT)
		return row->empty == EMPTY_REFUSED ||
		       (row->empty == EMPTY_UNDOES && !*(const char *const *)slot);
	return row->type == LIST || row->type == TLVS || row->type == INCLUDE;
}

static const char *set(struct options_target *t, const struct option *row, const char *value)
{
	struct conf_globals ignored = {0};
	char *globals = (char *)(t->global ? &t->config->globals : &ignored);
	void *slot = (row->scope == GLOBAL ? globals : (char *)t->options) + row->offset;

	if (!*value && refused_as_empty(row, slot))
		return "The value is empty";
	switch (row->type) {
	case FLAG:
		return values_flag(value, slot);
	case INTEGER:
		return values_integer(value, row->min, row->max, row->error, slot);
	case TEXT:
		return values_text(t->config, value, slot);
	case LIST:
		return values_add(t->config, value, t->line, slot);
	case CHOICE:
		return values_choice(value, row->choice, row->error, slot);
	case LEVEL:
		return values_level(value, t->global ? &t->config->globals.facility : NULL, slot);
	case USER:
		return values_user(value, slot);
	case GROUP:
		return values_group(value, slot);
	case TLS_MIN:
		return values_versions(value, slot, NULL);
	case TLS_MAX:
		return values_versions(value, NULL, slot);
	case TLS_BOTH:
		return values_versions(value, &t->options->version_min, &t->options->version_max);
	case TLS_OPTION:
		return values_tls_option(value, t->options);
	case SOCKET:
		return net_options_add(slot, value) ? NULL : "Illegal socket option";
	case RULE:
		return values_rule(row->name, value, slot);
	case TLVS:
		return values_tlvs(value, slot);
	case SEND_PROXY:
		return values_send_proxy(value, slot);
	case VERIFY:
		return values_verify(value, slot);
	case VERIFY_BIT:
		return values_verify_bit(value, (unsigned)row->max, (unsigned)row->min, slot);
	case INCLUDE:
		return NULL;
	case IDLE:
		return check_idle(row, value);
	case UNBUILT:
		return refuse_unbuilt(row, value);
	}
	return NULL;
}

void options_default(struct options_target *t)
{
	net_options_default(&t->options->sockets);
	t->config->globals.facility = LOG_DAEMON;
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].initial && rows[i].type != UNBUILT)
			set(t, &rows[i], rows[i].initial);
}

static bool may_stand(const struct option *row, bool global)
{
	switch (row->scope) {
	case GLOBAL:
		return global || row->in_section;
	case SERVICE:
		return true;
	case SECTION:
		return !global;
	}
	return false;
}

/* The option of that name that may stand there; two of one name are for different places. */
static const struct option *find(const char *name, size_t len, bool global)
{
	for (size_t i = 0; i < ROWS; i++)
		if (!strncasecmp(name, rows[i].name, len) && !rows[i].name[len] &&
		    may_stand(&rows[i], global))
			return &rows[i];
	return NULL;
}

/* A line stands for its option even if it is refused: nobody is told that the option is missing. */
static void note_line(struct options_target *t, const struct option *row, bool refused)
{
	t->options->line[row - rows] = t->line;
	if (row->type == SEND_PROXY)
		t->options->line[find("protocol", strlen("protocol"), t->global) - rows] = t->line;
	t->line->refused |= refused;
}

void options_spoilt(struct options_target *t, const char *text)
{
	const struct option *row = find(text, strcspn(text, " \t:"), t->global);

	if (row)
		note_line(t, row, true);
}

static const struct option *nearest(const char *name)
{
	const struct option *found = NULL;
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

/* A name that is not valid: what may have been meant by it. */
static const char *refuse_name(struct options_target *t, const struct option *row, const char *name)
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

bool options_is_secret(const char *line)
{
	const struct option *row;
	char name[64];

	snprintf(name, sizeof name, "%.*s", (int)strcspn(line, " \t\v\f=:"), line);
	row = find(name, strlen(name), false);
	if (!row)
		row = nearest(name);
	return row && row->secret;
}

static void note_idle(struct options_target *t, const struct option *row)
{
	struct report_place place = {.line = t->line};

	if (row->type == IDLE)
		report_add(t->report, REPORT_NOTE, &place, "It has no effect here: %s", row->help);
	else if (row->type == SEND_PROXY)
		report_add(t->report, REPORT_NOTE, &place, "Newer files have protocol = proxy");
	else if (row->scope == GLOBAL && !t->global)
		report_add(t->report, REPORT_WARNING, &place, "It has no effect here: %s",
			   row->in_section);
}

const char *options_apply(struct options_target *t, const char *name, const char *value,
			  const char **include)
{
	const struct option *row = find(name, strlen(name), t->global);
	const char *why;

	*include = NULL;
	if (!row)
		return refuse_name(t, find(name, strlen(name), true), name);
	if (row->type == INCLUDE)
		*include = value;
	why = set(t, row, value);
	note_line(t, row, why != NULL);
	if (!why)
		note_idle(t, row);
	return why;
}

struct conf_line *options_line(const struct conf_options *options, const char *name)
{
	const struct option *row = find(name, strlen(name), false);

	if (!row) /* a global one */
		row = find(name, strlen(name), true);
	return row ? options->line[row - rows] : NULL;
}

static void print_names(FILE *to, const char *heading, enum type type)
{
	fprintf(to, "%s\n   ", heading);
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].type == type)
			fprintf(to, " %s", rows[i].name);
	fprintf(to, "\n");
}

void options_print(FILE *to)
{
	_Static_assert(ROWS <= CONF_ROWS_MAX, "conf_options.line has no room for every option");
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].type != UNBUILT && rows[i].type != IDLE)
			fprintf(to, "%-15s = %s%s%s%s\n", rows[i].name, rows[i].help,
				rows[i].initial ? " (" : "", rows[i].initial ? rows[i].initial : "",
				rows[i].initial ? ")" : "");
	print_names(to, "Taken from stock stunnel, without effect:", IDLE);
	print_names(to, "Known from stock stunnel, not built yet:", UNBUILT);
}
