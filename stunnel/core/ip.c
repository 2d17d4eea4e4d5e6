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
