/* SPDX-License-Identifier: ISC */
#include "tls/inquiry.h"

#include <openssl/async.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tls/clock.h"

bool tls_inquiry_possible(void)
{
	return ASYNC_is_capable() == 1;
}

void tls_inquiry_begin(SSL *ssl)
{
	SSL_set_mode(ssl, SSL_MODE_ASYNC);
}

void tls_inquiry_end(SSL *ssl)
{
	SSL_clear_mode(ssl, SSL_MODE_ASYNC); /* reads and writes need no job */
}

static void suspend(struct tls_inquiry *inquiry)
{
	inquiry->waits = true;
	while (inquiry->waits)
		ASYNC_pause_job();
}

const struct tls_ocsp_answer *tls_inquiry_make(struct tls_inquiry *inquiry, void *owner,
					       const STACK_OF(X509) * chain)
{
	static const struct tls_ocsp_answer unasked = {.why = "the question could not be sent"};

	if (!inquiry || !ASYNC_get_current_job() || !inquiry->ask(owner, chain))
		return &unasked;
	suspend(inquiry);
	inquiry->until = tls_clock_seconds() + inquiry->answer->seconds;
	return inquiry->answer;
}

void tls_inquiry_answer(struct tls_inquiry *inquiry, const struct tls_ocsp_answer *answer)
{
	inquiry->answer = answer;
	inquiry->waits = false;
}

const unsigned char *tls_inquiry_get(struct tls_inquiry *inquiry, void *owner,
				     const unsigned char *id, size_t id_len, size_t *len)
{
	const struct tls_remote request = {.verb = TLS_REMOTE_GET, .id = id, .id_len = id_len};

	if (!ASYNC_get_current_job() || !inquiry->remote(owner, &request))
		return NULL;
	suspend(inquiry);
	*len = inquiry->session_len;
	return *len != 0 ? inquiry->session : NULL;
}

void tls_inquiry_found(struct tls_inquiry *inquiry, const unsigned char *session, size_t len)
{
	inquiry->session = session;
	inquiry->session_len = len;
	inquiry->waits = false;
}

void tls_inquiry_abandon(struct tls_inquiry *inquiry, SSL *ssl)
{
	static const struct tls_ocsp_answer gone = {.why = "the connection has ended"};

	if (!inquiry->waits)
		return;
	tls_inquiry_found(inquiry, NULL, 0);
	tls_inquiry_answer(inquiry, &gone);
	SSL_do_handshake(ssl);
	ERR_clear_error();
}

int64_t tls_inquiry_life(const struct tls_inquiry *inquiry, int64_t most)
{
	int64_t left;

	if (!inquiry || inquiry->until == 0)
		return most;
	left = inquiry->until - tls_clock_seconds();
	return left < 0 ? 0 : left < most ? left : most;
}
