/* SPDX-License-Identifier: ISC */
/*
 * A tunnel through an HTTP proxy (RFC 9110 9.3.6), with basic credentials (RFC 7617) or NTLM, which
 * takes two requests on the connection: the proxy's 407 to the first one has the challenge.
 */
#include "negotiate/connect.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#include "core/http.h"
#include "core/text.h"
#include "negotiate/ntlm.h"

#define BODY_MAX (1U << 20) /* bytes of a 407's page that are skipped */

enum { STATUS, FIELD, CHALLENGE_STATUS, CHALLENGE_FIELD, CHALLENGE_BODY };

static bool is_ntlm(const struct negotiation_options *o)
{
	return o->authentication && strcasecmp(o->authentication, "ntlm") == 0;
}

/* Whether it is another name of what shows the password to the proxy, as `basic` does. */
static bool is_open(const char *authentication)
{
	return strcasecmp(authentication, "basic") == 0 ||
	       strcasecmp(authentication, "plain") == 0 || strcasecmp(authentication, "login") == 0;
}

/* Stock logs in by basic whatever is asked for: here the password of whoever asks for more stays
 * secret. */
static const char *check(const struct negotiation_options *o)
{
	bool credentials = o->user && o->password;

	if (!o->host)
		return "protocolHost not specified";
	if (is_ntlm(o))
		return ntlm_check(o);
	if (credentials && o->authentication && !is_open(o->authentication))
		return "protocolAuthentication is neither basic nor ntlm";
	return NULL;
}

static void say_request(struct negotiation *n)
{
	negotiation_say(n, NEGOTIATION_BACK, "CONNECT %s HTTP/1.1", n->options->host);
	negotiation_say(n, NEGOTIATION_BACK, "Host: %s", n->options->host);
}

static int say_rest(struct negotiation *n)
{
	const char *const *header = n->options->header;

	for (size_t i = 0; header && header[i]; i++)
		negotiation_say(n, NEGOTIATION_BACK, "%s", header[i]);
	negotiation_put(n, NEGOTIATION_BACK, SPAN("\r\n"));
	return STATUS;
}

static void say_credentials(struct negotiation *n, const char *scheme, const char *base64)
{
	n->secret = true;
	negotiation_say(n, NEGOTIATION_BACK, "Proxy-Authorization: %s %s", scheme, base64);
	n->secret = false;
}

/* RFC 7617 2: the user's name ends at the first colon. */
static int log_in(struct negotiation *n)
{
	const struct negotiation_options *o = n->options;
	char base64[sizeof n->kept * 2];
	int len = snprintf(n->kept, sizeof n->kept, "%s:%s", o->user, o->password);

	if (len < 0 || (size_t)len >= sizeof n->kept ||
	    !negotiation_base64(span_of(n->kept, (size_t)len), base64, sizeof base64))
		return negotiation_fail(n, "protocolUsername or protocolPassword is too long");
	say_credentials(n, "basic", base64);
	explicit_bzero(base64, sizeof base64);
	return STATUS;
}

static int begin(struct negotiation *n)
{
	const struct negotiation_options *o = n->options;
	bool credentials = o->user && o->password;

	say_request(n);
	if (credentials && is_ntlm(o)) {
		negotiation_say(n, NEGOTIATION_BACK, "Proxy-Connection: keep-alive");
		negotiation_say(n, NEGOTIATION_BACK, "Proxy-Authorization: NTLM %s", ntlm_hello);
		negotiation_put(n, NEGOTIATION_BACK, SPAN("\r\n"));
		return CHALLENGE_STATUS;
	}
	if (credentials && log_in(n) < 0)
		return NEGOTIATION_FAILED;
	return say_rest(n);
}

/* The rest of a line behind its first n bytes, which it has. */
static struct span behind(struct span line, size_t n)
{
	span_skip(&line, n);
	return line;
}

