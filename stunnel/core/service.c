/* SPDX-License-Identifier: ISC */
#include "service.h"

#include <limits.h>

#include "http.h"
#include "text.h"

/* --- values ----------------------------------------------------------------------------------- */

struct row;

/* Sets a row's member of *s. NULL, or what is wrong, and in *word the word at fault, or none. */
typedef const char *setter(struct service *s, const struct row *row, struct span value,
			   struct span *word);

static setter set_rule, set_allow, set_require, set_connect, set_pass, set_fields, set_head,
	set_answer_head, set_keep_alive, set_length, set_version, set_mapped, set_accept, set_tlvs,
	set_timeout_proxy, set_timeout_request, add_peers, add_trusted;

/* clang-format off: one row a line, so that it reads as the table that it is */
static const struct row {
	struct span name;
	setter *set;
	int min, max;
	struct span initial; /* .p is NULL: unset */
	const char *error, *help;
} rows[] = {
#define ROW(name, ...)                       \
	{                                    \
		SPAN_INIT(name), __VA_ARGS__ \
	}
	ROW("acceptProxy", set_accept, 0, 0, SPAN_INIT("no"),
	    "The argument needs to be either 'yes', 'required' or 'no'",
	    "expect a PROXY header from peers of acceptProxyFrom; required: from all"),
	ROW("acceptProxyFrom", add_peers, 0, 0, {0}, "Too many peers",
	    "ADDRESS[/BITS], ... of peers that send a PROXY header"),
	ROW("forwarded", set_rule, 0, 0, SPAN_INIT("no"), NULL,
	    "Forwarded (RFC 7239): yes, append, chain, replace, trusted or no"),
	ROW("httpAddHeader", set_rule, 0, 0, {0}, NULL, "NAME: TEMPLATE to add to every request"),
	ROW("httpAllow", set_allow, 0, 0, SPAN_INIT("no"), "Neither 'bare-lf' nor 'raw-target'",
	    "bare-lf, raw-target: take what a strict reader refuses"),
	ROW("httpConnect", set_connect, 0, 0, SPAN_INIT("no"), NULL, "forward CONNECT requests"),
	ROW("httpDelHeader", set_rule, 0, 0, {0}, NULL, "NAME to delete from every request"),
	ROW("httpKeepAlive", set_keep_alive, 0, 0, SPAN_INIT("client"),
	    "The argument needs to be either 'client', 'both' or 'pool'",
	    "a backend that closes leaves its client alone (client), or ends it (both); pool: "
	    "clients share backend connections"),
	ROW("httpMaxAnswerHead", set_answer_head, 1024, SERVICE_HEAD_MAX, SPAN_INIT("65536"),
	    "Illegal size of a head (1024 to 65536)", "bytes of an answer's head"),
	ROW("httpMaxFields", set_fields, 8, H1_FIELDS_MAX, SPAN_INIT("256"),
	    "Illegal number of fields (8 to 256)", "fields of a request head"),
	ROW("httpMaxHead", set_head, 1024, SERVICE_HEAD_MAX, SPAN_INIT("32768"),
	    "Illegal size of a head (1024 to 65536)", "bytes of a request head"),
	ROW("httpRequireLength", set_require, 0, 0, SPAN_INIT("no"), NULL,
	    "answer 411 to a request in chunks"),
	ROW("httpSetHeader", set_rule, 0, 0, {0}, NULL, "NAME: TEMPLATE instead of the client's"),
	ROW("proxyMapped", set_mapped, 0, 0, SPAN_INIT("fold"),
	    "The argument needs to be either 'fold' or 'keep'",
	    "IPv4-mapped addresses in a PROXY header: fold to IPv4, or keep"),
	ROW("proxyMaxLength", set_length, 52, PROXY_HEADER_MAX, SPAN_INIT("536"),
	    "Illegal length of a header (52 to 4096)", "bytes of a PROXY v2 header"),
	ROW("proxyPassTLV", set_pass, 0, 0, SPAN_INIT("no"), NULL, "send on the TLVs that came in"),
	ROW("proxyTLV", set_tlvs, 0, 0, {0}, NULL, "alpn, authority, ssl, ... to send"),
	ROW("proxyVersion", set_version, 1, 2, {0}, "The PROXY protocol has versions 1 and 2",
	    "PROXY protocol: 1 or 2"),
	ROW("requestId", set_rule, 0, 0, SPAN_INIT("no"), NULL,
	    "X-Request-ID: yes, replace, ... or no"),
	ROW("TIMEOUTproxy", set_timeout_proxy, INT_MIN, INT_MAX, SPAN_INIT("3"),
	    "Illegal PROXY timeout", "seconds for a PROXY header to come"),
	ROW("TIMEOUTrequest", set_timeout_request, INT_MIN, INT_MAX, SPAN_INIT("60"),
	    "Illegal request timeout", "seconds for a whole request head"),
	ROW("traceContext", set_rule, 0, 0, SPAN_INIT("no"), NULL,
	    "yes: traceparent (W3C) in every request, continued or begun; trusted: continued for "
	    "trustedProxy"),
	ROW("trustedProxy", add_trusted, 0, 0, {0}, "Too many trusted proxies",
	    "ADDRESS[/BITS], ... of proxies that the value trusted believes"),
	ROW("xForwardedFor", set_rule, 0, 0, SPAN_INIT("no"), NULL,
	    "yes, append, chain, replace, trusted or no"),
	ROW("xForwardedPort", set_rule, 0, 0, SPAN_INIT("no"), NULL,
	    "X-Forwarded-Port: yes, replace, ... or no"),
	ROW("xForwardedProto", set_rule, 0, 0, SPAN_INIT("no"), NULL,
	    "X-Forwarded-Proto: yes, replace, ... or no"),
	ROW("xRealIP", set_rule, 0, 0, SPAN_INIT("no"), NULL, "X-Real-IP: yes, replace, ... or no"),
#undef ROW
};
/* clang-format on */

