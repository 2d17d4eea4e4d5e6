/* SPDX-License-Identifier: ISC */
#include "proxy.h"

#include "http.h"
#include "ip.h"

const struct proxy_error_info proxy_error_info[PROXY_ERROR_COUNT] = {
#define X(id, section, text) [PROXY_BAD_##id] = {section, text},
	PROXY_ERRORS(X)
#undef X
};

static const struct tlv_row {
	uint8_t type;
	struct span name; /* in `proxyTLV` */
	bool in_ssl;
	int drop; /* which goes first */
} rows[PROXY_TLV_COUNT] = {
#define X(id, type, name, in_ssl, drop) \
	[PROXY_##id] = {type, {name, sizeof name - 1}, in_ssl, drop},
	PROXY_TLVS(X)
#undef X
};

/* The first 12 bytes of version 2. */
static const struct span signature = {"\r\n\r\n\0\r\nQUIT\n", 12};

enum {
	COMMAND_LOCAL = 0x20,
	COMMAND_PROXY = 0x21,
	FAMILY_UNSPEC = 0x00,
	FAMILY_INET = 0x11, /* and STREAM */
	FAMILY_INET6 = 0x21,
	FAMILY_UNIX = 0x31,
	FIXED = 16, /* bytes before the addresses */
	INET_BYTES = 12,
	INET6_BYTES = 36,
	UNIX_BYTES = 216,
	TLV_BYTES = 3, /* before a value */
	SSL_BYTES = 5, /* before the TLVs in it */
	CRC_BYTES = 4,
	CLIENT_SSL = 0x01,
	CLIENT_CERT_CONN = 0x02,
	CLIENT_CERT_SESS = 0x04,
};

static uint32_t bit(enum proxy_tlv_id id)
{
	return UINT32_C(1) << id;
}

/* CRC32c of RFC 3720 12.1, four bits at a time. */
static uint32_t crc32c(uint32_t crc, struct span s)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};

	for (size_t i = 0; i < s.len; i++) {
		crc ^= (unsigned char)s.p[i];
		crc = table[crc & 15] ^ crc >> 4;
		crc = table[crc & 15] ^ crc >> 4;
	}
	return crc;
}

/* --- options ---------------------------------------------------------------------------------- */

static bool keep(struct proxy *p, struct span s, struct span_at *where)
{
	if (s.len > PROXY_TEXT_MAX - (size_t)p->text_len)
		return false;
	*where = (struct span_at){p->text_len, (uint16_t)s.len};
	if (s.len != 0)
		memcpy(p->text + p->text_len, s.p, s.len);
	p->text_len = (uint16_t)(p->text_len + s.len);
	return true;
}

static struct span kept(const struct proxy *p, struct span_at where)
{
	return span_of(p->text + where.at, where.len);
}

/* 0xE0:TEXT to 0xEF:TEXT */
static const char *add_custom(struct proxy *p, struct span name, struct span value)
{
	int digit = name.len == 4 && http_equal(span_of(name.p, 3), SPAN("0xE"))
			    ? ip_hex_digit(name.p[3])
			    : -1;
	struct proxy_custom *custom = &p->custom[p->custom_count];

	if (digit < 0)
		return "Unknown TLV (alpn, authority, ssl, cn, cipher, sig-alg, key-alg, group, "
		       "sig-scheme, client-cert, unique-id, crc32c, netns:NAME, noop:BYTES, "
		       "0xE0:TEXT to 0xEF:TEXT)";
	if (p->custom_count == PROXY_CUSTOM_MAX || !keep(p, value, &custom->value))
		return "There are too many TLVs of one's own, or their values are too long";
	custom->type = (uint8_t)(0xe0 + digit);
	p->custom_count++;
	p->tlvs |= bit(PROXY_CUSTOM);
	return NULL;
}

static const char *set_noop(struct proxy *p, struct span value)
{
	unsigned n = 0;

	for (size_t i = 0; i < value.len; i++) {
		if (value.p[i] < '0' || value.p[i] > '9' || n > PROXY_TEXT_MAX)
			return "noop needs a number of bytes, at most 1024";
		n = 10 * n + (unsigned)(value.p[i] - '0');
	}
	if (value.len == 0 || n > PROXY_TEXT_MAX)
		return "noop needs a number of bytes, at most 1024";
	p->noop = (uint16_t)n;
	return NULL;
}

