/* SPDX-License-Identifier: ISC */
#include "text.h"

int text_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool text_decimal(struct span s, uint64_t max, uint64_t *n)
{
	*n = 0;
	for (size_t i = 0; i < s.len; i++) {
		unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';

		if (digit > 9 || digit > max || *n > (max - digit) / 10)
			return false;
		*n = 10 * *n + digit;
	}
	return s.len != 0;
}

void text_put_byte(struct out *out, unsigned char byte, bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";

	out_char(out, digits[byte >> 4]);
	out_char(out, digits[byte & 15]);
}

bool text_keep(char *array, size_t cap, uint16_t *used, struct span s, struct text_at *at)
{
	if (s.len > cap - *used)
		return false;
	*at = (struct text_at){*used, (uint16_t)s.len};
	if (s.len != 0)
		memcpy(array + *used, s.p, s.len);
	*used = (uint16_t)(*used + s.len);
	return true;
}
