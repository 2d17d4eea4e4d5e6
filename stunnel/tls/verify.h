/* SPDX-License-Identifier: ISC */
#ifndef TLS_VERIFY_H
#define TLS_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is asked of the peer's certificate; bits. */
enum tls_verify_bit {
	TLS_VERIFY_REQUEST = 1, /* a client is asked for one */
	TLS_VERIFY_REQUIRE = 2, /* and must have one */
	TLS_VERIFY_CHAIN = 4,	/* what it sends must lead to a trusted one */
	TLS_VERIFY_PEER = 8,	/* it must be among the trusted ones itself */
	/* Whoever fails is let in all the same, and tls_authenticated() says no. */
	TLS_VERIFY_REDIRECT = 16,
	TLS_VERIFY_ASK = 32,	/* an OCSP responder is asked whether it was revoked */
	TLS_VERIFY_ANSWER = 64, /* and only its answer lets the peer in */
};

struct tls_names {
	const char *const *item;
	size_t count;
};

/* The names outlive the context. */
struct tls_verify {
	unsigned bits; /* enum tls_verify_bit */
	const char *ca_file, *ca_path, *ca_store, *crl_file, *crl_path;
	struct tls_names host, email, ip; /* one of them all must be the certificate's */
};

struct tls_inquiry;
struct ssl_st;
struct x509_store_ctx_st;
struct X509_name_st;

/* What a session was looked for by; bits. */
enum tls_sought {
	TLS_SOUGHT_TICKET = 1,
	TLS_SOUGHT_CACHE = 2, /* in ours */
	TLS_SOUGHT_FOUND = 4, /* and there it was */
};

/* Who judges the certificates on one connection. It is the app data of the SSL. */
struct tls_judge {
	const struct tls_verify *verify; /* of the context that the connection has now */
	void (*say)(void *owner, int level, const char *text); /* a line for the log */
	void *owner;
	struct tls_inquiry *inquiry; /* who can be asked during the handshake; NULL: nobody */
	bool psk;		     /* a key that both ends have was found */
	unsigned tickets;	     /* that were issued */
	unsigned sought;	     /* enum tls_sought */
	int fault; /* with TLS_VERIFY_REDIRECT: X509_V_ERR_... of the first refused one, or 0 */
};

/* A distinguished name as the log has it: "C=PL, O=Example, CN=name". Cut at size. */
void tls_verify_name(const struct X509_name_st *name, char *text, size_t size);

/* OpenSSL's verify callback of every context: judges and tells each certificate of the peer. */
int tls_verify_certificate(int ok, struct x509_store_ctx_st *store);

#endif
