/* SPDX-License-Identifier: ISC */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tls/bio.h"
#include "tls/ctx.h"
#include "tls/facts.h"
#include "tls/inquiry.h"
#include "tls/record_size.h"

struct ssl_st;

/*
 * The server name asks for a context: returns the one to go on with, or NULL to stay with the
 * present one. name is NULL if the client sent none.
 */
typedef struct tls_ctx *tls_choose_fn(void *owner, const char *name);

/* What the owner of a connection does for its TLS. */
struct tls_calls {
	tls_choose_fn *choose; /* of a server; a client's contexts never call it */
	void (*say)(void *owner, int level, const char *text); /* a line for the log */
	/* Of struct tls_inquiry; the handshake waits for their answers after tls_may_ask(). */
	bool (*ask)(void *owner, const struct stack_st_X509 *chain);
	bool (*remote)(void *owner, const struct tls_remote *request); /* of a server */
	/*
	 * Of a server, after tls_may_pass() and behind choose(): the client offers this protocol by
	 * ALPN, and no other. True: its handshake is somebody else's (TLS_PASSED).
	 */
	bool (*pass)(void *owner, struct span protocol);
};

enum tls_state {
	TLS_LIVE = 0,
	TLS_TOLD_END, /* close_notify was written */
	TLS_DEAD,     /* after a fatal error, with which OpenSSL mostly sent an alert */
	TLS_REFUSED,  /* we end the connection without an alert */
};

/* An alert of RFC 8446 6; zeroed: none has come up. */
struct tls_alert {
	bool any;
	bool sent; /* by us; else by the peer */
	unsigned char code;
};

/* One connection's TLS over a non-blocking socket, which stays the caller's. Zeroed: none. */
struct tls {
	struct tls_judge judge; /* the first member, and so what OpenSSL's callbacks get */
	struct ssl_st *ssl;
	const struct tls_calls *calls;
	struct tls_inquiry inquiry;
	struct tls_record_size record_size;
	struct tls_bio bio;
	struct tls_kept kept; /* what the connection's facts point at */
	char *sni;	      /* what the ClientHello named, or NULL */
	enum tls_state state;
	struct tls_alert alert; /* the first one of the handshake */
	const char *refusal;	/* of TLS_REFUSED */
	bool passed;		/* by tls_calls.pass; TLS_REFUSED as well */
	unsigned messages;	/* that came after the handshake, in the second messages_since */
	int64_t messages_since; /* whole seconds on the monotonic clock */
};

/* What the functions below return if it is not a count of bytes. */
enum {
	TLS_AGAIN = -1, /* wait for the socket */
	TLS_END = 0,	/* close_notify came */
	TLS_CUT = -2,	/* the peer's socket ended without one; it may still read */
	TLS_FAILED = -3,
	TLS_PLAIN = -4,	 /* tls_handshake() of a server only: the client does not speak TLS, and was
			    sent nothing */
	TLS_PASSED = -5, /* tls_handshake() of a server only, and nothing was sent: tls_heard() */
};

/*
 * Begins on a socket, which is both `in` and `out`, or on a descriptor for each direction, as the
 * context's side of the two; false if memory ran out. `tls` must not move any more.
 */
bool tls_open(struct tls *tls, struct tls_ctx *ctx, int in, int out, const struct tls_calls *calls,
	      void *owner);
void tls_free(struct tls *tls);

/* Before a client's handshake: it resumes the last session with this address, if there is one. */
void tls_resume(struct tls *tls, const char *peer);

/*
 * Goes on with the handshake. 1: done; else TLS_..., and in why the reason of TLS_FAILED or
 * TLS_PLAIN in stock's words.
 */
int tls_handshake(struct tls *tls, char why[static TLS_WHY_MAX]);

/*
 * Before a server's handshake: tls_calls.pass may be called at the first ClientHello, until which
 * all bytes that come are kept. tls_heard() are those behind TLS_PASSED, as long as *tls lives.
 */
