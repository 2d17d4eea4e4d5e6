/* SPDX-License-Identifier: ISC */
/*
 * OpenSSL 3.0 makes a list of all decoders that might do, anew for each key, which is most of what
 * a key costs. A list for each common form is kept here, since some have ten thousand keys.
 */
#include "tls/key.h"

#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <string.h>

/* RFC 5958 names the algorithm inside; RFC 8017 and RFC 5915 have a form for one alone. */
static struct form {
	int nid; /* the algorithm in PKCS#8, or the label's */
	const char *label, *structure, *type;
	OSSL_DECODER_CTX *decoder;
} forms[] = {
	{NID_X9_62_id_ecPublicKey, PEM_STRING_PKCS8INF, "PrivateKeyInfo", "EC", NULL},
	{NID_rsaEncryption, PEM_STRING_PKCS8INF, "PrivateKeyInfo", "RSA", NULL},
	{NID_ED25519, PEM_STRING_PKCS8INF, "PrivateKeyInfo", "ED25519", NULL},
	{NID_undef, PEM_STRING_ECPRIVATEKEY, "type-specific", "EC", NULL},
	{NID_undef, PEM_STRING_RSA, "type-specific", "RSA", NULL},
};

#define FORMS (sizeof forms / sizeof forms[0])

static EVP_PKEY *decoded; /* where all decoders put their key */

static int algorithm_of(const char *label, const unsigned char *der, long len)
{
	const ASN1_OBJECT *algorithm = NULL;
	PKCS8_PRIV_KEY_INFO *info = NULL;
	int nid = NID_undef;

	if (!strcmp(label, PEM_STRING_PKCS8INF))
		info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &der, len);
	if (info && PKCS8_pkey_get0(&algorithm, NULL, NULL, NULL, info) == 1)
		nid = OBJ_obj2nid(algorithm);
	PKCS8_PRIV_KEY_INFO_free(info);
	return nid;
}

static struct form *form_of(const char *label, const unsigned char *der, long len)
{
	int nid = algorithm_of(label, der, len);

	for (size_t i = 0; i < FORMS; i++)
		if (forms[i].nid == nid && !strcmp(forms[i].label, label))
			return &forms[i];
	return NULL;
}

static EVP_PKEY *decode(struct form *form, const unsigned char *der, size_t len)
{
	EVP_PKEY *key;

	if (!form->decoder)
		form->decoder = OSSL_DECODER_CTX_new_for_pkey(
			&decoded, "DER", form->structure, form->type, EVP_PKEY_KEYPAIR, NULL, NULL);
	if (!form->decoder || OSSL_DECODER_from_data(form->decoder, &der, &len) != 1) {
		EVP_PKEY_free(decoded);
		decoded = NULL;
	}
	key = decoded;
	decoded = NULL;
	return key;
}

/* What stands in front of a key; anything else may be a key of a provider's. */
static bool is_no_key(const char *label)
{
	return !strcmp(label, PEM_STRING_X509) || !strcmp(label, PEM_STRING_X509_TRUSTED) ||
	       !strcmp(label, PEM_STRING_ECPARAMETERS) || !strcmp(label, PEM_STRING_DHPARAMS);
}

struct evp_pkey_st *tls_key_plain(struct bio_st *pem)
{
	char *label, *header;
	unsigned char *der;
	EVP_PKEY *key = NULL;
	bool found = false;
	long len;

	while (!found && PEM_read_bio(pem, &label, &header, &der, &len) == 1) {
		struct form *form = NULL;

		found = !is_no_key(label);
		if (found && !*header)
			form = form_of(label, der, len);
		if (form)
			key = decode(form, der, (size_t)len);
		OPENSSL_free(label);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)len);
	}
	ERR_clear_error();
	return key;
}

void tls_key_forget(void)
{
	for (size_t i = 0; i < FORMS; i++) {
		OSSL_DECODER_CTX_free(forms[i].decoder);
		forms[i].decoder = NULL;
	}
}