#define ROWS (sizeof rows / sizeof rows[0])

#define CHOICES_MAX 3

/* The index of the name that the value is, or -1. */
static int choice(struct span value, const struct span names[static CHOICES_MAX])
{
	for (int i = 0; i < CHOICES_MAX && names[i].p; i++)
		if (http_equal(value, names[i]))
			return i;
	return -1;
}

static const char *set_flag(struct span value, bool *to)
{
	static const struct span names[CHOICES_MAX] = {SPAN_INIT("no"), SPAN_INIT("yes")};
	int n = choice(value, names);

	if (n < 0)
		return "The argument needs to be either 'yes' or 'no'";
	*to = n == 1;
	return NULL;
}

/* Takes what strtol(3) takes, which stock uses: a sign, and leading zeros. */
static const char *set_number(const struct row *row, struct span value, int *to)
{
	bool negative = value.len != 0 && value.p[0] == '-';
	uint64_t size;
	int64_t n;

	if (value.len != 0 && (negative || value.p[0] == '+'))
		span_skip(&value, 1);
	if (!text_decimal(value, (uint64_t)INT_MAX + 1, &size))
		return row->error;
	n = negative ? -(int64_t)size : (int64_t)size;
	if (n < row->min || n > row->max)
		return row->error;
	*to = (int)n;
	return NULL;
}

static const char *set_unsigned(const struct row *row, struct span value, unsigned *to)
{
	int n = 0;
	const char *why = set_number(row, value, &n);

	if (!why)
		*to = (unsigned)n;
	return why;
}

static const char *add_blocks(const struct row *row, struct span list, struct span *word,
			      struct ip_blocks *to)
{
	unsigned had = to->count;
	struct ip_block block;
	int rc;

	while ((rc = ip_block_next(&list, word, &block)) > 0) {
		if (to->count == IP_BLOCKS_MAX) {
			to->count = had;
			return row->error;
		}
		to->block[to->count++] = block;
	}
	if (rc == 0)
		return to->count == had ? "No address in the list" : NULL;
	to->count = had;
	return "Not an address or block of addresses";
}

/* --- options ---------------------------------------------------------------------------------- */

static const char *set_rule(struct service *s, const struct row *row, struct span value,
			    struct span *word)
{
	const char *why;

	(void)word;
	rewrite_option(&s->rewrite, row->name, value, &why);
	return why;
}

static const char *set_tlvs(struct service *s, const struct row *row, struct span value,
			    struct span *word)
{
	const char *why;

