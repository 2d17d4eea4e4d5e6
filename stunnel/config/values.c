/* SPDX-License-Identifier: ISC */
#include "config/values.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#include "tls/ctx.h"
#include "tls/library.h"

const char *values_flag(const char *value, bool *slot)
{
	bool yes = !strcasecmp(value, "yes");

	if (!yes && strcasecmp(value, "no") != 0)
		return "The argument needs to be either 'yes' or 'no'";
	*slot = yes;
	return NULL;
}

const char *values_integer(const char *value, int min, int max, const char *error, int *slot)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(value, &end, 10);
	if (end == value || *end || errno != 0 || n < min || n > max)
		return error ? error : "This is not a number within bounds";
	*slot = (int)n;
	return NULL;
}

const char *values_text(struct config *config, const char *value, const char **slot)
{
	*slot = *value ? arena_text(&config->arena, value) : NULL;
	return NULL;
}

const char *values_add(struct config *config, const char *value, struct conf_line *line,
		       struct conf_list *list)
{
	struct arena *arena = &config->arena;
	const char **items = arena_grown(arena, list->item, list->count, sizeof *items);
	struct conf_line **lines = arena_grown(arena, list->line, list->count, sizeof *lines);

	if (!items || !lines)
		return NULL;
	items[list->count] = arena_text(arena, value);
	lines[list->count] = line;
	*list = (struct conf_list){items, lines, list->count + 1};
	return NULL;
}

const char *values_choice(const char *value, const struct values_choice *choice, const char *error,
			  int *slot)
{
	for (const struct values_choice *c = choice; c->name; c++) {
		if (strcasecmp(value, c->name) != 0)
			continue;
		*slot = c->value;
		return NULL;
	}
	return error;
}

static const struct values_choice levels[] = {{"emerg", LOG_EMERG},
					      {"alert", LOG_ALERT},
					      {"crit", LOG_CRIT},
					      {"err", LOG_ERR},
					      {"warning", LOG_WARNING},
					      {"notice", LOG_NOTICE},
					      {"info", LOG_INFO},
					      {"debug", LOG_DEBUG},
					      {"0", 0},
					      {"1", 1},
					      {"2", 2},
					      {"3", 3},
					      {"4", 4},
					      {"5", 5},
					      {"6", 6},
					      {"7", 7},
					      {0}};

static const struct values_choice facilities[] = {
	{"auth", LOG_AUTH},	{"authpriv", LOG_AUTHPRIV}, {"cron", LOG_CRON},
	{"daemon", LOG_DAEMON}, {"ftp", LOG_FTP},	    {"kern", LOG_KERN},
	{"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},	    {"local2", LOG_LOCAL2},
	{"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},	    {"local5", LOG_LOCAL5},
	{"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7},	    {"lpr", LOG_LPR},
	{"mail", LOG_MAIL},	{"news", LOG_NEWS},	    {"syslog", LOG_SYSLOG},
	{"user", LOG_USER},	{"uucp", LOG_UUCP},	    {0}};

const char *values_level(const char *value, int *facility, int *slot)
{
	static const char no_facility[] = "Illegal syslog facility";
	const char *dot = strchr(value, '.');
	const char *why;
	char name[16];

	if (dot && facility) {
		if ((size_t)(dot - value) >= sizeof name)
			return no_facility;
		memcpy(name, value, (size_t)(dot - value));
		name[dot - value] = '\0';
		why = values_choice(name, facilities, no_facility, facility);
		if (why)
			return why;
		value = dot + 1;
	}
	return values_choice(value, levels,
			     "Illegal debug level: one of emerg, alert, crit, err, warning, "
			     "notice, info and debug, or 0 to 7",
			     slot);
}

/* A number, or a name; the number 0 as well as root mean that nothing is changed. */
static bool parse_id(const char *value, unsigned *id)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (end == value || *end || errno != 0 || n > UINT_MAX - 1 || *value == '-')
		return false;
	*id = (unsigned)n;
	return true;
}

const char *values_user(const char *value, unsigned *slot)
{
	struct passwd *pw = getpwnam(value);

	if (pw)
		*slot = pw->pw_uid;
	return pw || parse_id(value, slot) ? NULL : "Illegal UID";
}

const char *values_group(const char *value, unsigned *slot)
{
	struct group *gr = getgrnam(value);

	if (gr)
		*slot = gr->gr_gid;
	return gr || parse_id(value, slot) ? NULL : "Illegal GID";
}

const char *values_versions(const char *value, int *min, int *max)
{
	int version = tls_library_version(value);

	if (version < 0)
		return "Invalid protocol version: one of all, SSLv3, TLSv1, TLSv1.1, TLSv1.2 and "
		       "TLSv1.3 (sslVersionMin and sslVersionMax give a range)";
	if (min)
		*min = version;
	if (max)
		*max = version;
	return NULL;
}

const char *values_tls_option(const char *value, struct conf_options *options)
{
	bool clear = value[0] == '-';
	uint64_t bit;

	if (!tls_library_option(clear ? value + 1 : value, &bit))
		return "Illegal TLS option";
	if (clear)
		options->tls_clear |= bit;
	else
		options->tls_set |= bit;
	return NULL;
}

const char *values_rule(const char *name, const char *value, struct rewrite *rewrite)
{
	const char *why;

	rewrite_option(rewrite, span_of(name, strlen(name)), span_of(value, strlen(value)), &why);
	return why;
}

const char *values_send_proxy(const char *value, const char **protocol)
{
	static const char proxy[] = "proxy";
	bool wanted;
	const char *why = values_flag(value, &wanted);

	if (why)
		return why;
	if (wanted)
		*protocol = proxy;
	else if (*protocol && !strcasecmp(*protocol, proxy))
		*protocol = NULL;
	return NULL;
}

const char *values_tlvs(const char *value, struct proxy *proxy)
{
	const char *why;

	proxy_option(proxy, span_of(value, strlen(value)), &why);
	return why;
}

const char *values_verify(const char *value, unsigned *bits)
{
	static const unsigned bits_of[] = {
		TLS_VERIFY_REQUEST,
		TLS_VERIFY_REQUEST | TLS_VERIFY_CHAIN,
		TLS_VERIFY_REQUEST | TLS_VERIFY_REQUIRE | TLS_VERIFY_CHAIN,
		TLS_VERIFY_REQUEST | TLS_VERIFY_REQUIRE | TLS_VERIFY_CHAIN | TLS_VERIFY_PEER,
		TLS_VERIFY_REQUEST | TLS_VERIFY_REQUIRE | TLS_VERIFY_PEER,
	};
	int n;
	const char *why = values_integer(value, 0, 4, "Bad verify level: 0 to 4", &n);

	if (!why)
		*bits = bits_of[n];
	return why;
}

const char *values_verify_bit(const char *value, unsigned set, unsigned clear, unsigned *bits)
{
	bool yes;
	const char *why = values_flag(value, &yes);

	if (!why)
		*bits = yes ? *bits | set : *bits & ~clear;
	return why;
}
