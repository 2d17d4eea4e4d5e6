/* SPDX-License-Identifier: ISC */
#ifndef TLS_PEER_H
#define TLS_PEER_H

#include "facts.h"
#include "tls_io.h"

/* After the handshake: fills the TLS part of facts, whose spans live as long as tls. */
void tls_facts(const struct tls *tls, struct facts *facts);

/* "TLSv1.3 ciphersuite: NAME (256-bit encryption)". */
void tls_describe(const struct tls *tls, char text[static 128]);

#endif
