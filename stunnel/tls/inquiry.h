/* SPDX-License-Identifier: ISC */
#ifndef TLS_INQUIRY_H
#define TLS_INQUIRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/ocsp.h"

struct ssl_st;
struct stack_st_X509;

/* What whoever keeps a server's sessions elsewhere is told, or asked. */
struct tls_remote {
	enum tls_remote_verb {
		TLS_REMOTE_NEW = 0,
		TLS_REMOTE_GET,
		TLS_REMOTE_REMOVE,
	} verb;
	const unsigned char *id; /* of the session */
	size_t id_len;		 /* bytes, at most 32 */
	/* Of TLS_REMOTE_NEW: */
	long seconds; /* for which the session can be resumed */
	const unsigned char *session;
	size_t len;
};

/*
 * A question in the middle of a handshake: has the peer's certificate been revoked, or is there a
 * session that it may resume? OpenSSL lets only clients suspend the verification of a certificate,
 * but runs a handshake, of either end, as a job with a stack of its own, which can be suspended
 * anywhere. So the peer gets an alert, and not a word before the verdict.
 */
struct tls_inquiry {
	/*
	 * Sends the question about the verified chain off, so that tls_inquiry_answer() will be
	 * called later; false: it cannot be sent.
	 */
	bool (*ask)(void *owner, const struct stack_st_X509 *chain);
	/*
	 * Sends a request off; after TLS_REMOTE_GET tls_inquiry_found() will be called later.
	 * False: it cannot be sent.
	 */
	bool (*remote)(void *owner, const struct tls_remote *request);
	bool waits; /* the handshake is suspended: it must not go on before the answer */
	const struct tls_ocsp_answer *answer;
	int64_t until; /* tls_clock_seconds() for which the answer counts; 0: there was none */
	const unsigned char *session; /* that was found, while the handshake takes it */
	size_t session_len;
};

/* Whether OpenSSL can suspend handshakes on this system. */
bool tls_inquiry_possible(void);

/* Before the handshake: it can be suspended. */
void tls_inquiry_begin(struct ssl_st *ssl);

/* Behind the handshake: nothing is asked any more. */
void tls_inquiry_end(struct ssl_st *ssl);

/* In the handshake: asks, and suspends it until the answer. NULL: nobody can be asked. */
const struct tls_ocsp_answer *tls_inquiry_make(struct tls_inquiry *inquiry, void *owner,
					       const struct stack_st_X509 *chain);

/* The answer, which has to last until the handshake has gone on. */
void tls_inquiry_answer(struct tls_inquiry *inquiry, const struct tls_ocsp_answer *answer);

/*
 * In the handshake: asks for the session of that id, and suspends it until the answer: *len
 * bytes, which last until the handshake goes on to wait, or NULL.
 */
const unsigned char *tls_inquiry_get(struct tls_inquiry *inquiry, void *owner,
				     const unsigned char *id, size_t id_len, size_t *len);

/* The session, which has to last until the handshake has gone on; a length of 0: there is none. */
void tls_inquiry_found(struct tls_inquiry *inquiry, const unsigned char *session, size_t len);

/*
 * Before SSL_free(), which does not free a suspended handshake: lets it go on to its failure. The
 * caller sees to it that it can neither read nor write.
 */
void tls_inquiry_abandon(struct tls_inquiry *inquiry, struct ssl_st *ssl);

/* Seconds, at most `most`, for which what was found out about a peer still counts. */
int64_t tls_inquiry_life(const struct tls_inquiry *inquiry, int64_t most);

#endif
