/* SPDX-License-Identifier: ISC */
#ifndef TLS_LIBRARY_H
#define TLS_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/facts.h"

/* OpenSSL's own names, of releases, protocol versions and options, and the texts of its errors. */

/*
 * To be called before anything else of OpenSSL. It will not clean up at the end of a process: a
 * process that forks would have each child end what a provider has in common with the others, as
 * the sessions of a PKCS#11 token.
 */
void tls_library_start(void);

/*
 * From now on nobody is asked for anything, such as the PIN of a token: what would ask, fails.
 * False without memory.
 */
bool tls_library_ask_nobody(void);

/* The protocol version of a name of sslVersion, any case: 0 for `all`, -1 if unknown. */
int tls_library_version(const char *name);

/* The bit of a name of `options`, any case, without SSL_OP_; false if unknown. */
bool tls_library_option(const char *name, uint64_t *bit);

/* The names that tls_library_option() knows, counted from 0; NULL behind the last. */
const char *tls_library_option_name(size_t index);

/*
 * Loads a provider of OpenSSL (provider(7)) for as long as the program runs, or sets a parameter
 * NAME:VALUE of one that was loaded. NULL, or what is wrong.
 */
const char *tls_library_provider(const char *name);
const char *tls_library_provider_parameter(const char *text);

/* Turns FIPS mode of the whole program on or off. NULL, or what is wrong. */
const char *tls_library_fips(bool on);

/* "OpenSSL 3.0.17 1 Jul 2025", of the headers and of the library. */
const char *tls_library_compiled_with(void);
const char *tls_library_running_with(void);

/* The reason of the oldest error that OpenSSL has queued, and empties the queue. */
void tls_library_error(char text[static TLS_WHY_MAX]);

#endif