static const char *add_tlv(struct proxy *p, struct span item)
{
	const char *colon = memchr(item.p, ':', item.len);
	struct span name = span_of(item.p, colon ? (size_t)(colon - item.p) : item.len);
	struct span value = span_of(item.p + name.len, item.len - name.len);
	int id = 0;

	if (colon)
		span_skip(&value, 1);
	while (id < PROXY_TLV_COUNT && (rows[id].name.len == 0 || !http_equal(name, rows[id].name)))
		id++;
	if (id == PROXY_TLV_COUNT)
		return add_custom(p, name, value);
	if (id == PROXY_NOOP && set_noop(p, value))
		return set_noop(p, value);
	if (id == PROXY_NETNS && (value.len == 0 || !keep(p, value, &p->netns)))
		return "netns needs a name";
	if (colon && id != PROXY_NOOP && id != PROXY_NETNS)
		return "This TLV has no value of its own";
	p->tlvs |= bit((enum proxy_tlv_id)id);
	if (rows[id].in_ssl)
		p->tlvs |= bit(PROXY_SSL);
	return NULL;
}

int proxy_option(struct proxy *p, struct span list, const char **why)
{
	struct proxy before = *p;
	struct span item;

	*why = NULL;
	while (!*why && http_list_next(&list, &item))
		*why = add_tlv(p, item);
	if (!*why)
		return 0;
	*p = before;
	return -1;
}

size_t proxy_estimate(const struct proxy *p, size_t name)
{
	size_t size = FIXED + INET6_BYTES;

	if (p->version == 1)
		return PROXY_V1_MAX;
	for (int id = 0; id < PROXY_TLV_COUNT; id++)
		if (p->tlvs & bit((enum proxy_tlv_id)id))
			size += TLV_BYTES + (id == PROXY_CRC32C ? CRC_BYTES
					     : id == PROXY_NOOP ? p->noop
					     : id == PROXY_SSL	? SSL_BYTES + TLV_BYTES
								: name);
	return size + p->text_len;
}

/* --- out: addresses --------------------------------------------------------------------------- */

/* ::ffff:0:0/96, RFC 4291 2.5.5.2 */
static const struct span mapped_prefix = {"\0\0\0\0\0\0\0\0\0\0\xff\xff", 12};

/* Both ends have one family: the IPv4 one is mapped where the other is not. */
static bool as_v6(const struct proxy *p, const struct facts *facts)
{
	const struct facts_addr *from = &facts->client, *to = &facts->server;

	if (from->family == FACTS_IPV6 || to->family == FACTS_IPV6)
		return true;
	return p->keep_mapped && (from->mapped || to->mapped);
}

static void put_text(const struct facts_addr *addr, bool v6, struct out *out)
{
	if (v6 && addr->family == FACTS_IPV4)
		out_put(out, SPAN("::ffff:"));
	out_put(out, span_of(addr->text, addr->text_len));
}

static void put_bytes(const struct facts_addr *addr, bool v6, struct out *out)
{
	bool map = v6 && addr->family == FACTS_IPV4;

	if (map)
		out_put(out, mapped_prefix);
	out_put(out, span_of((const char *)addr->ip, v6 && !map ? 16 : 4));
}

static void put_16(struct out *out, unsigned n)
{
	out_char(out, (char)(n >> 8 & 255));
	out_char(out, (char)(n & 255));
}

static void put_32(struct out *out, uint32_t n)
{
	put_16(out, n >> 16);
	put_16(out, n & 65535);
}

static void encode_v1(const struct proxy *p, const struct facts *facts, struct out *out)
{
	bool v6 = as_v6(p, facts);

	out_put(out, v6 ? SPAN("PROXY TCP6 ") : SPAN("PROXY TCP4 "));
	put_text(&facts->client, v6, out);
	out_char(out, ' ');
	put_text(&facts->server, v6, out);
	out_char(out, ' ');
	out_decimal(out, facts->client.port);
	out_char(out, ' ');
	out_decimal(out, facts->server.port);
	out_put(out, SPAN("\r\n"));
}

