/* SPDX-License-Identifier: ISC */
#include "conf.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "options.h"
#include "steps.h"
#include "tls_ctx.h"

#define LINE_MAX_BYTES 16383 /* stock splits longer ones silently; nobody relies on it */
#define INCLUDES_MAX 16	     /* nested; stock would loop for ever */
#define PATH_BYTES 4096

struct conf_kept {
	struct conf_kept *next;
	void *p;
};

struct reader {
	struct options_target target;
	struct conf_section *section; /* the open one, or NULL */
	int depth;		      /* of include */
	char *why;		      /* CONF_WHY_MAX bytes */
	char reason[128];	      /* of a line's failure, where that is not a fixed text */
};

/* --- memory ----------------------------------------------------------------------------------- */

static void *keep(struct config *config, void *p)
{
	struct conf_kept *kept = malloc(sizeof *kept);

	if (!p || !kept) {
		free(p);
		free(kept);
		return NULL;
	}
	kept->p = p;
	kept->next = config->kept;
	config->kept = kept;
	return p;
}

const char *conf_keep(struct config *config, const char *text)
{
	return keep(config, strdup(text));
}

const char **conf_keep_items(struct config *config, const char **items)
{
	return keep(config, items);
}

static void free_section(struct conf_section *s)
{
	tls_ctx_free(s->service.tls);
	free(s->service.targets.addr);
	free(s->service.sni);
	free(s->service.trusted);
	free(s->service.access);
	free(s->accept.addr);
	free(s);
}

void conf_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->count; i++)
		free_section(config->section[i]);
	free(config->section);
	while (config->access) {
		struct access_file *next = config->access->next;

		access_close(config->access);
		free(config->access);
		config->access = next;
	}
	while (config->kept) {
		struct conf_kept *next = config->kept->next;

		free(config->kept->p);
		free(config->kept);
		config->kept = next;
	}
	free(config);
}

/* --- checking a section ----------------------------------------------------------------------- */

/* What is wrong with the section, after the line of the option that is at fault (NULL: none). */
static bool refuse(struct reader *r, const char *option, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool refuse(struct reader *r, const char *option, const char *format, ...)
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
static bool check_ip_clients(struct reader *r, const struct conf_list *accept)
{
	for (size_t i = 0; i < accept->count; i++)
		if (accept->item[i][0] == '/')
			return refuse(r, "protocol",
				      "protocol = proxy names a client's IP address, and clients "
				      "of %.200s have none",
				      accept->item[i]);
	return true;
}

/* `sni = PRIMARY:PATTERN`: the pattern is entered with the primary, which must stand before. */
static bool join_primary(struct reader *r, struct conf_section *s)
{
	const char *colon = strchr(s->options.sni, ':');
	struct conf_section *primary;
	struct conn_sni *grown;

	if (!colon)
		return refuse(r, "sni", "Invalid SNI parameter format");
	primary = find_section(r->target.config, s->options.sni, (size_t)(colon - s->options.sni));
	if (!primary || primary == s)
		return refuse(r, "sni", "SNI section name not found: %.200s", s->options.sni);
	if (s->options.protocol && !check_ip_clients(r, &primary->options.accept))
		return false;
	grown = realloc(primary->service.sni, (primary->service.sni_count + 1) * sizeof *grown);
	if (!grown)
		return refuse(r, NULL, "Out of memory");
	primary->service.sni = grown;
	grown[primary->service.sni_count++] = (struct conn_sni){colon + 1, &s->service};
	return true;
}

static bool check_protocol(struct reader *r, const struct conf_section *s)
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
	return check_ip_clients(r, &s->options.accept);
}

static bool check_endpoints(struct reader *r, const struct conf_section *s)
{
	int endpoints = (s->options.accept.count != 0) + (s->options.connect.count != 0) +
			(s->options.sni != NULL);

	if (endpoints != 2)
		return refuse(r, NULL, "Each service must define two endpoints");
	if (!s->options.connect.count)
		return refuse(r, NULL, "A service without 'connect' has nowhere to go");
	return true;
}

/* One address or block of `trustedProxy`. */
static bool add_trusted(struct reader *r, struct conf_section *s, const char *text)
{
	struct conn_service *service = &s->service;
	struct net_cidr cidr;
	struct net_cidr *grown;

	if (!net_cidr_parse(text, &cidr))
		return refuse(r, "trustedProxy", "Not an address or block of addresses: %.100s",
			      text);
	grown = realloc(service->trusted, (service->trusted_count + 1) * sizeof cidr);
	if (!grown)
		return refuse(r, NULL, "Out of memory");
	service->trusted = grown;
	grown[service->trusted_count++] = cidr;
	return true;
}

