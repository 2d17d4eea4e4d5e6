/* SPDX-License-Identifier: ISC */
/*
 * The traps of non-blocking TLS, explained once:
 *
 * A read may have to write the answer to a KeyUpdate at any time, even in the middle of another
 * write. bio.c therefore takes every record whole, and no read ever waits for a write to finish.
 * Bytes that the socket did not take are the owner's to flush: tls_keeps(), tls_flush().
 *
 * A write must read first while a post-handshake message of the peer's (RFC 8446 4.6) has come
 * only in part: tls_midway().
 *
 * A record can hold more than a read asked for. No poll event tells of the rest, which is inside
 * OpenSSL: the owner asks tls_pending() before it sleeps.
 *
 * SSL_read() goes on while records without application data come, with which a peer could keep
 * the worker busy: the socket's reads in one call are limited, and so are post-handshake messages.
 */
#include "tls/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sys/log.h"
#include "tls/library.h"
#include "tls/resume.h"

/* Reads of the socket in one tls_read(): a record in pieces is mostly complete with the second. */
#define READS_MAX 4

/* Post-handshake messages that a peer may send on one connection within one second. */
#define MESSAGES_MAX 100

/* Ends the connection from inside a callback: OpenSSL's next read or write of the BIO fails. */
static void refuse(struct tls *tls, const char *refusal)
{
	tls->bio.state = TLS_BIO_REFUSES;
	tls->state = TLS_REFUSED;
	tls->refusal = refusal;
}

/* The host_name of a server_name extension (RFC 6066 3), or NULL. The caller frees it. */
static char *server_name(SSL *ssl)
{
	const unsigned char *p;
	size_t len, name_len;

	if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &len) || len < 5)
		return NULL;
	name_len = (size_t)p[3] << 8 | p[4];
	if ((size_t)(p[0] << 8 | p[1]) != len - 2 || p[2] != TLSEXT_NAMETYPE_host_name)
		return NULL;
	if (name_len != len - 5 || name_len > TLSEXT_MAXLEN_host_name || memchr(p + 5, 0, name_len))
		return NULL; /* OpenSSL itself ends the handshake for such an extension */
	return strndup((const char *)p + 5, name_len);
}

/* The protocol of an ALPN extension that offers one alone (RFC 7301 3.1), or an empty span. */
static struct span only_protocol(SSL *ssl)
{
	const unsigned char *p;
	size_t len;

	if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &p,
				       &len) ||
	    len < 4 || (size_t)(p[0] << 8 | p[1]) != len - 2 || p[2] != len - 3)
		return (struct span){0};
	return span_of((const char *)p + 3, p[2]);
}

/* Whether somebody else is to answer the hello; what was heard is dropped if nobody is. */
static bool passes(struct tls *tls)
{
	struct span protocol = only_protocol(tls->ssl);

	tls->passed = tls->bio.copies && protocol.len != 0 &&
		      tls->calls->pass(tls->judge.owner, protocol);
	if (!tls->passed)
		tls_bio_drop_copy(&tls->bio);
	return tls->passed;
}

static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
	struct tls *tls = SSL_get_app_data(ssl);
	struct tls_ctx *ctx;

	(void)arg;
	if (tls->bio.state != TLS_BIO_GATHERS) /* a renegotiation leads nowhere else */
		return SSL_CLIENT_HELLO_SUCCESS;
	free(tls->sni); /* a second ClientHello follows a HelloRetryRequest */
	tls->sni = server_name(ssl);
	ctx = tls->calls->choose(tls->judge.owner, tls->sni);
	if (passes(tls)) {
		refuse(tls, "The handshake is another program's");
		return SSL_CLIENT_HELLO_ERROR;
	}
	if (!ctx)
		return SSL_CLIENT_HELLO_SUCCESS;
	if (!tls_ctx_switch(ctx, ssl)) {
		*alert = SSL_AD_INTERNAL_ERROR;
		return SSL_CLIENT_HELLO_ERROR;
	}
	tls->judge.verify = tls_ctx_verify(ctx);
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* Tells the name that a client sends, in stock's words. */
static void say_server_name(const struct tls *tls)
{
	const char *name = SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name);
	char text[TLS_WHY_MAX];

	snprintf(text, sizeof text,
		 name ? "SNI: sending servername: %s" : "SNI: extension disabled", name);
	tls->calls->say(tls->judge.owner, LOG_INFO, text);
}

