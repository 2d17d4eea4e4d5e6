/* SPDX-License-Identifier: ISC */
#include "negotiate/ntlm.h"

#include <assert.h>
#include <string.h>

#include "core/out.h"
#include "tls/ntlm.h"

#define HEAD 64		 /* bytes of the third message in front of its texts */
#define NAMES_MAX 512	 /* bytes of domain and user together */
#define FLAGS "\x02\2\0" /* OEM strings, NTLM; the fourth byte is the literal's NUL */

static_assert(NTLM_CHALLENGE_BYTES == TLS_NTLM_CHALLENGE, "a challenge is a block of DES");
static_assert((HEAD + TLS_NTLM_RESPONSE + NAMES_MAX + 2) / 3 * 4 < NTLM_ANSWER_MAX,
	      "an answer has room");

const char ntlm_hello[] = "TlRMTVNTUAABAAAAAgIAAAAAAAAAAAAAAAAAAAAAAAA=";

static const char *domain_of(const struct negotiation_options *o)
{
	return o->domain ? o->domain : "";
}

const char *ntlm_check(const struct negotiation_options *o)
{
	if (!o->user || !o->password)
		return NULL; /* nobody logs in */
	if (strlen(domain_of(o)) + strlen(o->user) > NAMES_MAX)
		return "protocolDomain and protocolUsername are too long";
	return tls_ntlm_open();
}

/* The value of a digit of base64, or -1. */
static int digit(char c)
{
	return c >= 'A' && c <= 'Z'   ? c - 'A'
	       : c >= 'a' && c <= 'z' ? c - 'a' + 26
	       : c >= '0' && c <= '9' ? c - '0' + 52
	       : c == '+'	      ? 62
	       : c == '/'	      ? 63
				      : -1;
}

bool ntlm_challenge(struct span base64, unsigned char challenge[static NTLM_CHALLENGE_BYTES])
{
	static const char begin[] = "NTLMSSP\0\2\0\0"; /* with the NUL: 12 bytes */
	unsigned char message[33];

	if (base64.len < 44)
		return false;
	for (size_t i = 0; i < 11; i++) {
		unsigned long group = 0;

		for (size_t k = 0; k < 4; k++) {
			int value = digit(base64.p[4 * i + k]);

			if (value < 0 && 4 * i + k < 43) /* 32 bytes alone end with one '=' */
				return false;
			group = group << 6 | (unsigned long)(value < 0 ? 0 : value);
		}
		for (size_t k = 0; k < 3; k++)
			message[3 * i + k] = (unsigned char)(group >> (16 - 8 * k));
	}
	memcpy(challenge, message + 24, NTLM_CHALLENGE_BYTES);
	return memcmp(message, begin, sizeof begin) == 0;
}

/* A field of the head: length, room and place of a text. */
static void put_place(struct out *out, size_t len, size_t at)
{
	unsigned char low = (unsigned char)len, high = (unsigned char)(len >> 8);
	unsigned char place[8] = {
		low, high, low, high, (unsigned char)at, (unsigned char)(at >> 8)};

	out_put(out, span_of((const char *)place, sizeof place));
}

bool ntlm_answer(const struct negotiation_options *o,
		 const unsigned char challenge[static NTLM_CHALLENGE_BYTES],
		 char text[static NTLM_ANSWER_MAX])
{
	char message[HEAD + TLS_NTLM_RESPONSE + NAMES_MAX];
	const char *domain = domain_of(o);
	size_t domain_at = HEAD + TLS_NTLM_RESPONSE, user_at = domain_at + strlen(domain);
	size_t end = user_at + strlen(o->user);
	unsigned char response[TLS_NTLM_RESPONSE];
	struct out out = out_of(message, sizeof message);
	bool ok = tls_ntlm_respond(o->password, challenge, response);

	out_put(&out, SPAN("NTLMSSP\0\3\0\0\0"));
	put_place(&out, 0, end); /* no LM response */
	put_place(&out, sizeof response, HEAD);
	put_place(&out, user_at - domain_at, domain_at);
	put_place(&out, end - user_at, user_at);
	put_place(&out, 0, end); /* no workstation */
	put_place(&out, 0, end); /* no session key */
	out_put(&out, span_of(FLAGS, sizeof FLAGS));
	out_put(&out, span_of((const char *)response, sizeof response));
	out_put(&out, span_of(domain, strlen(domain)));
	out_put(&out, span_of(o->user, strlen(o->user)));
	ok = ok && !out.full &&
	     negotiation_base64(span_of(message, out.len), text, NTLM_ANSWER_MAX);
	explicit_bzero(message, sizeof message);
	explicit_bzero(response, sizeof response);
	return ok;
}
