/* SPDX-License-Identifier: ISC */
#include "ip.h"

int ip_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool ip_parse_number(struct span s, unsigned max, unsigned *n)
{
	*n = 0;
	if (s.len == 0 || s.len > 5 || (s.len > 1 && s.p[0] == '0'))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		*n = 10 * *n + (unsigned)(s.p[i] - '0');
	}
	return *n <= max;
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

/* Up to four hexadecimal digits from the front of *s. */
static bool take_group(struct span *s, uint8_t *two)
{
	unsigned n = 0, digits = 0;

	for (; digits < 4 && s->len != 0 && ip_hex_digit(s->p[0]) >= 0; digits++) {
		n = n << 4 | (unsigned)ip_hex_digit(s->p[0]);
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

static char *put_v4(char *p, const uint8_t *ip)
{
	for (int i = 0; i < 4; i++) {
		if (ip[i] >= 100)
			*p++ = (char)('0' + ip[i] / 100);
		if (ip[i] >= 10)
			*p++ = (char)('0' + ip[i] / 10 % 10);
		*p++ = (char)('0' + ip[i] % 10);
		if (i < 3)
			*p++ = '.';
	}
	return p;
}

static unsigned group_at(const uint8_t *ip, unsigned i)
{
	return (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
}

static char *put_group(char *p, unsigned group)
{
	bool begun = false;

	for (int shift = 12; shift >= 0; shift -= 4) {
		unsigned digit = group >> shift & 15;

		begun |= digit != 0 || shift == 0;
		if (begun)
			*p++ = "0123456789abcdef"[digit];
	}
	return p;
}

/* RFC 5952 4.2: the longest run of two zero groups or more, the first of equal ones. */
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

static char *put_v6(char *p, const uint8_t *ip)
{
	unsigned length, gap = longest_gap(ip, &length);

	for (unsigned i = 0; i < 8; i++) {
		if (i == gap) {
			*p++ = ':';
			i += length - 1;
			if (i == 7)
				*p++ = ':';
			continue;
		}
		if (i != 0)
			*p++ = ':';
		if (i == 6 && gap == 0 && length == 6) /* IPv4-compatible, RFC 4291 2.5.5.1 */
			return put_v4(p, ip + 12);
		p = put_group(p, group_at(ip, i));
	}
	return p;
}

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void ip_facts(struct facts_addr *addr)
{
	char *end = addr->text;

	if (addr->family == FACTS_NONE)
		return;
	if (addr->family == FACTS_IPV6 && memcmp(addr->ip, mapped_prefix, 12) == 0) {
		addr->family = FACTS_IPV4;
		addr->mapped = true;
		memmove(addr->ip, addr->ip + 12, 4);
	}
	end = addr->family == FACTS_IPV4 ? put_v4(end, addr->ip) : put_v6(end, addr->ip);
	*end = '\0';
	addr->text_len = (uint8_t)(end - addr->text);
}

/* --- blocks ----------------------------------------------------------------------------------- */

static unsigned size_of(enum facts_family family)
{
	return family == FACTS_IPV4 ? 32 : 128;
}

/* Nothing is set behind the prefix: 10.0.0.1/8 is a mistake of somebody's. */
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

	*block = (struct ip_block){.family = v6 ? FACTS_IPV6 : FACTS_IPV4};
	if (!(v6 ? ip_parse_v6(ip, block->ip) : ip_parse_v4(ip, block->ip)))
		return false;
	block->bits = size_of(block->family);
	if (slash &&
	    !ip_parse_number(span_of(slash + 1, text.len - ip.len - 1), block->bits, &block->bits))
		return false;
	if (v6 && block->bits >= 96 && memcmp(block->ip, mapped_prefix, 12) == 0) {
		block->family = FACTS_IPV4;
		block->bits -= 96;
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
