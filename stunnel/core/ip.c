/* SPDX-License-Identifier: ISC */
#include "ip.h"

#include "out.h"
#include "text.h"

const struct span ip_mapped_prefix = SPAN_INIT("\0\0\0\0\0\0\0\0\0\0\xff\xff");

bool ip_parse_number(struct span s, unsigned max, unsigned *n)
{
	uint64_t number;

	if (s.len > 5 || (s.len > 1 && s.p[0] == '0') || !text_decimal(s, max, &number))
		return false;
	*n = (unsigned)number;
	return true;
}

bool ip_parse_v4(struct span s, uint8_t *ip)
{
	for (int i = 0; i < 4; i++) {
		const char *dot = i < 3 ? memchr(s.p, '.', s.len) : s.p + s.len;
		unsigned n;

		if (!dot || !ip_parse_number(span_of(s.p, (size_t)(dot - s.p)), 255, &n))
			return false;
		ip[i] = (uint8_t)n;
		span_skip(&s, (size_t)(dot - s.p) + (i < 3));
	}
	return true;
}

/* Takes a group of up to four hexadecimal digits from *s; false if there is none. */
static bool take_group(struct span *s, uint8_t *two)
{
	unsigned n = 0, digits = 0;

	for (; digits < 4 && s->len != 0 && text_hex_digit(s->p[0]) >= 0; digits++) {
		n = n << 4 | (unsigned)text_hex_digit(s->p[0]);
		span_skip(s, 1);
	}
	two[0] = (uint8_t)(n >> 8);
	two[1] = (uint8_t)n;
	return digits != 0;
}

bool ip_parse_v6(struct span s, uint8_t *ip)
{
	size_t n = 0, gap = SIZE_MAX;

	memset(ip, 0, 16);
	if (s.len >= 2 && s.p[0] == ':' && s.p[1] == ':') {
		gap = 0;
		span_skip(&s, 2);
	}
	while (s.len != 0) {
		if (n == 16)
			return false;
		if (n <= 12 && memchr(s.p, '.', s.len) && !memchr(s.p, ':', s.len)) {
			if (!ip_parse_v4(s, ip + n))
				return false;
			n += 4;
			break;
		}
		if (!take_group(&s, ip + n))
			return false;
		n += 2;
		if (s.len == 0)
			break;
		if (s.p[0] != ':' || s.len == 1)
			return false;
		span_skip(&s, 1);
		if (s.p[0] == ':') {
			if (gap != SIZE_MAX)
				return false;
			gap = n;
			span_skip(&s, 1);
		}
	}
	if (gap == SIZE_MAX)
		return n == 16;
	if (n > 14) /* `::` stands for one group at least */
		return false;
	memmove(ip + 16 - (n - gap), ip + gap, n - gap);
	memset(ip + gap, 0, 16 - n);
	return true;
}

/* --- text ------------------------------------------------------------------------------------- */

static void put_v4(const uint8_t *ip, struct out *out)
{
	for (int i = 0; i < 4; i++) {
		if (i != 0)
			out_char(out, '.');
		out_decimal(out, ip[i]);
	}
}