void tls_may_pass(struct tls *tls);
struct span tls_heard(const struct tls *tls);

/* Before the handshake: tls_calls.ask, and .remote for a session, may be called in it. */
void tls_may_ask(struct tls *tls);

/*
 * Whether the handshake waits for the answer to tls_calls.ask or .remote, whatever the socket does.
 * Then tls_handshake() is called again behind tls_answer() or tls_found(), and not before. The
 * answer has to last until that call returns.
 */
bool tls_asks(const struct tls *tls);
void tls_answer(struct tls *tls, const struct tls_ocsp_answer *answer);
void tls_found(struct tls *tls, const unsigned char *session, size_t len); /* 0: nothing */

/* After the handshake: what its keys come from, in the words of stock's log. */
const char *tls_origin(const struct tls *tls);

/*
 * After a server's handshake: tls_facts(), with the server name, and if `own` tls_facts_own(): see
 * there.
 */
bool tls_tell_facts(struct tls *tls, unsigned texts, bool own, struct facts *facts,
		    char why[static TLS_WHY_MAX]);

/*
 * Whether the peer has shown a certificate that its verification accepted, in this handshake or in
 * the one whose session it resumes. To be asked behind the handshake, with TLS_VERIFY_REDIRECT.
 */
bool tls_authenticated(const struct tls *tls);

/* The names in the peer's certificate as the log has them; false without a certificate. */
bool tls_peer_names(const struct tls *tls, char subject[static TLS_WHY_MAX],
		    char issuer[static TLS_WHY_MAX]);

/* What a handshake came to, as OpenSSL names it. */
struct tls_outcome {
	const char *version, *cipher;
	const char *group; /* of the key exchange; NULL: none, or not known */
	bool resumed;
	unsigned tickets; /* that were issued to the client */
	unsigned sought;  /* enum tls_sought: how a session was looked for */
};

struct tls_outcome tls_outcome(const struct tls *tls);

/* "TLSv1.3 ciphersuite: NAME (256-bit encryption)". */
void tls_describe(const struct tls *tls, char text[static 128]);

/* Bytes read or written, at least 1, or one of the above with the reason of TLS_FAILED in why. */
ssize_t tls_read(struct tls *tls, char *p, size_t len, char why[static TLS_WHY_MAX]);
ssize_t tls_write(struct tls *tls, const char *p, size_t len, char why[static TLS_WHY_MAX]);

/*
 * tls_write() may have taken bytes that the socket did not: they are kept, and no more are taken
 * (TLS_AGAIN) until they have gone. An answer to a KeyUpdate, given in tls_read(), may be kept too.
 * While tls_keeps(), wait for the socket to be writable and flush.
 */
bool tls_keeps(const struct tls *tls);

/*
 * Whether a last flight for which the peer does not wait goes with what is written next, as one
 * packet. tls_keeps() does not tell of it: flush where nothing is about to be written.
 */
bool tls_holds(const struct tls *tls);

/* 1 when nothing is kept or held any more; TLS_AGAIN, or TLS_FAILED with the reason in why. */
int tls_flush(struct tls *tls, char why[static TLS_WHY_MAX]);

/*
 * Sends close_notify behind what is kept: 1 when the socket has taken all of it, TLS_AGAIN: call
 * again when the socket is writable (or readable, if tls_midway()), or TLS_FAILED: it will not be
 * sent.
 */
int tls_shutdown(struct tls *tls);

/*
 * Whether the peer is in the middle of a handshake message that may not be interrupted (RFC 8446
 * 5.1): nothing new can be written before tls_read() has got the rest of it.
 */
bool tls_midway(const struct tls *tls);

/* Bytes that were taken from the socket and not read yet: no poll event will tell of them. */
bool tls_pending(const struct tls *tls);

/* Whether the tls_handshake() that has just returned TLS_AGAIN waits for the socket to be writable.
 */
bool tls_wants_write(const struct tls *tls);

#endif
