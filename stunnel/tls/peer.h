/* SPDX-License-Identifier: ISC */
#ifndef TLS_PEER_H
#define TLS_PEER_H

#include "core/facts.h"
#include "tls/tls.h"

struct x509_store_ctx_st;

/* OpenSSL's verify callback of every context: judges and tells each certificate of the client. */
int tls_peer_verify(int ok, struct x509_store_ctx_st *store);

/* tls_facts() and, if `own`, tls_own_facts() of a connection: see there. */
bool tls_peer_facts(struct tls *tls, unsigned texts, bool own, struct facts *facts,
		    char why[static TLS_WHY_MAX]);

/* "TLSv1.3 ciphersuite: NAME (256-bit encryption)". */
void tls_describe(const struct tls *tls, char text[static 128]);

#endif