static unsigned group_at(const uint8_t *ip, unsigned i)
{
	return (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
}

/* RFC 5952 4.2: begin of the longest, and first, run of two zero groups or more; 8: none. */
static unsigned longest_gap(const uint8_t *ip, unsigned *length)
{
	unsigned at = 8, run = 0;

	*length = 1;
	for (unsigned i = 0; i < 8; i++) {
		run = group_at(ip, i) == 0 ? run + 1 : 0;
		if (run > *length) {
			*length = run;
			at = i + 1 - run;
		}
	}
	return at;
}

static void put_v6(const uint8_t *ip, struct out *out)
{
	unsigned length, gap = longest_gap(ip, &length);

	for (unsigned i = 0; i < 8; i++) {
		if (i == gap) {
			i += length - 1;
			out_put(out, i == 7 ? SPAN("::") : SPAN(":"));
			continue;
		}
		if (i != 0)
			out_char(out, ':');
		if (i == 6 && gap == 0 && length == 6) { /* IPv4-compatible, RFC 4291 2.5.5.1 */
			put_v4(ip + 12, out);
			return;
		}
		out_hex(out, group_at(ip, i));
	}
}

static bool is_mapped(const uint8_t *ip)
{
	return memcmp(ip, ip_mapped_prefix.p, ip_mapped_prefix.len) == 0;
}

void ip_facts(struct facts_addr *addr)
{
	struct out out = out_of(addr->text, FACTS_IP_TEXT_MAX);

	if (addr->family == FACTS_NONE)
		return;
	if (addr->family == FACTS_IPV6 && is_mapped(addr->ip)) {
		addr->family = FACTS_IPV4;
		addr->mapped = true;
		memmove(addr->ip, addr->ip + 12, 4);
	}
	if (addr->family == FACTS_IPV4)
		put_v4(addr->ip, &out);
	else
		put_v6(addr->ip, &out);
	addr->text[out.len] = '\0';
	addr->text_len = (uint8_t)out.len;
}

/* --- blocks ----------------------------------------------------------------------------------- */

static uint8_t size_of(unsigned family)
{
	return family == FACTS_IPV4 ? 32 : 128;
}

/* Whether no bit is set behind the prefix: who writes 10.0.0.1/8 means something else. */
static bool is_clean(const struct ip_block *block)
{
	for (unsigned bit = block->bits; bit < size_of(block->family); bit++)
		if (block->ip[bit / 8] & (0x80 >> (bit % 8)))
			return false;
	return true;
}

bool ip_block_parse(struct span text, struct ip_block *block)
{
	const char *slash = memchr(text.p, '/', text.len);
	struct span ip = span_of(text.p, slash ? (size_t)(slash - text.p) : text.len);
	bool v6 = memchr(ip.p, ':', ip.len) != NULL;
	unsigned bits;

	*block = (struct ip_block){.family = v6 ? FACTS_IPV6 : FACTS_IPV4};
	if (!(v6 ? ip_parse_v6(ip, block->ip) : ip_parse_v4(ip, block->ip)))
		return false;
	bits = size_of(block->family);
	if (slash && !ip_parse_number(span_of(slash + 1, text.len - ip.len - 1), bits, &bits))
		return false;
	block->bits = (uint8_t)bits;
	if (v6 && block->bits >= 96 && is_mapped(block->ip)) {
		block->family = FACTS_IPV4;
		block->bits = (uint8_t)(block->bits - 96);
		memmove(block->ip, block->ip + 12, 4);
	}
	return is_clean(block);
}

bool ip_block_holds(const struct ip_block *block, const struct facts_addr *addr)
{
	unsigned bytes = block->bits / 8, bits = block->bits % 8;
	unsigned mask = 0xff00u >> bits & 0xff;

	if (block->family != addr->family || memcmp(block->ip, addr->ip, bytes) != 0)
		return false;
	return bits == 0 || ((block->ip[bytes] ^ addr->ip[bytes]) & mask) == 0;
}

bool ip_blocks_hold(const struct ip_blocks *blocks, const struct facts_addr *addr)
{
	for (unsigned i = 0; i < blocks->count; i++)
		if (ip_block_holds(&blocks->block[i], addr))
			return true;
	return false;
}

static bool divides(char c)
{
	return c == ',' || c == ' ' || c == '\t';
}

int ip_block_next(struct span *list, struct span *text, struct ip_block *block)
{
	size_t len = 0;

	while (list->len != 0 && divides(list->p[0]))
		span_skip(list, 1);
	while (len < list->len && !divides(list->p[len]))
		len++;
	*text = span_of(list->p, len);
	span_skip(list, len);
	if (len == 0)
		return 0;
	return ip_block_parse(*text, block) ? 1 : -1;
}