/* --- out: TLVs -------------------------------------------------------------------------------- */

static void put_tlv(struct out *out, unsigned type, struct span value)
{
	out_char(out, (char)type);
	put_16(out, (unsigned)value.len);
	out_put(out, value);
}

/* The value of a TLV that is one text; empty: there is none. */
static struct span text_of(const struct proxy *p, const struct facts *facts, enum proxy_tlv_id id)
{
	const struct facts_cert *cert = facts->client_cert;

	switch (id) {
	case PROXY_ALPN:
		return facts->alpn;
	case PROXY_AUTHORITY:
		return facts->sni;
	case PROXY_UNIQUE_ID:
		return facts->conn_id;
	case PROXY_SSL_VERSION:
		return facts->tls_version;
	case PROXY_SSL_CN:
		return cert ? cert->cn : span_of(NULL, 0);
	case PROXY_SSL_CIPHER:
		return facts->tls_cipher;
	case PROXY_SSL_SIG_ALG:
		return facts->sig_alg;
	case PROXY_SSL_KEY_ALG:
		return facts->key_alg;
	case PROXY_SSL_GROUP:
		return facts->group;
	case PROXY_SSL_SIG_SCHEME:
		return facts->sig_scheme;
	case PROXY_SSL_CLIENT_CERT:
		return cert ? cert->der : span_of(NULL, 0);
	case PROXY_NETNS:
		return kept(p, p->netns);
	case PROXY_SSL:
	case PROXY_CUSTOM:
	case PROXY_NOOP:
	case PROXY_CRC32C:
	case PROXY_TLV_COUNT:
		break;
	}
	return span_of(NULL, 0);
}

/* 2.2.5: verify is 0 only for a certificate that was presented and verified. */
static void put_ssl(const struct proxy *p, const struct facts *facts, uint32_t tlvs,
		    struct out *out)
{
	size_t length_at, begin;

	out_char(out, (char)rows[PROXY_SSL].type);
	length_at = out_mark(out);
	put_16(out, 0);
	begin = out_mark(out);
	out_char(out, (char)(CLIENT_SSL | (facts->cert_on_connection ? CLIENT_CERT_CONN : 0) |
			     (facts->cert_in_session ? CLIENT_CERT_SESS : 0)));
	put_32(out, facts->cert_in_session ? facts->verify_code : 1);
	put_tlv(out, rows[PROXY_SSL_VERSION].type, facts->tls_version);
	for (int id = 0; id < PROXY_TLV_COUNT; id++) {
		struct span text = text_of(p, facts, (enum proxy_tlv_id)id);

		if (rows[id].in_ssl && (tlvs & bit((enum proxy_tlv_id)id)) && text.len != 0)
			put_tlv(out, rows[id].type, text);
	}
	out_patch_16(out, length_at, (unsigned)(out_mark(out) - begin));
}

/* Whether a type that came in is made by ourselves, or has no meaning on the next hop. */
static bool is_ours(uint32_t tlvs, const struct proxy *p, uint8_t type)
{
	if (type == rows[PROXY_CRC32C].type || type == rows[PROXY_NOOP].type)
		return true;
	for (int id = 0; id < PROXY_TLV_COUNT; id++)
		if (rows[id].type == type && id != PROXY_CUSTOM)
			return tlvs & bit((enum proxy_tlv_id)id);
	for (size_t i = 0; i < p->custom_count; i++)
		if (p->custom[i].type == type)
			return true;
	return false;
}

static void put_custom(const struct proxy *p, const struct facts *facts, uint32_t tlvs,
		       struct out *out)
{
	struct span came = facts->tlvs;
	struct proxy_tlv tlv;

	for (size_t i = 0; i < p->custom_count; i++)
		put_tlv(out, p->custom[i].type, kept(p, p->custom[i].value));
	while (p->pass && proxy_tlv_next(&came, &tlv))
		if (!is_ours(tlvs, p, tlv.type))
			put_tlv(out, tlv.type, tlv.value);
}