	(void)row;
	(void)word;
	proxy_option(&s->proxy, value, &why);
	return why;
}

#define SETTER(name, call)                                                                   \
	static const char *name(struct service *s, const struct row *row, struct span value, \
				struct span *word)                                           \
	{                                                                                    \
		(void)row;                                                                   \
		(void)word;                                                                  \
		return call;                                                                 \
	}
SETTER(set_require, set_flag(value, &s->limits.require_length))
SETTER(set_connect, set_flag(value, &s->limits.connect))
SETTER(set_pass, set_flag(value, &s->proxy.pass))
SETTER(set_fields, set_unsigned(row, value, &s->limits.max_fields))
SETTER(set_answer_head, set_unsigned(row, value, &s->limits.max_answer_head))
SETTER(set_head, set_unsigned(row, value, &s->limits.max_head))
SETTER(set_length, set_number(row, value, &s->proxy.max_length))
SETTER(set_version, set_number(row, value, &s->proxy.version))
SETTER(set_timeout_proxy, set_number(row, value, &s->timeout_proxy))
SETTER(set_timeout_request, set_number(row, value, &s->timeout_request))
SETTER(add_peers, add_blocks(row, value, word, &s->proxy_peers))
SETTER(add_trusted, add_blocks(row, value, word, &s->trusted))
#undef SETTER

/* enum h1_allow of a word, or 0. */
static unsigned allowance(struct span word)
{
	if (http_equal(word, SPAN("bare-lf")))
		return H1_ALLOW_BARE_LF;
	return http_equal(word, SPAN("raw-target")) ? H1_ALLOW_RAW_TARGET : 0;
}

static const char *set_allow(struct service *s, const struct row *row, struct span value,
			     struct span *word)
{
	unsigned allow = 0;

	if (http_equal(value, SPAN("no"))) {
		s->limits.allow = 0;
		return NULL;
	}
	while (http_list_next(&value, word)) {
		if (allowance(*word) == 0)
			return row->error;
		allow |= allowance(*word);
	}
	*word = span_of(NULL, 0);
	if (allow == 0)
		return row->error;
	s->limits.allow = allow;
	return NULL;
}

static const char *set_mapped(struct service *s, const struct row *row, struct span value,
			      struct span *word)
{
	static const struct span names[CHOICES_MAX] = {SPAN_INIT("fold"), SPAN_INIT("keep")};
	int n = choice(value, names);

	(void)word;
	if (n < 0)
		return row->error;
	s->proxy.keep_mapped = n;
	return NULL;
}

static const char *set_keep_alive(struct service *s, const struct row *row, struct span value,
				  struct span *word)
{
	static const struct span names[CHOICES_MAX] = {SPAN_INIT("client"), SPAN_INIT("both"),
						       SPAN_INIT("pool")};
	int n = choice(value, names);

	(void)word;
	if (n < 0)
		return row->error;
	s->limits.in_flight = n == 1 ? H1_PIPELINE_MAX : 1;
	s->limits.pool = n == 2;
	return NULL;
}

static const char *set_accept(struct service *s, const struct row *row, struct span value,
			      struct span *word)
{
	static const struct span names[CHOICES_MAX] = {
		[SERVICE_PROXY_NO] = SPAN_INIT("no"),
		[SERVICE_PROXY_YES] = SPAN_INIT("yes"),
		[SERVICE_PROXY_REQUIRED] = SPAN_INIT("required"),
	};
	int n = choice(value, names);

	(void)word;
	if (n < 0)
		return row->error;
	s->accept_proxy = (enum service_accept_proxy)n;
	return NULL;
}

void service_default(struct service *s)
{
	struct service_fault fault;

	*s = (struct service){0};
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].initial.p)
			rows[i].set(s, &rows[i], rows[i].initial, &fault.word);
}

enum service_result service_option(struct service *s, struct span name, struct span value,
				   struct service_fault *fault)
{
	*fault = (struct service_fault){0};
	for (size_t i = 0; i < ROWS; i++) {
		struct span word = {0};

		if (!http_equal(name, rows[i].name))
			continue;
		fault->why = value.len == 0 ? "The value is empty"
					    : rows[i].set(s, &rows[i], value, &word);
		fault->word = word;
		return fault->why ? SERVICE_REFUSED : SERVICE_SET;
	}
	return SERVICE_UNKNOWN;
}

