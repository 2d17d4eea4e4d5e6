/* SPDX-License-Identifier: ISC */
#ifndef TLS_SECRET_H
#define TLS_SECRET_H

#include <stdbool.h>

#include "tls/facts.h"

/*
 * Pass phrases of encrypted files. They are asked for while the program starts, and those that
 * opened a file are kept for later files and for reloads: in memory that is locked, left out of
 * core dumps, and not there at all in the processes that a settled one forks.
 */

#define TLS_SECRET_MAX 1023 /* bytes of a pass phrase */

/* What came of a pass phrase. */
enum tls_secret_try {
	TLS_SECRET_WRONG,
	TLS_SECRET_FITS,
	TLS_SECRET_VAIN, /* no pass phrase would help */
};

/*
 * Calls try(arg, phrase) with each phrase that is kept, the last one first, and then with what is
 * entered for path: three times at most, and never once settled. True when try() said that one
 * fits. False with the reason in why, which is try()'s own where that said that it is in vain.
 */
bool tls_secret_open(const char *path, enum tls_secret_try (*try)(void *arg, const char *phrase),
		     void *arg, char why[static TLS_WHY_MAX]);

/* A pass phrase that OpenSSL may ask for; NULL: none, and what asks fails. */
struct tls_secret_offer {
	const char *phrase;
	bool asked; /* OpenSSL has: only encrypted content makes it */
};

/* A pem_password_cb, whose argument is a struct tls_secret_offer. */
int tls_secret_give(char *to, int size, int writing, void *arg);

/*
 * The process is the one that stays, and the start is over: nothing is asked any more, and phrases
 * are hidden from children. False, with the phrases wiped, if that cannot be had.
 */
bool tls_secret_settle(void);

#endif
