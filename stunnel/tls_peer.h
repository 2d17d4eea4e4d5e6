/* SPDX-License-Identifier: ISC */
#ifndef TLS_PEER_H
#define TLS_PEER_H

#include "facts.h"
#include "tls_io.h"

struct x509_store_ctx_st;

/* OpenSSL's verify callback of every context: judges and tells each certificate of the client. */
int tls_peer_verify(int ok, struct x509_store_ctx_st *store);

/*
 * After the handshake: fills the TLS part of facts, whose spans live as long as tls. cert_texts
 * (enum tls_cert_text) are made of the client's certificate; without any it counts as none. False
 * with the reason in why if one is longer than a header may have.
 */
bool tls_facts(struct tls *tls, unsigned cert_texts, struct facts *facts,
	       char why[static TLS_WHY_MAX]);

/* Likewise what PROXY headers tell of our certificate and of the handshake. */
void tls_own_facts(struct tls *tls, struct facts *facts);

/* "TLSv1.3 ciphersuite: NAME (256-bit encryption)". */
void tls_describe(const struct tls *tls, char text[static 128]);

#endif
