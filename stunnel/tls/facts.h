/* SPDX-License-Identifier: ISC */
#ifndef TLS_FACTS_H
#define TLS_FACTS_H

#include <stdbool.h>

#include "core/facts.h"
#include "core/proxy.h"
#include "core/template.h"

/*
 * What OpenSSL knows of a server's connection, as the core's facts. The one file beside core/ that
 * the daemon and a patched stock share.
 */

#define TLS_WHY_MAX 512

struct ssl_st;

/* How certificates of clients are judged on a connection. */
struct tls_judging {
	bool judged;	  /* false: OpenSSL's result of the verification does not count */
	bool leads_to_ca; /* the chain that OpenSSL built must end in a trusted certificate */
	bool pinned;	  /* the leaf itself is trusted: who issued it is of no account */
};

struct tls_cert_block;

/* Memory that spans of facts point at, beside OpenSSL's. Zeroed: none. */
struct tls_kept {
	char key_alg[32];
	struct tls_cert_block *cert;
};

void tls_facts_free(struct tls_kept *kept);

/*
 * After the handshake: fills the TLS part of facts but for sni, whose spans live as long as ssl and
 * kept. texts (enum facts_cert_text) are made of the client's certificate; without any it counts as
 * none. False with the reason in why if one is longer than a header may have.
 */
bool tls_facts(struct ssl_st *ssl, struct tls_judging judging, unsigned texts, struct facts *facts,
	       struct tls_kept *kept, char why[static TLS_WHY_MAX]);

/* Likewise what PROXY headers tell of our certificate and of the handshake. */
void tls_facts_own(struct ssl_st *ssl, struct facts *facts, struct tls_kept *kept);

/* The server name that a client sent, as a fact: nothing if it is NULL or too long for one. */
struct span tls_facts_server_name(const char *name);

#endif