static void on_info(const SSL *ssl, int where, int value)
{
	struct tls *tls = SSL_get_app_data(ssl);

	if ((where & SSL_CB_ALERT) && !tls->alert.any)
		tls->alert = (struct tls_alert){true, where & SSL_CB_WRITE, (unsigned char)value};
}

bool tls_open(struct tls *tls, struct tls_ctx *ctx, int in, int out, const struct tls_calls *calls,
	      void *owner)
{
	BIO *bio;

	*tls = (struct tls){.calls = calls};
	tls->judge.verify = tls_ctx_verify(ctx);
	tls->judge.say = calls->say;
	tls->judge.owner = owner;
	tls->inquiry.ask = calls->ask;
	tls->inquiry.remote = calls->remote;
	tls->judge.inquiry = &tls->inquiry;
	tls->ssl = tls_ctx_connection(ctx, on_client_hello);
	bio = tls_bio_open(&tls->bio, in, out);
	if (!tls->ssl || !bio || SSL_set_app_data(tls->ssl, tls) != 1) {
		BIO_free(bio);
		tls_free(tls);
		return false;
	}
	SSL_set_bio(tls->ssl, bio, bio);
	SSL_set_info_callback(tls->ssl, on_info);
	if (SSL_is_server(tls->ssl)) {
		SSL_set_accept_state(tls->ssl);
	} else {
		SSL_set_connect_state(tls->ssl);
		say_server_name(tls);
	}
	calls->say(owner, LOG_INFO,
		   tls->judge.verify->bits & TLS_VERIFY_REQUIRE ? "Peer certificate required"
								: "Peer certificate not required");
	return true;
}

void tls_resume(struct tls *tls, const char *peer)
{
	tls_resume_offer(tls->ssl, peer);
}

static void say_nothing(void *owner, int level, const char *text)
{
	(void)owner, (void)level, (void)text;
}

/* The owner, who is closing, hears no verdict any more. */
static void abandon(struct tls *tls)
{
	tls->judge.say = say_nothing;
	tls->bio.state = TLS_BIO_REFUSES;
	tls_inquiry_abandon(&tls->inquiry, tls->ssl);
}

void tls_free(struct tls *tls)
{
	if (tls_asks(tls))
		abandon(tls);
	/*
	 * A peer that goes without close_notify may resume its session (RFC 5246 7.2.1). After a
	 * fatal alert OpenSSL has already made that impossible.
	 */
	if (tls->ssl)
		SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(tls->ssl);
	tls_bio_close(&tls->bio);
	free(tls->sni);
	tls_facts_free(&tls->kept);
	*tls = (struct tls){0};
}

/* The TLS_... result of a failed OpenSSL call, with the reason in why; empties the error queue. */
static int explain(struct tls *tls, int rc, int saved_errno, const char *call,
		   char why[static TLS_WHY_MAX])
{
	char reason[TLS_WHY_MAX];
	int kind = SSL_get_error(tls->ssl, rc);

	if (tls->state == TLS_REFUSED) {
		snprintf(why, TLS_WHY_MAX, "%s: %s", call, tls->refusal);
		ERR_clear_error();
		return TLS_FAILED;
	}
	if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE ||
	    kind == SSL_ERROR_WANT_ASYNC)
		return TLS_AGAIN;
	if (kind == SSL_ERROR_ZERO_RETURN)
		return TLS_END;
	tls->state = TLS_DEAD;
	if (kind == SSL_ERROR_SYSCALL && saved_errno != 0) {
		snprintf(why, TLS_WHY_MAX, "%s: %s (%d)", call, strerror(saved_errno), saved_errno);
		ERR_clear_error();
		return TLS_FAILED;
	}
	tls_library_error(reason);
	snprintf(why, TLS_WHY_MAX, "%s: %.400s", call, reason);
	return TLS_FAILED;
}

