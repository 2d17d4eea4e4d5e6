/* SPDX-License-Identifier: ISC */
#ifndef TLS_STORE_H
#define TLS_STORE_H

#include <stdbool.h>

#include "tls/facts.h"

/* What providers of OpenSSL keep behind a URI (ossl_store(7)): files, PKCS#11 tokens. */

struct stack_st_X509;
struct evp_pkey_st;

/* Whether a name is a URI, SCHEME:..., and no file. */
bool tls_store_is_uri(const char *name);

/*
 * Adds the certificates behind a URI to a list, in order, and sets *key (NULL: not wanted), which
 * the caller frees, to the first private key. A PIN is got as tls/secret.h says. False if it cannot
 * be opened or read, with the reason in why.
 */
bool tls_store_load(const char *uri, struct stack_st_X509 *certs, struct evp_pkey_st **key,
		    char why[static TLS_WHY_MAX]);

#endif