/* Whether it is a status line of HTTP/1 whose status begins so. */
static bool has_status(struct span line, const char *status)
{
	bool http = negotiation_begins(line, "HTTP/1.0 ") || negotiation_begins(line, "HTTP/1.1 ");

	return http && negotiation_begins(behind(line, 9), status);
}

static int status(struct negotiation *n, struct span line)
{
	if (!has_status(line, "2"))
		return negotiation_fail(n, "CONNECT request rejected: %.*s",
					line.len < 150 ? (int)line.len : 150, line.p);
	negotiation_log(n, LOG_INFO, "CONNECT request accepted");
	return FIELD;
}

static int field(struct negotiation *n, struct span line)
{
	(void)n;
	return line.len == 0 ? NEGOTIATION_DONE : FIELD;
}

/* --- NTLM's first answer: the challenge in word[], its end in kept[0], the body's rest in count -
 */

static int challenge_status(struct negotiation *n, struct span line)
{
	return has_status(line, "407")
		       ? CHALLENGE_FIELD
		       : negotiation_fail(
				 n, "Proxy-Authenticate: NTLM authorization request rejected");
}

static int answer_challenge(struct negotiation *n)
{
	char base64[NTLM_ANSWER_MAX];

	if (n->kept[0] == '\0')
		return negotiation_fail(n, "Proxy-Authenticate: NTLM header not found");
	if (!ntlm_answer(n->options, (const unsigned char *)n->word, base64))
		return negotiation_fail(n, "NTLM: OpenSSL failed");
	say_request(n);
	say_credentials(n, "NTLM", base64);
	explicit_bzero(base64, sizeof base64);
	return say_rest(n);
}

/* Skips the body, of which n->count bytes are left, or answers behind it. */
static int skip_body(struct negotiation *n)
{
	if (n->count == 0)
		return answer_challenge(n);
	negotiation_need(n, n->count < NEGOTIATION_LINE_MAX ? n->count : NEGOTIATION_LINE_MAX);
	return CHALLENGE_BODY;
}

static int challenge_body(struct negotiation *n, struct span bytes)
{
	n->count -= (unsigned)bytes.len;
	return skip_body(n);
}

static int challenge_field(struct negotiation *n, struct span line)
{
	static const struct span scheme = SPAN_INIT("Proxy-Authenticate: NTLM "),
				 length = SPAN_INIT("Content-Length:"),
				 coding = SPAN_INIT("Transfer-Encoding:");
	uint64_t bytes;

	if (line.len == 0)
		return skip_body(n);
	if (negotiation_begins(line, scheme.p) &&
	    ntlm_challenge(behind(line, scheme.len), (unsigned char *)n->word))
		n->kept[0] = 1;
	if (negotiation_begins(line, coding.p))
		return negotiation_fail(n, "NTLM: the end of the proxy's 407 is not told ahead");
	if (!negotiation_begins(line, length.p))
		return CHALLENGE_FIELD;
	if (!text_decimal(http_trim(behind(line, length.len)), BODY_MAX, &bytes))
		return negotiation_fail(n, "NTLM: the proxy's 407 is too long");
	n->count = (unsigned)bytes;
	return CHALLENGE_FIELD;
}

static const struct negotiation_state states[] = {
	[STATUS] = {.from = NEGOTIATION_BACK, .take = status},
	[FIELD] = {.from = NEGOTIATION_BACK, .last = true, .take = field},
	[CHALLENGE_STATUS] = {.from = NEGOTIATION_BACK, .take = challenge_status},
	[CHALLENGE_FIELD] = {.from = NEGOTIATION_BACK, .take = challenge_field},
	[CHALLENGE_BODY] = {.from = NEGOTIATION_BACK, .take = challenge_body},
};

const struct negotiator connect_client = {
	.protocol = "connect",
	.phase = NEGOTIATION_PLAIN,
	.to_http = true,
	.begin = begin,
	.states = states,
	.check = check,
};
