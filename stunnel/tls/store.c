/* SPDX-License-Identifier: ISC */
#include "tls/store.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "tls/secret.h"

/* One attempt to read what is behind a URI; asked: a PIN or pass phrase was wanted. */
struct attempt {
	const char *uri;
	STACK_OF(X509) * certs;
	EVP_PKEY **key;
	struct tls_secret_offer offer;
	char *why; /* TLS_WHY_MAX bytes */
};

bool tls_store_is_uri(const char *name)
{
	static const char scheme[] = "abcdefghijklmnopqrstuvwxyz0123456789+.-"; /* RFC 3986 3.1 */
	size_t len = 0;

	while (name[len] && strchr(scheme, tolower((unsigned char)name[len])))
		len++;
	return len > 1 && name[len] == ':' && access(name, F_OK) != 0;
}

static bool take(struct attempt *a, const OSSL_STORE_INFO *info)
{
	switch (OSSL_STORE_INFO_get_type(info)) {
	case OSSL_STORE_INFO_CERT: {
		X509 *cert = OSSL_STORE_INFO_get1_CERT(info);

		if (cert && sk_X509_push(a->certs, cert) > 0)
			return true;
		X509_free(cert);
		return false;
	}
	case OSSL_STORE_INFO_PKEY:
		if (a->key && !*a->key)
			*a->key = OSSL_STORE_INFO_get1_PKEY(info);
		return true;
	default:
		return true;
	}
}

/* Takes all that is behind the URI; a folder's files are URIs of their own. */
static bool read_store(struct attempt *a, const char *uri, UI_METHOD *ui, bool folders)
{
	OSSL_STORE_CTX *store = OSSL_STORE_open(uri, ui, &a->offer, NULL, NULL);
	bool ok = store != NULL;

	/* Where no key is wanted, none is decrypted, and no PIN is asked for. */
	if (ok && !a->key && !folders)
		ok = OSSL_STORE_expect(store, OSSL_STORE_INFO_CERT) == 1;
	while (ok && !OSSL_STORE_eof(store)) {
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);

		if (!info)
			ok = OSSL_STORE_eof(store) || !OSSL_STORE_error(store);
		else if (OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_NAME && folders)
			read_store(a, OSSL_STORE_INFO_get0_NAME(info), ui, false);
		else
			ok = take(a, info);
		OSSL_STORE_INFO_free(info);
	}
	OSSL_STORE_close(store);
	return ok;
}

static void forget(struct attempt *a)
{
	X509 *cert;

	while ((cert = sk_X509_pop(a->certs)) != NULL)
		X509_free(cert);
	if (a->key) {
		EVP_PKEY_free(*a->key);
		*a->key = NULL;
	}
}

/* OpenSSL tries any URI as a file's name first, of which only a file's is to be told. */
static void explain(const char *uri, char why[static TLS_WHY_MAX])
{
	bool is_file = !strncasecmp(uri, "file:", 5);
	const char *reason = NULL;
	unsigned long error;

	while ((error = ERR_get_error()) != 0)
		if (!ERR_SYSTEM_ERROR(error))
			reason = reason ? reason : ERR_reason_error_string(error);
		else if (is_file)
			reason = strerror(ERR_GET_REASON(error));
	snprintf(why, TLS_WHY_MAX, "%.200s", reason ? reason : "it cannot be read");
}

static enum tls_secret_try try_store(void *arg, const char *phrase)
{
	struct attempt *a = arg;
	UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(tls_secret_give, 0);
	bool ok;

	a->offer.phrase = phrase;
	a->offer.asked = false;
	ERR_clear_error();
	ok = ui && read_store(a, a->uri, ui, true);
	UI_destroy_method(ui);
	if (ok && (!a->offer.asked || phrase)) {
		ERR_clear_error();
		return TLS_SECRET_FITS;
	}
	explain(a->uri, a->why);
	forget(a);
	return a->offer.asked ? TLS_SECRET_WRONG : TLS_SECRET_VAIN;
}

bool tls_store_load(const char *uri, struct stack_st_X509 *certs, struct evp_pkey_st **key,
		    char why[static TLS_WHY_MAX])
{
	struct attempt a = {.uri = uri, .certs = certs, .key = key, .why = why};
	enum tls_secret_try result = try_store(&a, NULL);

	if (result == TLS_SECRET_WRONG)
		return tls_secret_open(uri, try_store, &a, why);
	return result == TLS_SECRET_FITS;
}
