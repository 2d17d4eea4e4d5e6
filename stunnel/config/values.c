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

#include "tls/library.h"
#include "tls/ocsp.h"

static const char empty[] = "The value is empty";

const struct values_choice values_yes_no[] = {{"no", 0}, {"yes", 1}, {0}};
static const struct values_bounds yes_no = {
	.choice = values_yes_no,
	.error = VALUES_YES_NO_ERROR,
};

/* --- numbers and names of numbers ------------------------------------------------------------- */

static const char *choose(const char *value, const struct values_choice *choice, const char *error,
			  int *n)
{
	for (; choice->name; choice++) {
		if (strcasecmp(value, choice->name) != 0)
			continue;
		*n = choice->value;
		return NULL;
	}
	return error;
}

static const char *number(const char *value, const struct values_bounds *b, int *n)
{
	char *end;
	long parsed;

	if (b->choice && !choose(value, b->choice, "", n))
		return NULL;
	errno = 0;
	parsed = strtol(value, &end, 10);
	if (b->min >= b->max || end == value || *end || errno != 0 || parsed < b->min ||
	    parsed > b->max)
		return b->error ? b->error : "This is not a number within bounds";
	*n = (int)parsed;
	return NULL;
}

const char *values_flag(const struct values_input *in, void *slot)
{
	values_flag_slot *flag = slot;
	int n = 0;
	const char *why = number(in->value, in->bounds->choice ? in->bounds : &yes_no, &n);

	if (!why)
		*flag = n != 0;
	return why;
}

const char *values_integer(const struct values_input *in, void *slot)
{
	values_integer_slot *integer = slot;

	return number(in->value, in->bounds, integer);
}

const char *values_unsigned(const struct values_input *in, void *slot)
{
	values_unsigned_slot *integer = slot;
	int n;
	const char *why = number(in->value, in->bounds, &n);

	if (!why)
		*integer = (unsigned)n;
	return why;
}

/* --- texts ------------------------------------------------------------------------------------ */

const char *values_text(const struct values_input *in, void *slot)
{
	return *in->value ? values_text_or_none(in, slot) : empty;
}

const char *values_any_text(const struct values_input *in, void *slot)
{
	values_any_text_slot *text = slot;

	*text = arena_text(in->arena, in->value);
	return NULL;
}

const char *values_text_or_none(const struct values_input *in, void *slot)
{
	values_text_or_none_slot *text = slot;

	*text = *in->value ? arena_text(in->arena, in->value) : NULL;
	return NULL;
}

const char *values_text_or_undo(const struct values_input *in, void *slot)
{
	const values_text_or_undo_slot *text = slot;

	return *in->value || *text ? values_text_or_none(in, slot) : empty;
}

/* --- names of files --------------------------------------------------------------------------- */

/* Where a unit of systemd has its LoadCredential=; a name that begins so follows it. */
#define CREDENTIALS "CREDENTIALS_DIRECTORY"

/* What of a value stands behind the variable, with its slash; NULL: it does not begin with it. */
static const char *behind_variable(const char *value)
{
	static const char *const forms[] = {"$" CREDENTIALS "/", "${" CREDENTIALS "}/"};

	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
		if (!strncmp(value, forms[i], strlen(forms[i])))
			return value + strlen(forms[i]) - 1;
	return NULL;
}

static const char *set_file(const struct values_input *in, void *slot, values_setter *set)
{
	const char *rest = behind_variable(in->value), *folder = getenv(CREDENTIALS);
	struct values_input expanded = *in;

	if (!rest)
		return set(in, slot);
	if (!folder || !*folder)
		return "CREDENTIALS_DIRECTORY is not set: systemd sets it in a unit with "
		       "LoadCredential=";
	expanded.value = arena_format(in->arena, "%s%s", folder, rest);
	return expanded.value ? set(&expanded, slot) : NULL;
}

const char *values_file(const struct values_input *in, void *slot)
{
	return set_file(in, slot, values_text);
}

const char *values_file_or_none(const struct values_input *in, void *slot)
{
	return set_file(in, slot, values_text_or_none);
}

