/* SPDX-License-Identifier: ISC */
#include "proxy_encode.h"

#include "crc32c.h"
#include "ip.h"
#include "proxy_wire.h"

/* --- addresses --------------------------------------------------------------------------- */

/* A header has one family for both addresses: beside an IPv6 one an IPv4 one is mapped. */
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
		out_put(out, ip_mapped_prefix);
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

/* --- TLVs -------------------------------------------------------------------------------- */

static void put_tlv(struct out *out, unsigned type, struct span value)
{
	out_char(out, (char)type);
	put_16(out, (unsigned)value.len);
	out_put(out, value);
}

/* The value of a TLV that is a single text; empty: no such TLV is sent. */
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
		return text_kept(p->text, p->netns);
	case PROXY_SSL:
	case PROXY_CUSTOM:
	case PROXY_NOOP:
	case PROXY_CRC32C:
	case PROXY_TLV_COUNT:
		break;
	}
	return span_of(NULL, 0);
}

/* PP2_TYPE_SSL: verify is 0 only for a certificate that was presented and verified. */
static void put_ssl(const struct proxy *p, const struct facts *facts, uint32_t tlvs,
		    struct out *out)
{
	size_t length_at, begin;

	out_char(out, (char)proxy_tlvs[PROXY_SSL].type);
	length_at = out_mark(out);
	put_16(out, 0);
	begin = out_mark(out);
	out_char(out, (char)(PROXY_CLIENT_SSL |
			     (facts->cert_on_connection ? PROXY_CLIENT_CERT_CONN : 0) |
			     (facts->cert_in_session ? PROXY_CLIENT_CERT_SESS : 0)));
	put_32(out, facts->cert_in_session ? facts->verify_code : 1);
	put_tlv(out, proxy_tlvs[PROXY_SSL_VERSION].type, facts->tls_version);
	for (int id = 0; id < PROXY_TLV_COUNT; id++) {
		struct span text = text_of(p, facts, (enum proxy_tlv_id)id);

		if (proxy_tlvs[id].in_ssl && (tlvs & PROXY_BIT(id)) && text.len != 0)
			put_tlv(out, proxy_tlvs[id].type, text);
	}
	out_patch_16(out, length_at, (unsigned)(out_mark(out) - begin));
}

/* Whether a TLV that came is not sent on: we send that type ourselves, or it was for this hop. */
static bool is_ours(uint32_t tlvs, const struct proxy *p, uint8_t type)
{
	if (type == proxy_tlvs[PROXY_CRC32C].type || type == proxy_tlvs[PROXY_NOOP].type)
		return true;
	for (int id = 0; id < PROXY_TLV_COUNT; id++)
		if (proxy_tlvs[id].type == type && id != PROXY_CUSTOM)
			return tlvs & PROXY_BIT(id);
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
		put_tlv(out, p->custom[i].type, text_kept(p->text, p->custom[i].value));
	while (p->pass && proxy_tlv_next(&came, &tlv))
		if (!is_ours(tlvs, p, tlv.type))
			put_tlv(out, tlv.type, tlv.value);
}

static void put_noop(unsigned n, struct out *out)
{
	out_char(out, (char)proxy_tlvs[PROXY_NOOP].type);
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

		if (!(tlvs & PROXY_BIT(id)) || proxy_tlvs[id].in_ssl)
			continue;
		if (id == PROXY_SSL && !facts->plain)
			put_ssl(p, facts, tlvs, out);
		else if (id == PROXY_CUSTOM)
			put_custom(p, facts, tlvs, out);
		else if (id == PROXY_NOOP)
			put_noop(p->noop, out);
		else if (id == PROXY_CRC32C)
			put_tlv(out, proxy_tlvs[id].type, SPAN("\0\0\0\0"));
		else if (text.len != 0)
			put_tlv(out, proxy_tlvs[id].type, text);
	}
}

/* Fills in the CRC, whose TLV is last; it was computed over zeros in its own place (2.2.3). */
static void sign(struct out *out, size_t begin)
{
	struct span header = span_of(out->p + begin, out->len - begin);
	uint32_t crc = ~crc32c_update(~UINT32_C(0), header);

	if (out->full)
		return;
	out_rollback(out, out->len - PROXY_CRC_BYTES);
	put_32(out, crc);
}

static void encode_v2(const struct proxy *p, const struct facts *facts, uint32_t tlvs,
		      struct out *out)
{
	size_t begin = out_mark(out);
	bool v6 = as_v6(p, facts);
	bool local = facts->client.family == FACTS_NONE || facts->server.family == FACTS_NONE;

	out_put(out, PROXY_SIGNATURE);
	out_char(out, local ? PROXY_COMMAND_LOCAL : PROXY_COMMAND_PROXY);
	out_char(out, local ? PROXY_FAMILY_UNSPEC : v6 ? PROXY_FAMILY_INET6 : PROXY_FAMILY_INET);
	put_16(out, 0);
	if (local) /* 2.2: a LOCAL header needs no addresses */
		return;
	put_bytes(&facts->client, v6, out);
	put_bytes(&facts->server, v6, out);
	put_16(out, facts->client.port);
	put_16(out, facts->server.port);
	put_tlvs(p, facts, tlvs, out);
	out_patch_16(out, begin + PROXY_FIXED - 2, (unsigned)(out_mark(out) - begin - PROXY_FIXED));
	if (tlvs & PROXY_BIT(PROXY_CRC32C))
		sign(out, begin);
}

/* Of the TLVs that are left, the one to leave out first; PROXY_TLV_COUNT: none may be. */
static enum proxy_tlv_id next_to_drop(uint32_t tlvs)
{
	int first = PROXY_TLV_COUNT;

	for (int id = 0; id < PROXY_TLV_COUNT; id++) {
		if (!(tlvs & PROXY_BIT(id)) || proxy_tlvs[id].drop == 0)
			continue;
		if (first == PROXY_TLV_COUNT || proxy_tlvs[id].drop < proxy_tlvs[first].drop)
			first = id;
	}
	return (enum proxy_tlv_id)first;
}

bool proxy_encode(const struct proxy *p, const struct facts *facts, struct out *out,
		  uint32_t *dropped)
{
	size_t begin = out_mark(out);
	uint32_t tlvs = p->tlvs | (p->pass && facts->tlvs.len != 0 ? PROXY_BIT(PROXY_CUSTOM) : 0);

	*dropped = 0;
	if (p->version != 2) {
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
		tlvs &= ~PROXY_BIT(next);
		*dropped |= PROXY_BIT(next);
	}
}
