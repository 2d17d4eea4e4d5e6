/* SPDX-License-Identifier: ISC */
#include "tls/ntlm.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

#define HASH_BYTES 16
#define BLOCK 8

/* Fetched from a library context of their own, so that TLS never gets what is in it. */
static EVP_MD *md4;
static EVP_CIPHER *des;

const char *tls_ntlm_open(void)
{
	OSSL_LIB_CTX *library;

	if (EVP_default_properties_is_fips_enabled(NULL))
		return "FIPS mode has no NTLM: it takes MD4 and DES";
	if (md4 && des)
		return NULL;
	library = OSSL_LIB_CTX_new();
	if (library && OSSL_PROVIDER_load(library, "legacy")) {
		md4 = EVP_MD_fetch(library, "MD4", NULL);
		des = EVP_CIPHER_fetch(library, "DES-ECB", NULL);
	}
	ERR_clear_error();
	if (md4 && des)
		return NULL; /* both need the context as long as the process lives */
	EVP_MD_free(md4);
	EVP_CIPHER_free(des);
	md4 = NULL;
	des = NULL;
	OSSL_LIB_CTX_free(library);
	return "NTLM takes MD4 and DES of OpenSSL's legacy provider, which cannot be loaded";
}

/* NTOWFv1: MD4 of the password as UTF-16LE. */
static bool hash_password(const char *password, unsigned char hash[static HASH_BYTES])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md && EVP_DigestInit_ex2(md, md4, NULL) == 1;

	for (; ok && *password; password++)
		ok = EVP_DigestUpdate(md, (const char[]){*password, '\0'}, 2) == 1;
	ok = ok && EVP_DigestFinal_ex(md, hash, NULL) == 1;
	EVP_MD_CTX_free(md);
	return ok;
}

/* One block of DES under 56 bits, which lie in the upper seven of each byte of DES's key. */
static bool encrypt(const unsigned char bits[static 7], const unsigned char block[static BLOCK],
		    unsigned char out[static BLOCK])
{
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	unsigned char key[BLOCK];
	int len;
	bool ok;

	for (unsigned i = 0; i < BLOCK; i++) {
		unsigned above = i == 0 ? 0 : bits[i - 1], below = i == 7 ? 0 : bits[i];

		key[i] = (unsigned char)((above << (8 - i) | below >> i) & 0xfe);
	}
	ok = cipher && EVP_EncryptInit_ex2(cipher, des, key, NULL, NULL) == 1 &&
	     EVP_CIPHER_CTX_set_padding(cipher, 0) == 1 &&
	     EVP_EncryptUpdate(cipher, out, &len, block, BLOCK) == 1 && len == BLOCK;
	EVP_CIPHER_CTX_free(cipher);
	OPENSSL_cleanse(key, sizeof key);
	return ok;
}

bool tls_ntlm_respond(const char *password,
		      const unsigned char challenge[static TLS_NTLM_CHALLENGE],
		      unsigned char response[static TLS_NTLM_RESPONSE])
{
	unsigned char keys[3 * 7] = {0}; /* the hash, filled up with zeros */
	bool ok = md4 && des && hash_password(password, keys);

	for (size_t i = 0; ok && i < 3; i++)
		ok = encrypt(keys + 7 * i, challenge, response + BLOCK * i);
	OPENSSL_cleanse(keys, sizeof keys);
	ERR_clear_error();
	return ok;
}