const char *values_file_or_undo(const struct values_input *in, void *slot)
{
	return set_file(in, slot, values_text_or_undo);
}

/* --- lists of texts --------------------------------------------------------------------------- */

const char *values_item(const struct values_input *in, void *slot)
{
	values_item_slot *list = slot;
	const char **items = arena_grown(in->arena, list->item, list->count, sizeof *items);
	struct report_line **lines = arena_grown(in->arena, list->line, list->count, sizeof *lines);

	if (!*in->value)
		return empty;
	if (!items || !lines)
		return NULL;
	items[list->count] = arena_text(in->arena, in->value);
	lines[list->count] = in->line;
	*list = (struct values_list){items, lines, list->count + 1};
	return NULL;
}

const char *values_blocks(const struct values_input *in, void *slot)
{
	values_blocks_slot *blocks = slot;
	struct ip_blocks *to = *blocks ? *blocks : arena_alloc(in->arena, sizeof *to);
	struct span list = span_of(in->value, strlen(in->value));
	struct ip_block block;
	int rc;

	if (!to)
		return NULL;
	*blocks = to;
	while ((rc = ip_block_next(&list, in->word, &block)) > 0) {
		if (to->count == IP_BLOCKS_MAX)
			return in->bounds->error;
		to->block[to->count++] = block;
	}
	if (rc < 0)
		return "Not an address or block of addresses";
	return to->count != 0 ? NULL : "No address in the list";
}

const char *values_per_ip(const struct values_input *in, void *slot)
{
	static const char error[] = "This is not NUMBER[, BITS4[, BITS6]], with bits of IPv4 "
				    "addresses from 1 to 32 and of IPv6 ones from 1 to 128";
	values_per_ip_slot *limit = slot;
	static const unsigned least[] = {0, 1, 1}, most[] = {INT_MAX, 32, 128};
	unsigned n[] = {0, ADMIT_V4_BITS, ADMIT_V6_BITS};
	const char *at = in->value;

	for (size_t i = 0; i < 3; i++) {
		size_t len = strcspn(at, ", \t");

		if (!ip_parse_number(span_of(at, len), most[i], &n[i]) || n[i] < least[i])
			return error;
		at += len;
		at += strspn(at, " \t");
		if (!*at) {
			*limit = (struct admit_per_ip){n[0], (uint8_t)n[1], (uint8_t)n[2]};
			return NULL;
		}
		if (*at != ',')
			return error;
		at++;
		at += strspn(at, " \t");
	}
	return error;
}

const char *values_name(const struct values_input *in, void *slot)
{
	values_name_slot *names = slot;
	const char **items = arena_grown(in->arena, names->item, names->count, sizeof *items);

	if (!*in->value)
		return empty;
	if (!items)
		return NULL;
	items[names->count] = arena_text(in->arena, in->value);
	*names = (struct tls_names){items, names->count + 1};
	return NULL;
}

const char *values_files(const struct values_input *in, void *slot)
{
	values_files_slot *files = slot;

	if (!*in->value)
		return empty;
	if (in->inherited)
		*files = (struct tls_names){0};
	return set_file(in, slot, values_name);
}

/* --- of the process --------------------------------------------------------------------------- */

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

const char *values_level(const struct values_input *in, void *slot)
{
	static const char no_facility[] = "Illegal syslog facility: one of auth, authpriv, cron, "
					  "daemon, ftp, kern, local0 to "
					  "local7, lpr, mail, news, syslog, user and uucp";
	values_level_slot *level = slot;
	const char *value = in->value, *dot = strchr(value, '.'), *why;
	char name[16];

	if (dot && in->facility) {
		if ((size_t)(dot - value) >= sizeof name)
			return no_facility;
		memcpy(name, value, (size_t)(dot - value));
		name[dot - value] = '\0';
		why = choose(name, facilities, no_facility, in->facility);
		if (why)
			return why;
		value = dot + 1;
	}
	return choose(value, levels,
		      "Illegal debug level: one of emerg, alert, crit, err, warning, "
		      "notice, info and debug, or 0 to 7",
		      level);
}