bool service_row(size_t n, struct service_info *info)
{
	if (n >= ROWS)
		return false;
	*info = (struct service_info){rows[n].name.p, rows[n].initial.p, rows[n].help};
	return true;
}

/* --- a whole service -------------------------------------------------------------------------- */

static bool lacks_peers(const struct service *s)
{
	return s->accept_proxy != SERVICE_PROXY_NO && s->proxy_peers.count == 0;
}

static bool has_early_tlvs(const struct service *s)
{
	return s->proxy.version != 2 && s->proxy.tlvs != 0;
}

static bool passes_early_tlvs(const struct service *s)
{
	return s->proxy.version != 2 && s->proxy.pass;
}

static bool wants_pool(const struct service *s)
{
	return s->limits.pool;
}

static const struct rule {
	enum service_part part;
	bool (*is_broken)(const struct service *s);
	const char *option, *why;
} rules[] = {
	{SERVICE_ACCEPTS, lacks_peers, "acceptProxy",
	 "acceptProxy needs acceptProxyFrom: anybody else could say any address"},
	{SERVICE_SENDS_PROXY, has_early_tlvs, "proxyTLV", "proxyTLV needs proxyVersion = 2"},
	{SERVICE_SENDS_PROXY, passes_early_tlvs, "proxyPassTLV",
	 "proxyPassTLV needs proxyVersion = 2"},
	{SERVICE_ONE_TO_ONE, wants_pool, "httpKeepAlive",
	 "httpKeepAlive = pool: each backend connection is one client's here"},
};

bool service_check(const struct service *s, unsigned parts, size_t *at, struct service_fault *fault)
{
	while (*at < sizeof rules / sizeof rules[0]) {
		const struct rule *rule = &rules[(*at)++];

		if (!(parts & (unsigned)rule->part) || !rule->is_broken(s))
			continue;
		*fault = (struct service_fault){.why = rule->why, .option = rule->option};
		return true;
	}
	return false;
}

/* Bytes: what a peer chooses, as a server name, mostly is not longer. */
#define NAME_TYPICAL 40

size_t service_long_header(const struct service *s)
{
	size_t size = proxy_estimate(&s->proxy, NAME_TYPICAL);

	return s->proxy.version == 2 && size > (size_t)s->proxy.max_length ? size : 0;
}

/* --- what a service needs --------------------------------------------------------------------- */

static unsigned cert_texts_of_templates(const struct template_pool *pool)
{
	static const struct {
		struct span variable;
		unsigned text;
	} uses[] = {
		{SPAN_INIT("client_cert_chain"), FACTS_CERT_CHAIN},
		{SPAN_INIT("client_cert_issuer"), FACTS_CERT_NAMES},
		{SPAN_INIT("client_cert_pem"), FACTS_CERT_PEM},
		{SPAN_INIT("client_cert_rfc9440"), FACTS_CERT_RFC9440},
		{SPAN_INIT("client_cert_serial"), FACTS_CERT_NAMES},
		{SPAN_INIT("client_cert_sha256"), FACTS_CERT_NAMES},
		{SPAN_INIT("client_cert_subject"), FACTS_CERT_NAMES},
		{SPAN_INIT("client_cert_verify"), FACTS_CERT_NAMES},
	};
	unsigned found = 0;

	for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++)
		if (template_uses(pool, uses[i].variable))
			found |= uses[i].text;
	return found;
}

struct service_needs service_needs(const struct service *s, bool sends_proxy,
				   const struct template_pool *log)
{
	uint32_t tlvs = sends_proxy ? s->proxy.tlvs : 0;
	unsigned texts = cert_texts_of_templates(&s->rewrite.pool);

	if (log)
		texts |= cert_texts_of_templates(log);
	if (tlvs & UINT32_C(1) << PROXY_SSL_CN)
		texts |= FACTS_CERT_CN;
	if (tlvs & UINT32_C(1) << PROXY_SSL_CLIENT_CERT)
		texts |= FACTS_CERT_DER;
	return (struct service_needs){log || rewrite_active(&s->rewrite), tlvs != 0, texts};
}