static void put_noop(unsigned n, struct out *out)
{
	out_char(out, (char)rows[PROXY_NOOP].type);
	put_16(out, n);
	while (n-- > 0)
		out_char(out, 0);
}

static void put_tlvs(const struct proxy *p, const struct facts *facts, uint32_t tlvs,
		     struct out *out)
{
	for (int i = 0; i < PROXY_TLV_COUNT; i++) {
		enum proxy_tlv_id id = (enum proxy_tlv_id)i;
		struct span text = text_of(p, facts, id);

		if (!(tlvs & bit(id)) || rows[id].in_ssl)
			continue;
		if (id == PROXY_SSL)
			put_ssl(p, facts, tlvs, out);
		else if (id == PROXY_CUSTOM)
			put_custom(p, facts, tlvs, out);
		else if (id == PROXY_NOOP)
			put_noop(p->noop, out);
		else if (id == PROXY_CRC32C)
			put_tlv(out, rows[id].type, SPAN("\0\0\0\0"));
		else if (text.len != 0)
			put_tlv(out, rows[id].type, text);
	}
}

/* The CRC is the last TLV, and taken with its own bytes zeroed: 2.2.3. */
static void sign(struct out *out, size_t begin)
{
	struct span header = span_of(out->p + begin, out->len - begin);
	uint32_t crc = ~crc32c(~UINT32_C(0), header);

	if (out->full)
		return;
	out_rollback(out, out->len - CRC_BYTES);
	put_32(out, crc);
}

static void encode_v2(const struct proxy *p, const struct facts *facts, uint32_t tlvs,
		      struct out *out)
{
	size_t begin = out_mark(out);
	bool v6 = as_v6(p, facts);
	bool local = facts->client.family == FACTS_NONE || facts->server.family == FACTS_NONE;

	out_put(out, signature);
	out_char(out, local ? COMMAND_LOCAL : COMMAND_PROXY);
	out_char(out, local ? FAMILY_UNSPEC : v6 ? FAMILY_INET6 : FAMILY_INET);
	put_16(out, 0);
	if (local) /* 2.2: with nothing behind it */
		return;
	put_bytes(&facts->client, v6, out);
	put_bytes(&facts->server, v6, out);
	put_16(out, facts->client.port);
	put_16(out, facts->server.port);
	put_tlvs(p, facts, tlvs, out);
	out_patch_16(out, begin + FIXED - 2, (unsigned)(out_mark(out) - begin - FIXED));
	if (tlvs & bit(PROXY_CRC32C))
		sign(out, begin);
}

/* Of those that are left, the one that goes first; PROXY_TLV_COUNT: none may go. */
static enum proxy_tlv_id next_to_drop(uint32_t tlvs)
{
	int first = PROXY_TLV_COUNT;

	for (int id = 0; id < PROXY_TLV_COUNT; id++) {
		if (!(tlvs & bit((enum proxy_tlv_id)id)) || rows[id].drop == 0)
			continue;
		if (first == PROXY_TLV_COUNT || rows[id].drop < rows[first].drop)
			first = id;
	}
	return (enum proxy_tlv_id)first;
}

bool proxy_encode(const struct proxy *p, const struct facts *facts, struct out *out,
		  uint32_t *dropped)
{
	size_t begin = out_mark(out);
	uint32_t tlvs = p->tlvs | (p->pass && facts->tlvs.len != 0 ? bit(PROXY_CUSTOM) : 0);

	*dropped = 0;
	if (p->version == 1) {
		if (facts->client.family == FACTS_NONE || facts->server.family == FACTS_NONE)
			return false;
		encode_v1(p, facts, out);
		return true;
	}
	for (;;) {
		enum proxy_tlv_id next = next_to_drop(tlvs);

		encode_v2(p, facts, tlvs, out);
		if ((!out->full && out->len - begin <= (size_t)p->max_length) ||
		    next == PROXY_TLV_COUNT)
			return !out->full;
		out_rollback(out, begin);
		tlvs &= ~bit(next);
		*dropped |= bit(next);
	}
}