/* A numeric id; 0, root's, means that the process keeps its own. */
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

const char *values_user(const struct values_input *in, void *slot)
{
	values_user_slot *id = slot;
	struct passwd *pw = getpwnam(in->value);

	if (pw)
		*id = pw->pw_uid;
	return pw || parse_id(in->value, id) ? NULL : "Illegal UID";
}

const char *values_group(const struct values_input *in, void *slot)
{
	values_group_slot *id = slot;
	struct group *gr = getgrnam(in->value);

	if (gr)
		*id = gr->gr_gid;
	return gr || parse_id(in->value, id) ? NULL : "Illegal GID";
}

/* --- TLS -------------------------------------------------------------------------------------- */

const char *values_version(const struct values_input *in, void *slot)
{
	values_version_slot *version = slot;
	int number = tls_library_version(in->value);

	if (number < 0)
		return "Invalid protocol version: one of all, SSLv3, TLSv1, TLSv1.1, TLSv1.2 and "
		       "TLSv1.3 (sslVersionMin and sslVersionMax give a range)";
	*version = number;
	return NULL;
}

const char *values_versions(const struct values_input *in, void *slot)
{
	values_versions_slot *tls = slot;
	const char *why = values_version(in, &tls->version_min);

	if (!why)
		tls->version_max = tls->version_min;
	return why;
}

const char *values_tls_option(const struct values_input *in, void *slot)
{
	values_tls_option_slot *tls = slot;
	bool clear = in->value[0] == '-';
	uint64_t bit;

	if (!tls_library_option(clear ? in->value + 1 : in->value, &bit))
		return "Illegal TLS option: one name a line, of those that stunnel -options lists";
	if (clear)
		tls->options_clear |= bit;
	else
		tls->options_set |= bit;
	return NULL;
}

const char *values_ocsp_flag(const struct values_input *in, void *slot)
{
	values_ocsp_flag_slot *bits = slot;
	unsigned bit;

	if (!tls_ocsp_flag(in->value, &bit))
		return "Illegal OCSP flag";
	*bits |= bit;
	return NULL;
}

const char *values_ocsp_url(const struct values_input *in, void *slot)
{
	if (!tls_ocsp_is_url(in->value))
		return "Failed to parse OCSP URL: http://HOST[:PORT][/PATH]";
	return values_text(in, slot);
}

/* At once, since libraries that the rest of the file concerns may look for it. */
const char *values_variable(const struct values_input *in, void *slot)
{
	values_variable_slot *count = slot;
	size_t len = strcspn(in->value, "=");
	char *name;
	int rc;

	if (len == 0)
		return in->bounds->error;
	name = strndup(in->value, len);
	if (!name)
		return "Memory allocation failed";
	rc = in->value[len] && in->value[len + 1] ? setenv(name, in->value + len + 1, 1)
						  : unsetenv(name);
	free(name);
	if (rc != 0)
		return "Memory allocation failed";
	++*count;
	return NULL;
}

const char *values_ticket_secret(const struct values_input *in, void *slot)
{
	values_ticket_secret_slot *secret = slot;

	return tls_tickets_parse(secret, in->value) ? NULL : in->bounds->error;
}

const char *values_verify(const struct values_input *in, void *slot)
{
	static const unsigned bits_of[] = {
		TLS_VERIFY_REQUEST,
		TLS_VERIFY_REQUEST | TLS_VERIFY_CHAIN,
		TLS_VERIFY_REQUEST | TLS_VERIFY_REQUIRE | TLS_VERIFY_CHAIN,
		TLS_VERIFY_REQUEST | TLS_VERIFY_REQUIRE | TLS_VERIFY_CHAIN | TLS_VERIFY_PEER,
		TLS_VERIFY_REQUEST | TLS_VERIFY_REQUIRE | TLS_VERIFY_PEER,
	};
	values_verify_slot *bits = slot;
	int n;
	const char *why = number(in->value, in->bounds, &n);

	if (!why)
		*bits = bits_of[n];
	return why;
}

