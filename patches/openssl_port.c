/* SPDX-License-Identifier: ISC */
#include "common.h"
#include "prototypes.h"

#undef SSL_read

static int is_unexpected_end(void)
{
#ifdef SSL_R_UNEXPECTED_EOF_WHILE_READING
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
