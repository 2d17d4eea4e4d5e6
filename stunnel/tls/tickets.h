/* SPDX-License-Identifier: ISC */
#ifndef TLS_TICKETS_H
#define TLS_TICKETS_H

#include <stdbool.h>
#include <stddef.h>

struct ssl_ctx_st;

/*
 * Keys of session tickets (RFC 5077, RFC 8446 4.6.1). The master makes them in memory that all
 * workers of all generations share, so that each opens what any other has sealed. That memory is
 * locked and left out of core dumps, and a key is wiped when its tickets are not taken any more. A
 * service may have fixed keys instead, for several hosts to share.
 */

#define TLS_TICKETS_SECRET_MAX 32 /* bytes */

/* Half of a fixed key: 16 or 32 bytes. len 0: none. */
struct tls_tickets_secret {
	unsigned char bytes[TLS_TICKETS_SECRET_MAX];
	size_t len;
};

/* Reads hexadecimal digits, with or without colons between bytes. False: not 16 or 32 bytes. */
bool tls_tickets_parse(struct tls_tickets_secret *secret, const char *text);

void tls_tickets_forget(struct tls_tickets_secret *secret);

/* Called in the master before the first context. Makes the first key; false if it cannot be had. */
bool tls_tickets_open(void);

/*
 * For a program that takes this one's place, in the master: writes the keys to a pipe, which is
 * large enough, and reads them from there before tls_tickets_open(), which then makes none. What
 * another version has written in another form is left, and so are the clients' tickets.
 */
void tls_tickets_give(int pipe);
void tls_tickets_receive(int pipe);

/* In the process that stays, after it has gone to the background: locks the memory again. */
void tls_tickets_settle(void);

/*
 * In the master: makes a new key if the newest is as many seconds old; 0: never. Tickets of the two
 * before it are still taken, and answered with new ones. Returns after how many milliseconds to
 * call again, or -1: there is no need to.
 */
int tls_tickets_rotate(int seconds);

/* In the master, at the end: wipes all keys. */
void tls_tickets_close(void);

/* In a process that serves no connections: the keys, which others need, are out of its reach. */
void tls_tickets_let_go(void);

/*
 * Seals and opens the context's tickets: with the fixed keys, which are copied, or with the shared
 * ones where these are empty. After a server name has led to a context its own keys count.
 */
bool tls_tickets_use(struct ssl_ctx_st *ctx, const struct tls_tickets_secret *key,
		     const struct tls_tickets_secret *mac);

/* Whether the context's tickets may be another host's, or from before the start. */
bool tls_tickets_are_fixed(const struct ssl_ctx_st *ctx);

#endif