/* --- in: version 1 ---------------------------------------------------------------------------- */

/* Takes what is before the next space, or all that is left; false if it is empty. */
static bool take_word(struct span *line, struct span *word)
{
	const char *space = memchr(line->p, ' ', line->len);

	*word = span_of(line->p, space ? (size_t)(space - line->p) : line->len);
	span_skip(line, word->len + (space != NULL));
	return word->len != 0;
}

static int take_address(struct span *line, enum facts_family family, struct facts_addr *addr)
{
	struct span word;

	if (!take_word(line, &word))
		return -PROXY_BAD_LINE;
	addr->family = family;
	if (family == FACTS_IPV4 ? !ip_parse_v4(word, addr->ip) : !ip_parse_v6(word, addr->ip))
		return -PROXY_BAD_ADDRESS;
	return 0;
}

static int take_port(struct span *line, struct facts_addr *addr)
{
	struct span word;
	unsigned port;

	if (!take_word(line, &word))
		return -PROXY_BAD_LINE;
	if (!ip_parse_number(word, 65535, &port))
		return -PROXY_BAD_PORT;
	addr->port = (uint16_t)port;
	return 0;
}

/* What is between "PROXY " and CRLF. */
static int decode_line(struct span line, struct proxy_header *h)
{
	struct span whole = line, word;
	enum facts_family family;
	int rc;

	if (!take_word(&line, &word))
		return -PROXY_BAD_LINE;
	if (span_eq(word, SPAN("UNKNOWN"))) {
		h->local = true;
		return 0;
	}
	if (span_eq(word, SPAN("TCP4")))
		family = FACTS_IPV4;
	else if (span_eq(word, SPAN("TCP6")))
		family = FACTS_IPV6;
	else
		return -PROXY_BAD_LINE;
	rc = take_address(&line, family, &h->client);
	if (rc == 0)
		rc = take_address(&line, family, &h->server);
	if (rc == 0)
		rc = take_port(&line, &h->client);
	if (rc == 0)
		rc = take_port(&line, &h->server);
	/* A space behind the last port was taken with it. */
	if (rc == 0 && (line.len != 0 || whole.p[whole.len - 1] == ' '))
		rc = -PROXY_BAD_LINE;
	return rc;
}

static int decode_v1(struct span in, struct proxy_header *h)
{
	static const struct span begin = {"PROXY ", 6};
	size_t end = 0, max = in.len < PROXY_V1_MAX ? in.len : PROXY_V1_MAX;
	int rc;

	while (end < max && in.p[end] != '\r' && in.p[end] != '\n')
		end++;
	if (end + 1 >= PROXY_V1_MAX || (end < max && in.p[end] == '\n'))
		return -PROXY_BAD_LINE_END;
	if (end + 1 >= in.len)
		return 0;
	if (in.p[end + 1] != '\n')
		return -PROXY_BAD_LINE_END;
	h->version = 1;
	rc = decode_line(span_of(in.p + begin.len, end - begin.len), h);
	return rc != 0 ? rc : (int)end + 2;
}

/* --- in: version 2 ---------------------------------------------------------------------------- */

