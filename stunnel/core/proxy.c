/* SPDX-License-Identifier: ISC */
#include "proxy.h"

#include "http.h"
#include "proxy_wire.h"
#include "text.h"

const struct proxy_error_info proxy_error_info[PROXY_ERROR_COUNT] = {
#define X(id, section, text) [PROXY_BAD_##id] = {section, text},
	PROXY_ERRORS(X)
#undef X
};

const struct proxy_tlv_row proxy_tlvs[PROXY_TLV_COUNT] = {
#define X(id, type, name, in_ssl, drop) [PROXY_##id] = {type, SPAN_INIT(name), in_ssl, drop},
	PROXY_TLVS(X)
#undef X
};

/* --- options ---------------------------------------------------------------------------------- */

static bool keep(struct proxy *p, struct span s, struct text_at *where)
{
	return text_keep(p->text, sizeof p->text, &p->text_len, s, where);
}

/* Adds a TLV of a type for applications (2.2.8): 0xE0:TEXT to 0xEF:TEXT. */
static const char *add_custom(struct proxy *p, struct span name, struct span value)
{
	int digit = name.len == 4 && http_equal(span_of(name.p, 3), SPAN("0xE"))
			    ? text_hex_digit(name.p[3])
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
	p->tlvs |= PROXY_BIT(PROXY_CUSTOM);
	return NULL;
}

static const char *set_noop(struct proxy *p, struct span value)
{
	uint64_t n;

	if (!text_decimal(value, PROXY_TEXT_MAX, &n))
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
	while (id < PROXY_TLV_COUNT &&
	       (proxy_tlvs[id].name.len == 0 || !http_equal(name, proxy_tlvs[id].name)))
		id++;
	if (id == PROXY_TLV_COUNT)
		return add_custom(p, name, value);
	if (id == PROXY_NOOP && set_noop(p, value))
		return set_noop(p, value);
	if (id == PROXY_NETNS && (value.len == 0 || !keep(p, value, &p->netns)))
		return "netns needs a name";
	if (colon && id != PROXY_NOOP && id != PROXY_NETNS)
		return "This TLV has no value of its own";
	p->tlvs |= PROXY_BIT(id);
	if (proxy_tlvs[id].in_ssl)
		p->tlvs |= PROXY_BIT(PROXY_SSL);
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
	size_t size = PROXY_FIXED + PROXY_INET6_BYTES;

	if (p->version != 2)
		return PROXY_V1_MAX;
	for (int id = 0; id < PROXY_TLV_COUNT; id++)
		if (p->tlvs & PROXY_BIT(id))
			size += PROXY_TLV_BYTES + (id == PROXY_CRC32C ? PROXY_CRC_BYTES
						   : id == PROXY_NOOP ? p->noop
						   : id == PROXY_SSL
							   ? PROXY_SSL_BYTES + PROXY_TLV_BYTES
							   : name);
	return size + p->text_len;
}

/* --- TLVs ------------------------------------------------------------------------------------- */

bool proxy_tlv_next(struct span *tlvs, struct proxy_tlv *tlv)
{
	size_t len;

	if (tlvs->len < PROXY_TLV_BYTES)
		return false;
	len = proxy_wire_16(tlvs->p + 1);
	if (len > tlvs->len - PROXY_TLV_BYTES)
		return false;
	*tlv = (struct proxy_tlv){(uint8_t)tlvs->p[0], span_of(tlvs->p + PROXY_TLV_BYTES, len)};
	span_skip(tlvs, PROXY_TLV_BYTES + len);
	return true;
}
