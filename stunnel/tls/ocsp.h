/* SPDX-License-Identifier: ISC */
#ifndef TLS_OCSP_H
#define TLS_OCSP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/facts.h"

/*
 * Whether a peer's certificate was revoked, as a responder says (RFC 6960). The process that has
 * the connection packs a question; another one, which may wait for responders, gets the verdict.
 */

/* Whom to ask whether a peer's certificate was revoked; zeroed: nobody. */
struct tls_ocsp {
	const char *url; /* of a responder; NULL: none */
	bool aia;	 /* the responders that certificates of the chain name are asked as well */
	bool nonce;
	unsigned flags; /* of OCSP_basic_verify() */
};

#define TLS_OCSP_QUESTION_MAX 65536 /* bytes */

enum tls_ocsp_verdict {
	TLS_OCSP_INCONCLUSIVE = 0, /* no answer, or none that proves anything */
	TLS_OCSP_GOOD,
	TLS_OCSP_REVOKED,
};

/* What came of a question. */
struct tls_ocsp_answer {
	enum tls_ocsp_verdict verdict;
	int depth;	       /* in the chain, of the certificate that the verdict is about */
	int64_t seconds;       /* for which it may be kept */
	int64_t valid;	       /* seconds until its end; 0: it names none */
	char why[TLS_WHY_MAX]; /* of TLS_OCSP_INCONCLUSIVE */
};

/* The bit of a name of OCSPflag, any case; false if unknown. */
bool tls_ocsp_flag(const char *name, unsigned *bit);

/* Whether a responder can be asked at the URL: http://HOST[:PORT][/PATH]. */
bool tls_ocsp_is_url(const char *url);

struct ssl_ctx_st;
struct stack_st_X509;
struct x509_st;

/* Whether the certificate names a responder. */
bool tls_ocsp_is_named(struct x509_st *cert);

/* The verified chain of a peer, packed; its length, 0 if it is too long. */
size_t tls_ocsp_question(const struct stack_st_X509 *chain,
			 unsigned char question[static TLS_OCSP_QUESTION_MAX]);

/* An answer as it came, in DER. */
struct tls_ocsp_der {
	unsigned char *p;
	size_t len;
};

/*
 * Asks the responders that the first certificate of the chain names, whose issuer is the second,
 * and trusts the issuer. A good answer is in *der then, for the caller to free by OPENSSL_free().
 */
void tls_ocsp_fetch(struct stack_st_X509 *chain, int seconds, struct tls_ocsp_answer *answer,
		    struct tls_ocsp_der *der);

/* Likewise judges an answer that somebody else has fetched. */
void tls_ocsp_read(struct stack_st_X509 *chain, const struct tls_ocsp_der *der,
		   struct tls_ocsp_answer *answer);

/* Whether it is an answer at all. */
bool tls_ocsp_is_response(const struct tls_ocsp_der *der);

/* How long responders are waited for, in seconds; 0: for ever. */
struct tls_ocsp_patience {
	int each; /* for one of them */
	int all;  /* until no further one is asked */
};

/*
 * Asks about each certificate of the chain but the root: the leaf's responders are those that
 * `ocsp` and the leaf name, an intermediate's those that it names itself. Each is asked one after
 * the other until one gives a conclusive answer that the context trusts. A chain is good if all of
 * it is, and an intermediate without a responder does not count.
 */
void tls_ocsp_ask(const struct ssl_ctx_st *ctx, const struct tls_ocsp *ocsp,
		  const unsigned char *question, size_t len,
		  const struct tls_ocsp_patience *patience, struct tls_ocsp_answer *answer);

#endif
