/* SPDX-License-Identifier: ISC */
#ifndef TLS_BIO_H
#define TLS_BIO_H

#include <stdbool.h>
#include <stddef.h>

struct bio_st;

/* A record at its largest (RFC 5246 6.2.3), and behind it more than 100 answers to KeyUpdates. */
#define TLS_BIO_MAX (5 + 16384 + 2048 + 4096)

/* What a copy holds at most: a ClientHello, which OpenSSL takes up to 16384 bytes of, in records.
 */
#define TLS_BIO_COPY_MAX 32768

enum tls_bio_state {
	TLS_BIO_GATHERS = 0, /* of a handshake: a flight is kept until its owner flushes it */
	TLS_BIO_KEEPS,	     /* what the socket does not take is kept, TLS_BIO_MAX bytes at most */
	TLS_BIO_REFUSES,     /* nothing goes in or out any more: ECONNABORTED */
};

/*
 * What lies between OpenSSL and a non-blocking socket. After the handshake it takes each record
 * whole: OpenSSL then never has a part of a record left, which it would have to write on before
 * anything else, such as its answer to a KeyUpdate or close_notify. During the handshake OpenSSL
 * flushes each message of a flight, such as each ticket, by itself, which would be a packet and a
 * wake-up of the peer each.
 *
 * Memory is held only while something is kept. Zeroed: none.
 */
struct tls_bio {
	int in, out;		  /* what is read from and written to: the same for a socket */
	enum tls_bio_state state; /* set by the owner */
	unsigned reads;		  /* of the socket, left to the present call; set by the owner */
	bool ended;	     /* the last read found the socket's end, which KEEPS calls EAGAIN */
	unsigned char first; /* byte that came from the peer; 0: none yet */
	bool holds;	     /* what is kept goes with the next write; set by the owner in KEEPS */
	bool last;	     /* what is written may wait for the socket's FIN; set by the owner */
	bool copies;	     /* what is read; set by the owner. No more beyond TLS_BIO_COPY_MAX */
	unsigned copied;     /* bytes of `copy`: all that was read, while `copies` */
	unsigned at, len;    /* where the rest of what is kept begins and ends */
	unsigned cap;	     /* bytes that `kept` has room for */
	char *kept, *copy;
};

/* A BIO that uses *b over descriptors that stay the caller's; NULL if memory ran out. */
struct bio_st *tls_bio_open(struct tls_bio *b, int in, int out);

/* Frees what is kept. The BIO itself is OpenSSL's, and must not be used any more. */
void tls_bio_close(struct tls_bio *b);

/* Frees the copy, and makes none any more. */
void tls_bio_drop_copy(struct tls_bio *b);

/* Whether bytes wait for the socket to be writable, or a flight for its flush. */
bool tls_bio_keeps(const struct tls_bio *b);

/* Writes what is kept: 0 when nothing is left, -EAGAIN, or the socket's -errno. */
int tls_bio_flush(struct tls_bio *b);

#endif