/* --- what a peer may ask for ------------------------------------------------------------------ */

static int64_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/*
 * Counts the peer's messages after the handshake. A KeyUpdate (RFC 8446 4.6.3) costs us new keys
 * and often an answer, a TLS 1.2 renegotiation an alert, and the peer next to nothing.
 */
static void on_message(int sent, int version, int type, const void *p, size_t len, SSL *ssl,
		       void *arg)
{
	struct tls *tls = arg;
	int64_t now;

	(void)version, (void)p, (void)len, (void)ssl;
	if (type != (sent ? SSL3_RT_ALERT : SSL3_RT_HANDSHAKE))
		return;
	now = seconds();
	if (now != tls->messages_since)
		tls->messages = 0;
	tls->messages_since = now;
	if (++tls->messages > MESSAGES_MAX)
		refuse(tls, "The peer sends more than 100 KeyUpdates a second");
}

/* --- the calls -------------------------------------------------------------------------------- */

/* What no record of TLS begins with, nor a hello of SSL 2, but each request of HTTP. */
static bool is_letter(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* A client offers its key beside a session: the server has chosen the one with a ticket. */
static bool has_chosen_session(const SSL *ssl)
{
	return SSL_version(ssl) >= TLS1_3_VERSION &&
	       SSL_SESSION_has_ticket(SSL_get0_session(ssl)) == 1;
}

/* Sends the flight that OpenSSL has made; TLS_FAILED if the socket does not take it any more. */
static int send_flight(struct tls *tls, char why[static TLS_WHY_MAX])
{
	int rc = tls_bio_flush(&tls->bio);

	if (rc == 0 || rc == -EAGAIN)
		return rc == 0 ? 1 : TLS_AGAIN;
	tls->state = TLS_DEAD;
	snprintf(why, TLS_WHY_MAX, "%s: %s (%d)",
		 SSL_is_server(tls->ssl) ? "SSL_accept" : "SSL_connect", strerror(-rc), -rc);
	return TLS_FAILED;
}

/*
 * Whether the peer does not wait for the last flight: it is a client's Finished, which the server
 * needs to read what comes behind it, or a server's tickets (RFC 8446 4.6.1).
 */
static bool may_hold_flight(const SSL *ssl)
{
	return !SSL_is_server(ssl) || SSL_version(ssl) >= TLS1_3_VERSION;
}

/* One call of OpenSSL's, which answers what has come in, and what it wrote. */
static int shake_hands(struct tls *tls, char why[static TLS_WHY_MAX])
{
	bool server = SSL_is_server(tls->ssl);
	int rc;

	ERR_clear_error();
	errno = 0;
	tls->bio.reads = READS_MAX;
	rc = SSL_do_handshake(tls->ssl);
	if (rc != 1)
		rc = explain(tls, rc, errno, server ? "SSL_accept" : "SSL_connect", why);
	if (rc == TLS_FAILED && tls->passed)
		return TLS_PASSED;
	if (rc == TLS_FAILED) {
		tls_bio_flush(&tls->bio); /* the alert, for as far as it goes */
		return server && is_letter(tls->bio.first) ? TLS_PLAIN : rc;
	}
	if (rc == 1 && may_hold_flight(tls->ssl)) {
		tls->bio.holds = tls_bio_keeps(&tls->bio);
		return rc;
	}
	return send_flight(tls, why) == TLS_FAILED ? TLS_FAILED : rc;
}

int tls_handshake(struct tls *tls, char why[static TLS_WHY_MAX])
{
	bool server = SSL_is_server(tls->ssl);
	int rc = send_flight(tls, why); /* what the last call could not send */

	if (rc == 1)
		rc = shake_hands(tls, why);
	if (rc != 1)
		return rc;
	ERR_clear_error(); /* so that later calls need not empty the queue: only failures fill it */
	tls->bio.state = TLS_BIO_KEEPS;
	tls_inquiry_end(tls->ssl);
	if (!server && has_chosen_session(tls->ssl))
		tls->judge.psk = false;
	SSL_set_info_callback(tls->ssl, NULL);
	SSL_set_msg_callback(tls->ssl, on_message);
	SSL_set_msg_callback_arg(tls->ssl, tls);
	return 1;
}

void tls_may_pass(struct tls *tls)
{
	tls->bio.copies = true;
}

struct span tls_heard(const struct tls *tls)
{
	return span_of(tls->bio.copy, tls->bio.copied);
}

void tls_may_ask(struct tls *tls)
{
	tls_inquiry_begin(tls->ssl);
}

bool tls_asks(const struct tls *tls)
{
	return tls->inquiry.waits;
}

void tls_answer(struct tls *tls, const struct tls_ocsp_answer *answer)
{
	tls_inquiry_answer(&tls->inquiry, answer);
}

void tls_found(struct tls *tls, const unsigned char *session, size_t len)
{
	tls_inquiry_found(&tls->inquiry, session, len);
}

/* OpenSSL counts a key of TLS 1.3 as a session, and may have asked for one and not used it. */
static bool has_psk(const struct tls *tls)
{
	return tls->judge.psk &&
	       (SSL_version(tls->ssl) < TLS1_3_VERSION || SSL_session_reused(tls->ssl));
}

const char *tls_origin(const struct tls *tls)
{
	if (has_psk(tls))
		return "PSK";
	return SSL_session_reused(tls->ssl) ? "previous session reused" : "new session negotiated";
}

bool tls_tell_facts(struct tls *tls, unsigned texts, bool own, struct facts *facts,
		    char why[static TLS_WHY_MAX])
{
	unsigned bits = tls->judge.verify->bits;
	struct tls_judging judging = {
		.judged = bits & (TLS_VERIFY_CHAIN | TLS_VERIFY_PEER),
		.leads_to_ca = bits & TLS_VERIFY_CHAIN,
	};

	facts->sni = tls_facts_server_name(tls->sni);
	if (own)
		tls_facts_own(tls->ssl, facts, &tls->kept);
	if (!tls_facts(tls->ssl, judging, texts, facts, &tls->kept, why))
		return false;
	facts->session_reused &= !has_psk(tls);
	if (!facts->cert_in_session && SSL_get_verify_mode(tls->ssl) & SSL_VERIFY_PEER)
		tls->calls->say(tls->judge.owner, LOG_INFO, "No peer certificate received");
	return true;
}

bool tls_authenticated(const struct tls *tls)
{
	return SSL_get0_peer_certificate(tls->ssl) && SSL_get_verify_result(tls->ssl) == X509_V_OK;
}

bool tls_peer_names(const struct tls *tls, char subject[static TLS_WHY_MAX],
		    char issuer[static TLS_WHY_MAX])
{
	X509 *leaf = SSL_get0_peer_certificate(tls->ssl);

	if (!leaf)
		return false;
	tls_verify_name(X509_get_subject_name(leaf), subject, TLS_WHY_MAX);
	tls_verify_name(X509_get_issuer_name(leaf), issuer, TLS_WHY_MAX);
	return true;
}

struct tls_outcome tls_outcome(const struct tls *tls)
{
	struct tls_outcome outcome = {
		.version = SSL_get_version(tls->ssl),
		.cipher = SSL_get_cipher_name(tls->ssl),
		.resumed = SSL_session_reused(tls->ssl) == 1,
		.tickets = tls->judge.tickets,
		.sought = tls->judge.sought,
	};

#if OPENSSL_VERSION_NUMBER >= 0x30000000L
	outcome.group = SSL_group_to_name(tls->ssl, (int)SSL_get_negotiated_group(tls->ssl));
#endif
	return outcome;
}

void tls_describe(const struct tls *tls, char text[static 128])
{
	snprintf(text, 128, "%s ciphersuite: %s (%d-bit encryption)", SSL_get_version(tls->ssl),
		 SSL_get_cipher_name(tls->ssl), SSL_get_cipher_bits(tls->ssl, NULL));
}

ssize_t tls_read(struct tls *tls, char *p, size_t len, char why[static TLS_WHY_MAX])
{
	size_t n;
	int rc;

	errno = 0;
	tls->bio.reads = READS_MAX;
	if (SSL_read_ex(tls->ssl, p, len, &n) == 1)
		return (ssize_t)n;
	if (tls_wants_write(tls) && tls->state != TLS_REFUSED)
		refuse(tls, "The peer sends KeyUpdates and reads no answer");
	rc = explain(tls, 0, errno, "SSL_read", why);
	if (rc == TLS_AGAIN && tls->bio.ended)
		rc = TLS_CUT;
	if ((rc != TLS_END && rc != TLS_CUT) || !tls_midway(tls))
		return rc;
	/* A write would wait for the rest of the message, which cannot come any more. */
	tls->state = TLS_DEAD;
	snprintf(why, TLS_WHY_MAX, "SSL_read: the peer ended inside a handshake message");
	return TLS_FAILED;
}

int tls_flush(struct tls *tls, char why[static TLS_WHY_MAX])
{
	int rc;

	if (!tls_keeps(tls) && !tls_holds(tls))
		return 1;
	rc = tls_bio_flush(&tls->bio);
	if (rc == 0)
		return 1;
	if (rc == -EAGAIN)
		return TLS_AGAIN;
	tls->state = TLS_DEAD;
	snprintf(why, TLS_WHY_MAX, "SSL_write: %s (%d)", strerror(-rc), -rc);
	return TLS_FAILED;
}

/* A flight that is held waits for the next write. */
static int flush_before_write(struct tls *tls, char why[static TLS_WHY_MAX])
{
	return tls_holds(tls) ? 1 : tls_flush(tls, why);
}

static uint32_t coarse_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint32_t)now.tv_sec * 1000 + (uint32_t)(now.tv_nsec / 1000000);
}