static bool parse_trusted(struct reader *r, struct conf_section *s)
{
	for (size_t i = 0; i < s->options.trusted.count; i++) {
		const char *list = s->options.trusted.item[i];

		while (*(list += strspn(list, ", \t"))) {
			size_t len = strcspn(list, ", \t");
			char text[128];

			snprintf(text, sizeof text, "%.*s", (int)len, list);
			if (!add_trusted(r, s, text))
				return false;
			list += len;
		}
	}
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

static bool make_access(struct reader *r, struct conf_section *s)
{
	struct config *config = r->target.config;
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

static bool resolve_all(struct reader *r, struct conf_section *s)
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

/* Which texts on the client's certificate templates use. */
static unsigned cert_texts(const struct template_pool *pool)
{
	static const struct {
		struct span variable;
		unsigned text;
	} uses[] = {
		{{"client_cert_chain", 17}, TLS_CERT_CHAIN},
		{{"client_cert_issuer", 18}, TLS_CERT_NAMES},
		{{"client_cert_pem", 15}, TLS_CERT_PEM},
		{{"client_cert_rfc9440", 19}, TLS_CERT_RFC9440},
		{{"client_cert_serial", 18}, TLS_CERT_NAMES},
		{{"client_cert_sha256", 18}, TLS_CERT_NAMES},
		{{"client_cert_subject", 19}, TLS_CERT_NAMES},
		{{"client_cert_verify", 18}, TLS_CERT_NAMES},
	};
	unsigned texts = 0;

	for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++)
		if (template_uses(pool, uses[i].variable))
			texts |= uses[i].text;
	return texts;
}

static unsigned texts_on_cert(const struct conn_service *service)
{
	unsigned of_log = service->access ? cert_texts(&service->access->pool) : 0;

	return cert_texts(&service->rewrite.pool) | of_log;
}

static struct tls_names names_of(const struct conf_list *list)
{
	return (struct tls_names){list->item, list->count};
}

static bool check_verification(struct reader *r, const struct conf_options *o)
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

static bool make_tls(struct reader *r, struct conf_section *s)
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

/* At the next section's header, or at the end: everything that one line cannot tell. */
static bool finish_section(struct reader *r)
{
	struct conf_section *s = r->section;
	struct conn_service *service;
	size_t out_min;

	if (!s)
		return true;
	service = &s->service;
	service->name = s->name;
	service->log_level = s->options.log_level;
	service->timeout = s->options.timeout;
	service->failover = (enum conn_failover)s->options.failover;
	service->options = s->options.sockets;
	service->rewrite = s->options.rewrite;
	service->limits = s->options.limits;
	service->limits.keep_client = s->options.keep_client;
	log_main(LOG_INFO, "Initializing service [%s]", s->name);
	if ((s->options.sni && !join_primary(r, s)) || !check_endpoints(r, s) ||
	    !check_protocol(r, s) || !make_access(r, s) || !make_tls(r, s) ||
	    !parse_trusted(r, s) || !resolve_all(r, s))
		return false;
	steps_plan(service, s->options.protocol != NULL);
	out_min = h1_out_min(&service->rewrite, service->limits);
	if (out_min > r->target.config->out_cap)
		r->target.config->out_cap = out_min;
	return true;
}

/* --- the file's grammar ----------------------------------------------------------------------- */

static bool open_section(struct reader *r, const char *name)
{
	struct config *config = r->target.config;
	struct conf_section **grown, *s = calloc(1, sizeof *s);

	grown = realloc(config->section, (config->count + 1) * sizeof(struct conf_section *));
	if (grown)
		config->section = grown;
	if (!s || !grown) {
		free(s);
		snprintf(r->why, CONF_WHY_MAX, "Out of memory");
		return false;
	}
	config->section[config->count++] = s;
	s->name = conf_keep(config, name);
	s->options = config->defaults;
	r->section = s;
	r->target.options = &s->options;
	r->target.global = false;
	return s->name != NULL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\v' || c == '\f';
}

/* Without white space at both ends, in place. */
static char *trim(char *text)
{
	size_t len;

	while (is_blank(*text))
		text++;
	len = strlen(text);
	while (len != 0 && is_blank(text[len - 1]))
		text[--len] = '\0';
	return text;
}

/* Every CR goes, wherever it stands, as in stock. */
static void drop_cr(char *text)
{
	char *to = text;

	for (; *text; text++)
		if (*text != '\r')
			*to++ = *text;
	*to = '\0';
}

static const char *read_directory(struct reader *r, const char *path);

/* NULL, or what is wrong with the line; "" if r->why says it already. */
static const char *apply_line(struct reader *r, char *line)
{
	char *value = strchr(line, '=');
	const char *include, *why;
	size_t len = strlen(line);

	if (line[0] == '[' && line[len - 1] == ']') {
		line[len - 1] = '\0';
		return finish_section(r) && open_section(r, line + 1) ? NULL : "";
	}
	if (!value)
		return "No '=' found";
	*value++ = '\0';
	why = options_apply(&r->target, trim(line), trim(value), &include);
	if (why || !include)
		return why;
	return read_directory(r, trim(value));
}

/* The line as it stood there, for the message: apply_line() writes into it. */
static bool read_line(struct reader *r, const char *file, size_t number, char *text)
{
	char where[1600];
	const char *why;
	char *line;

	drop_cr(text);
	line = trim(text);
	if (!*line || *line == ';' || *line == '#')
		return true;
	snprintf(where, sizeof where, "%.500s:%zu: \"%.1000s\"", file, number, line);
	r->target.where = conf_keep(r->target.config, where);
	why = apply_line(r, line);
	if (!why)
		return true;
	if (*why)
		snprintf(r->why, CONF_WHY_MAX, "%s: %s", where, why);
	return false;
}

static char *skip_bom(char *line)
{
	bool found = !strncmp(line, "\xef\xbb\xbf", 3);

	log_main(LOG_NOTICE, "UTF-8 byte order mark %s", found ? "detected" : "not detected");
	return found ? line + 3 : line;
}

static bool read_stream(struct reader *r, FILE *stream, const char *file)
{
	char *text = NULL;
	size_t size = 0, number = 0;
	bool ok = true;
	ssize_t len;

	while (ok && (len = getline(&text, &size, stream)) > 0) {
		number++;
		if (len > LINE_MAX_BYTES || memchr(text, 0, (size_t)len)) {
			snprintf(r->why, CONF_WHY_MAX, "%.500s:%zu: \"%.40s\": %s", file, number,
				 text,
				 len > LINE_MAX_BYTES ? "The line is too long"
						      : "The line holds a NUL byte");
			ok = false;
			break;
		}
		ok = read_line(r, file, number, number == 1 ? skip_bom(text) : text);
	}
	free(text);
	return ok;
}

static bool cannot_open(struct reader *r, const char *what, const char *path)
{
	snprintf(r->why, CONF_WHY_MAX, "%s: %.500s: %s (%d)", what, path, strerror(errno), errno);
	return false;
}

static bool read_file(struct reader *r, const char *path)
{
	FILE *stream = fopen(path, "re");
	bool ok;

	if (!stream)
		return cannot_open(r, "Cannot open configuration file", path);
	log_main(LOG_NOTICE, "Reading configuration from file %s", path);
	ok = read_stream(r, stream, path);
	fclose(stream);
	return ok;
}

/*
 * Regular files of the directory in alphabetical order, whatever their names, as in stock. Returns
 * as apply_line().
 */
static const char *read_directory(struct reader *r, const char *path)
{
	struct dirent **entries;
	int count;
	bool ok = true;

	if (r->depth == INCLUDES_MAX)
		return "Failed to include directory: too many of them in one another";
	count = scandir(path, &entries, NULL, alphasort);
	if (count < 0) {
		snprintf(r->reason, sizeof r->reason, "Failed to include directory: %s (%d)",
			 strerror(errno), errno);
		return r->reason;
	}
	r->depth++;
	for (int i = 0; i < count; i++) {
		char file[PATH_BYTES];
		struct stat st;

		snprintf(file, sizeof file, "%.3800s/%s", path, entries[i]->d_name);
		if (ok && stat(file, &st) == 0 && S_ISREG(st.st_mode))
			ok = read_file(r, file);
		free(entries[i]);
	}
	free(entries);
	r->depth--;
	return ok ? NULL : "";
}

static bool check_globals(struct reader *r)
{
	const struct conf_globals *g = &r->target.config->globals;
	const char *why = NULL;

	if (r->target.config->count == 0)
		why = "No section: inetd mode is not built yet";
	else if (g->foreground == CONF_BACKGROUND && g->output && g->output[0] != '/')
		why = "Log file must include full path name";
	else if (g->foreground == CONF_BACKGROUND && g->pid && g->pid[0] != '/')
		why = "Pid file must include full path name";
	if (!why)
		return true;
	snprintf(r->why, CONF_WHY_MAX, "Global options: %s", why);
	return false;
}

static bool read_fd(struct reader *r, int fd)
{
	char name[32];
	FILE *stream = fdopen(fd, "r");
	bool ok;

	snprintf(name, sizeof name, "descriptor %d", fd);
	if (!stream)
		return cannot_open(r, "Cannot open configuration file", name);
	log_main(LOG_NOTICE, "Reading configuration from %s", name);
	ok = read_stream(r, stream, name);
	if (fd > STDERR_FILENO)
		fclose(stream);
	return ok;
}

struct config *conf_load(const char *path, int fd, char why[static CONF_WHY_MAX])
{
	struct config *config = calloc(1, sizeof *config);
	struct reader r = {.why = why};

	snprintf(why, CONF_WHY_MAX, "Out of memory");
	if (!config)
		return NULL;
	r.target = (struct options_target){config, &config->defaults, true, NULL};
	options_default(&r.target);
	if ((fd >= 0 ? read_fd(&r, fd) : read_file(&r, path)) && finish_section(&r) &&
	    check_globals(&r)) {
		log_main(LOG_NOTICE, "Configuration successful");
		return config;
	}
	conf_free(config);
	return NULL;
}
