/* SPDX-License-Identifier: ISC */
/* LDAP's StartTLS (RFC 4511 4.14) as a client; BER as in RFC 4511 5.1. */
#include "negotiate/ldap.h"

enum { HEADER, LENGTH, BODY };

enum { SEQUENCE = 0x30, INTEGER = 0x02, ENUMERATED = 0x0a, EXTENDED_RESPONSE = 0x78 };

#define RESPONSE_MAX 128 /* bytes */

static const struct span start_tls = SPAN_INIT("\x30\x1d"	  /* LDAPMessage */
					       "\x02\x01\x01"	  /* messageID 1 */
					       "\x77\x18\x80\x16" /* ExtendedRequest, its name */
					       "1.3.6.1.4.1.1466.20037");

static int begin(struct negotiation *n)
{
	negotiation_put(n, NEGOTIATION_BACK, start_tls);
	return HEADER;
}

static int need_body(struct negotiation *n, size_t len)
{
	if (len == 0 || len > RESPONSE_MAX)
		return negotiation_fail(n, "LDAP response of %zu bytes", len);
	negotiation_need(n, len);
	return BODY;
}

static int header(struct negotiation *n, struct span unit)
{
	const unsigned char *p = (const unsigned char *)unit.p;

	if (p[0] != SEQUENCE)
		return negotiation_fail(n, "LDAP response is no sequence");
	if (p[1] < 0x80)
		return need_body(n, p[1]);
	if (p[1] == 0x80 || p[1] > 0x84)
		return negotiation_fail(n, "Unsupported length of an LDAP response");
	negotiation_need(n, p[1] & 0x7f);
	return LENGTH;
}

static int length(struct negotiation *n, struct span unit)
{
	size_t len = 0;

	for (size_t i = 0; i < unit.len; i++)
		len = len << 8 | (unsigned char)unit.p[i];
	return need_body(n, len);
}

/* Takes an element of that tag: its content, and the element is skipped in *in. */
static bool take_element(struct span *in, unsigned char tag, struct span *content)
{
	const unsigned char *p = (const unsigned char *)in->p;
	size_t head = 2, len = 0;

	if (in->len < 2 || p[0] != tag)
		return false;
	len = p[1];
	if (p[1] >= 0x80) {
		if (p[1] == 0x80 || p[1] > 0x84 || in->len < head + (p[1] & 0x7f))
			return false;
		for (len = 0; head < 2 + (size_t)(p[1] & 0x7f); head++)
			len = len << 8 | p[head];
	}
	if (len > in->len - head)
		return false;
	*content = span_of(in->p + head, len);
	span_skip(in, head + len);
	return true;
}

static int body(struct negotiation *n, struct span unit)
{
	struct span id, response, code;

	if (!take_element(&unit, INTEGER, &id) || !span_eq(id, SPAN("\1")))
		return negotiation_fail(n, "LDAP response to another message");
	if (!take_element(&unit, EXTENDED_RESPONSE, &response) ||
	    !take_element(&response, ENUMERATED, &code) || code.len != 1)
		return negotiation_fail(n, "LDAP response is no ExtendedResponse");
	if (code.p[0] != 0)
		return negotiation_fail(n, "LDAP server refused StartTLS: result %d",
					(unsigned char)code.p[0]);
	return NEGOTIATION_DONE;
}

static const struct negotiation_state states[] = {
	[HEADER] = {.from = NEGOTIATION_BACK, .bytes = 2, .take = header},
	[LENGTH] = {.from = NEGOTIATION_BACK, .take = length},
	[BODY] = {.from = NEGOTIATION_BACK, .last = true, .take = body},
};

const struct negotiator ldap_client = {
	.protocol = "ldap",
	.phase = NEGOTIATION_PLAIN,
	.begin = begin,
	.states = states,
};
