/* SPDX-License-Identifier: ISC */
#include "common.h"
#include "prototypes.h"

#undef SSL_read

void openssl_port_set_tmp_dh(SSL_CTX *context, DH *dh)
{
	if (!SSL_CTX_set_tmp_dh(context, dh))
		sslerror("SSL_CTX_set_tmp_dh");
}

/*
 * Handshakes before TLS 1.2 are signed with SHA-1 and MD5, which OpenSSL 3 allows at security level
 * 0 only. A method for several versions has a version number that is none of these.
 */
static int is_ruled_out(const SSL *ssl)
{
	int version = SSL_version(ssl);

	return OPENSSL_VERSION_NUMBER >= 0x30000000L && version >= SSL3_VERSION &&
	       version < TLS1_2_VERSION && SSL_get_security_level(ssl) > 0;
}

int openssl_port_refuses(SSL_CTX *context)
{
	SSL *ssl = SSL_new(context);
	int refused = !ssl || is_ruled_out(ssl);

	if (!ssl)
		sslerror("SSL_new");
	else if (refused)
		s_log(LOG_ERR,
		      "sslVersion = %s needs ciphers with @SECLEVEL=0: OpenSSL allows it at no "
		      "other",
		      SSL_get_version(ssl));
	SSL_free(ssl);
	return refused;
}

static int is_unexpected_end(void)
{
#if defined(SSL_R_UNEXPECTED_EOF_WHILE_READING)
	unsigned long error = ERR_peek_error();

	return ERR_GET_LIB(error) == ERR_LIB_SSL &&
	       ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
#else
	return 0;
#endif
}

int openssl_port_read(SSL *ssl, void *into, int most)
{
	int n = SSL_read(ssl, into, most);

	if (n > 0 || SSL_get_error(ssl, n) != SSL_ERROR_SSL || !is_unexpected_end())
		return n;
	ERR_clear_error();
	return 0;
}

const unsigned char *openssl_port_session_id(const SSL_SESSION *session)
{
	unsigned int length;

	return SSL_SESSION_get_id(session, &length);
}

unsigned int openssl_port_session_id_length(const SSL_SESSION *session)
{
	unsigned int length;

	SSL_SESSION_get_id(session, &length);
	return length;
}

int openssl_port_get_by_subject(X509_STORE_CTX *context, X509_LOOKUP_TYPE type,
				const X509_NAME *subject, struct openssl_port_object *object)
{
	X509_OBJECT *found = X509_OBJECT_new();
	int result = -1;

	object->data.x509 = NULL;
	if (found)
		result = X509_STORE_CTX_get_by_subject(context, type, subject, found);
	if (result > 0 && type == X509_LU_X509)
		object->data.x509 = X509_OBJECT_get0_X509(found);
	if (result > 0 && type == X509_LU_CRL) {
		object->data.crl = X509_OBJECT_get0_X509_CRL(found);
		X509_CRL_up_ref(object->data.crl);
	}
	X509_OBJECT_free(found);
	return result;
}

void openssl_port_free_object(struct openssl_port_object *object)
{
	X509_CRL_free(object->data.crl);
	object->data.crl = NULL;
}

X509_STORE_CTX *openssl_port_store_context(X509_STORE *store)
{
	X509_STORE_CTX *context = X509_STORE_CTX_new();

	if (context && !X509_STORE_CTX_init(context, store, NULL, NULL)) {
		X509_STORE_CTX_free(context);
		return NULL;
	}
	return context;
}
