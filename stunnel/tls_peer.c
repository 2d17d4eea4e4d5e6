/* SPDX-License-Identifier: ISC */
#include "tls_peer.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

static struct span bounded(const char *text, size_t max)
{
	size_t len = text ? strlen(text) : 0;

	return span_of(text, len <= max ? len : max);
}

void tls_facts(const struct tls *tls, struct facts *facts)
{
	const unsigned char *alpn;
	unsigned len;

	SSL_get0_alpn_selected(tls->ssl, &alpn, &len);
	facts->alpn = span_of((const char *)alpn, len);
	facts->sni = bounded(tls->sni, FACTS_NAME_MAX);
	facts->tls_version = bounded(SSL_get_version(tls->ssl), FACTS_TLS_MAX);
	facts->tls_cipher = bounded(SSL_get_cipher_name(tls->ssl), FACTS_TLS_MAX);
	facts->session_reused = SSL_session_reused(tls->ssl) == 1;
}

void tls_describe(const struct tls *tls, char text[static 128])
{
	snprintf(text, 128, "%s ciphersuite: %s (%d-bit encryption)", SSL_get_version(tls->ssl),
		 SSL_get_cipher_name(tls->ssl), SSL_get_cipher_bits(tls->ssl, NULL));
}
