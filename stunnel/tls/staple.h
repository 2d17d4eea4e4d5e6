/* SPDX-License-Identifier: ISC */
#ifndef TLS_STAPLE_H
#define TLS_STAPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/fault.h"
#include "tls/settings.h"

struct ssl_ctx_st;

/*
 * What OCSP responders say of a server's own certificates, each of which it sends with the answer
 * about it to clients that ask for one (RFC 6066 8, RFC 8446 4.4.2.1). Answers lie in memory that
 * all processes share; there only those get that prove a certificate to be good, and they are sent
 * no longer than they are valid.
 */

/*
 * For a server's context that has its certificates, as the settings say: with a file its answer is
 * taken now. In the master. False after a fault of theirs, or without memory; each is told.
 */
bool tls_staple_use(struct ssl_ctx_st *ctx, const struct tls_settings *settings,
		    const struct tls_fault_to *to);

/*
 * The same again for a context that has other certificates now, or whose file has changed. After
 * false it has its old ones' answers.
 */
bool tls_staple_renew(struct ssl_ctx_st *ctx, const struct tls_settings *settings,
		      const struct tls_fault_to *to);

/* The file of the settings; NULL: there is none. */
const char *tls_staple_file(const struct tls_settings *settings);

/* Whether responders are asked, where certificates name any. */
bool tls_staple_asks(const struct ssl_ctx_st *ctx);

/* How many certificates of the context have a responder that is to be asked. */
size_t tls_staple_count(const struct ssl_ctx_st *ctx);

/*
 * These certificates, for another process: what is written, which holds no key; 0: they are more
 * than max, or there is none. tls_staple_unpack() is false, and changes nothing, if it is no such
 * packet, or without memory.
 */
size_t tls_staple_pack(const struct ssl_ctx_st *ctx, unsigned char *packet, size_t max);
bool tls_staple_unpack(struct ssl_ctx_st *ctx, const unsigned char *packet, size_t len);

/*
 * One of them, which stays as it is when the context gets others; the caller frees it before the
 * context. NULL: there is none at the index, or no memory.
 */
struct tls_staple_own;
struct tls_staple_own *tls_staple_hold(const struct ssl_ctx_st *ctx, size_t index);
void tls_staple_drop(struct tls_staple_own *own); /* NULL: nothing */

/* What came of asking. */
struct tls_staple_news {
	char about[TLS_WHY_MAX]; /* the certificate's subject */
	struct tls_ocsp_answer answer;
	int64_t life;  /* seconds for which a good answer is sent */
	int64_t again; /* seconds until it is to be asked again */
};

/*
 * Asks its responder, which may take twice so many seconds, and puts the answer where the workers
 * find it. For any thread.
 */
void tls_staple_fetch(const struct tls_staple_own *own, int seconds, struct tls_staple_news *news);

#endif