/* `yes` makes a certificate required as well; `no` clears only the bit itself. */
static const char *set_bit(const struct values_input *in, unsigned bit, unsigned *bits)
{
	bool yes;
	const char *why = values_flag(in, &yes);

	if (!why)
		*bits = yes ? *bits | TLS_VERIFY_REQUEST | TLS_VERIFY_REQUIRE | bit : *bits & ~bit;
	return why;
}

const char *values_require(const struct values_input *in, void *slot)
{
	values_require_slot *bits = slot;

	return set_bit(in, TLS_VERIFY_REQUIRE, bits);
}

const char *values_verify_chain(const struct values_input *in, void *slot)
{
	values_verify_chain_slot *bits = slot;

	return set_bit(in, TLS_VERIFY_CHAIN, bits);
}

const char *values_verify_peer(const struct values_input *in, void *slot)
{
	values_verify_peer_slot *bits = slot;

	return set_bit(in, TLS_VERIFY_PEER, bits);
}

/* --- what others read ------------------------------------------------------------------------- */

const char *values_socket(const struct values_input *in, void *slot)
{
	values_socket_slot *options = slot;

	if (net_options_add(options, in->value))
		return NULL;
	return "Illegal socket option: a|l|r:OPTION=VALUE, without blanks, of the options that "
	       "stunnel -sockets lists";
}

const char *values_policy(const struct values_input *in, void *slot)
{
	values_policy_slot *policy = slot;
	struct span name = span_of(in->option, strlen(in->option));
	struct service_fault fault;

	switch (service_option(policy, name, span_of(in->value, strlen(in->value)), &fault)) {
	case SERVICE_SET:
		return NULL;
	case SERVICE_REFUSED:
		*in->word = fault.word;
		return fault.why;
	case SERVICE_UNKNOWN:
		break;
	}
	return "The option is not one of core/service.c";
}

const char *values_send_proxy(const struct values_input *in, void *slot)
{
	static const char proxy[] = "proxy";
	values_send_proxy_slot *protocol = slot;
	bool wanted;
	const char *why = values_flag(in, &wanted);

	if (why)
		return why;
	if (wanted)
		*protocol = proxy;
	else if (*protocol && !strcasecmp(*protocol, proxy))
		*protocol = NULL;
	return NULL;
}

/* --- without a place -------------------------------------------------------------------------- */

const char *values_include(const struct values_input *in, void *slot)
{
	(void)slot;
	return *in->value ? NULL : empty;
}

const char *values_idle(const struct values_input *in, void *slot)
{
	const struct values_bounds *b = in->bounds;
	int ignored;

	(void)slot;
	if (b->choice || b->min < b->max)
		return number(in->value, b, &ignored);
	return *in->value ? NULL : empty;
}

const char *values_provider(const struct values_input *in, void *slot)
{
	(void)slot;
	return *in->value ? tls_library_provider(in->value) : empty;
}

const char *values_provider_parameter(const struct values_input *in, void *slot)
{
	(void)slot;
	return *in->value ? tls_library_provider_parameter(in->value) : empty;
}

const char *values_fips(const struct values_input *in, void *slot)
{
	bool on;
	const char *why = values_flag(in, &on);

	(void)slot;
	return why ? why : tls_library_fips(on);
}

const char *values_unbuilt(const struct values_input *in, void *slot)
{
	const char *taken = in->bounds->taken;
	bool flag = taken && (!strcmp(taken, "yes") || !strcmp(taken, "no"));
	int ignored;

	(void)slot;
	while (taken && *in->value) {
		size_t len = strcspn(taken, "|");

		if (!strncasecmp(in->value, taken, len) && !in->value[len])
			return NULL;
		taken = taken[len] ? taken + len + 1 : NULL;
	}
	if (flag && number(in->value, &yes_no, &ignored))
		return yes_no.error;
	return in->bounds->error ? in->bounds->error
				 : "This option of stock stunnel is not built yet";
}
