/* SPDX-License-Identifier: ISC */
#include "config/rows.h"

#include <limits.h>
#include <syslog.h>

#include "config/config.h"
#include "conn/relay.h"
#include "core/h1_head.h"

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
const struct row rows_all[] = {
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

const size_t rows_count = sizeof rows_all / sizeof rows_all[0];
