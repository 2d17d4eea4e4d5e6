/* SPDX-License-Identifier: ISC */
#include "tls/inquiry.h"

#include <openssl/async.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <time.h>

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

static int64_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec;
}

const struct tls_ocsp_answer *tls_inquiry_make(struct tls_inquiry *inquiry, void *owner,
					       const STACK_OF(X509) * chain)
{
	static const struct tls_ocsp_answer unasked = {.why = "the question could not be sent"};

	if (!inquiry || !ASYNC_get_current_job() || !inquiry->ask(owner, chain))
		return &unasked;
	inquiry->waits = true;
	while (inquiry->waits)
		ASYNC_pause_job();
	inquiry->until = seconds() + inquiry->answer->seconds;
	return inquiry->answer;
}

void tls_inquiry_answer(struct tls_inquiry *inquiry, const struct tls_ocsp_answer *answer)
{
	inquiry->answer = answer;
	inquiry->waits = false;
}

void tls_inquiry_abandon(struct tls_inquiry *inquiry, SSL *ssl)
{
	static const struct tls_ocsp_answer gone = {.why = "the connection has ended"};

	if (!inquiry->waits)
		return;
	tls_inquiry_answer(inquiry, &gone);
	SSL_do_handshake(ssl);
	ERR_clear_error();
}

int64_t tls_inquiry_life(const struct tls_inquiry *inquiry, int64_t most)
{
	int64_t left;

	if (!inquiry || inquiry->until == 0)
		return most;
	left = inquiry->until - seconds();
	return left < 0 ? 0 : left < most ? left : most;
}