static unsigned get_16(const char *p)
{
	return (unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

bool proxy_tlv_next(struct span *tlvs, struct proxy_tlv *tlv)
{
	size_t len;

	if (tlvs->len < TLV_BYTES)
		return false;
	len = get_16(tlvs->p + 1);
	if (len > tlvs->len - TLV_BYTES)
		return false;
	*tlv = (struct proxy_tlv){(uint8_t)tlvs->p[0], span_of(tlvs->p + TLV_BYTES, len)};
	span_skip(tlvs, TLV_BYTES + len);
	return true;
}

static int check_ssl(struct span value)
{
	struct proxy_tlv tlv;

	if (value.len < SSL_BYTES)
		return -PROXY_BAD_SSL;
	span_skip(&value, SSL_BYTES);
	while (proxy_tlv_next(&value, &tlv))
		;
	return value.len == 0 ? 0 : -PROXY_BAD_SSL;
}

static bool crc_is_right(struct span header, struct span value)
{
	size_t before = (size_t)(value.p - header.p);
	uint32_t crc = ~UINT32_C(0), said = (uint32_t)get_16(value.p) << 16 | get_16(value.p + 2);

	crc = crc32c(crc, span_of(header.p, before));
	crc = crc32c(crc, SPAN("\0\0\0\0"));
	crc = crc32c(crc, span_of(value.p + CRC_BYTES, header.len - before - CRC_BYTES));
	return ~crc == said;
}

static int check_tlvs(struct span header, struct span tlvs)
{
	bool crc_seen = false;
	struct proxy_tlv tlv;

	while (proxy_tlv_next(&tlvs, &tlv)) {
		if (tlv.type == rows[PROXY_SSL].type && check_ssl(tlv.value) != 0)
			return -PROXY_BAD_SSL;
		if (tlv.type != rows[PROXY_CRC32C].type)
			continue;
		if (crc_seen || tlv.value.len != CRC_BYTES || !crc_is_right(header, tlv.value))
			return -PROXY_BAD_CRC;
		crc_seen = true;
	}
	return tlvs.len == 0 ? 0 : -PROXY_BAD_TLV;
}

static void get_addresses(const char *p, enum facts_family family, struct proxy_header *h)
{
	size_t size = family == FACTS_IPV4 ? 4 : 16;

	h->client.family = h->server.family = family;
	memcpy(h->client.ip, p, size);
	memcpy(h->server.ip, p + size, size);
	h->client.port = (uint16_t)get_16(p + 2 * size);
	h->server.port = (uint16_t)get_16(p + 2 * size + 2);
}

/* Bytes of the addresses of a family; SIZE_MAX: it is not served. */
static size_t address_bytes(unsigned char family)
{
	switch (family) {
	case FAMILY_INET:
		return INET_BYTES;
	case FAMILY_INET6:
		return INET6_BYTES;
	case FAMILY_UNIX:
		return UNIX_BYTES;
	case FAMILY_UNSPEC:
		return 0;
	default:
		return SIZE_MAX;
	}
}

static int decode_v2(struct span in, struct proxy_header *h)
{
	size_t length, addresses;
	unsigned char command, family;
	int rc;

	if (in.len < FIXED)
		return 0;
	command = (unsigned char)in.p[12];
	family = (unsigned char)in.p[13];
	length = FIXED + get_16(in.p + 14);
	addresses = address_bytes(family);
	if (command != COMMAND_LOCAL && command != COMMAND_PROXY)
		return -PROXY_BAD_VERSION;
	if (command == COMMAND_PROXY && addresses == SIZE_MAX)
		return -PROXY_BAD_FAMILY;
	if (length > PROXY_HEADER_MAX || (command == COMMAND_PROXY && length - FIXED < addresses))
		return -PROXY_BAD_LENGTH;
	if (in.len < length)
		return 0;
	h->version = 2;
	h->local = command == COMMAND_LOCAL || family == FAMILY_UNSPEC;
	if (h->local) /* 2.2: what follows is skipped */
		return (int)length;
	if (family != FAMILY_UNIX)
		get_addresses(in.p + FIXED, family == FAMILY_INET ? FACTS_IPV4 : FACTS_IPV6, h);
	h->tlvs = span_of(in.p + FIXED + addresses, length - FIXED - addresses);
	rc = check_tlvs(span_of(in.p, length), h->tlvs);
	return rc != 0 ? rc : (int)length;
}

/* --- in --------------------------------------------------------------------------------------- */

/* Whether `in` begins as s does, as far as both go. */
static bool begins(struct span in, struct span s)
{
	size_t n = in.len < s.len ? in.len : s.len;

	return n == 0 || memcmp(in.p, s.p, n) == 0;
}

int proxy_decode(struct span in, struct proxy_header *h)
{
	*h = (struct proxy_header){0};
	if (in.len == 0)
		return 0;
	if (begins(in, SPAN("PROXY ")))
		return in.len < 6 ? 0 : decode_v1(in, h);
	if (begins(in, signature))
		return decode_v2(in, h);
	return -PROXY_BAD_SIGNATURE;
}