ssize_t tls_write(struct tls *tls, const char *p, size_t len, char why[static TLS_WHY_MAX])
{
	size_t n;
	int rc = flush_before_write(tls, why);

	if (rc != 1)
		return rc;
	/* SSL_write_ex() would read, and buffer data in OpenSSL that no poll event tells of. */
	if (tls_midway(tls))
		return TLS_AGAIN;
	/* Some servers take each record for the beginning of a request. */
	if (SSL_is_server(tls->ssl))
		len = tls_record_size(&tls->record_size, len, coarse_ms());
	errno = 0;
	if (SSL_write_ex(tls->ssl, p, len, &n) == 1)
		return (ssize_t)n;
	rc = explain(tls, 0, errno, "SSL_write", why);
	return rc == TLS_END ? TLS_CUT : rc;
}

int tls_shutdown(struct tls *tls)
{
	char why[TLS_WHY_MAX];
	int rc;

	if (tls->state >= TLS_DEAD || tls->bio.state == TLS_BIO_GATHERS)
		return TLS_FAILED;
	if (tls_midway(tls))
		return TLS_AGAIN;
	rc = flush_before_write(tls, why);
	if (rc != 1 || tls->state == TLS_TOLD_END)
		return rc;
	/*
	 * Mostly the socket is closed now. From a peer that has not told its own end bytes may come
	 * that nobody reads: close(2) then resets, and drops what it was to send.
	 */
	tls->bio.last = SSL_get_shutdown(tls->ssl) & SSL_RECEIVED_SHUTDOWN;
	errno = 0;
	rc = SSL_shutdown(tls->ssl);
	if (rc < 0) {
		explain(tls, rc, errno, "SSL_shutdown", why);
		return TLS_FAILED;
	}
	tls->state = TLS_TOLD_END;
	return tls_flush(tls, why);
}

bool tls_pending(const struct tls *tls)
{
	return SSL_has_pending(tls->ssl) == 1;
}

bool tls_keeps(const struct tls *tls)
{
	return tls->state < TLS_DEAD && tls_bio_keeps(&tls->bio);
}

bool tls_holds(const struct tls *tls)
{
	return tls->state < TLS_DEAD && tls->bio.holds;
}

bool tls_midway(const struct tls *tls)
{
	return tls->bio.state != TLS_BIO_GATHERS && SSL_in_init(tls->ssl);
}

bool tls_wants_write(const struct tls *tls)
{
	return SSL_want_write(tls->ssl);
}
