/* SPDX-License-Identifier: ISC */
#ifndef FORWARD_STOCK_H
#define FORWARD_STOCK_H

#include "prototypes.h"

#include <stdbool.h>

#include "forward_era.h"

struct tls_judging;

/*
 * What differs between stunnel's releases, with one interface for all of them. Nothing else in
 * forward*.[ch] asks for STOCK_HAS_...
 */

#if !STOCK_HAS_SOCKET && !defined(USE_WIN32)
typedef int SOCKET;
#define INVALID_SOCKET (-1)
#endif

/* A number that no other connection of this process has. */
unsigned long long stock_serial(const CLI *c);

#define STOCK_CLIENT_TEXT_MAX 128

/* The client's address and port for the log; "a descriptor" if it has none. */
const char *stock_client_text(CLI *c, char text[STOCK_CLIENT_TEXT_MAX]);

/*
 * How certificates of clients are judged. Of what redirect = lets through only OpenSSL's part of
 * the verification is known: there no certificate counts as verified.
 */
struct tls_judging stock_judging(const SERVICE_OPTIONS *section);

/* Whether clients are refused by their certificates. */
bool stock_asks_for_certificates(const SERVICE_OPTIONS *section);

/* Whether the section has a protocol =, and whether it is that of the name. */
bool stock_has_protocol(const SERVICE_OPTIONS *section);
bool stock_protocol_is(const SERVICE_OPTIONS *section, const char *name);

/* What the section's sni = says, or NULL. */
const char *stock_sni(const SERVICE_OPTIONS *section);

/* Has effect where the section's SSL_CTX is not made yet. */
void stock_refuse_tickets(SERVICE_OPTIONS *section);
void stock_refuse_renegotiation(SERVICE_OPTIONS *section);

/* Whether the last poll of transfer() found an end or an error that reading would tell of. */
bool stock_socket_failed(const CLI *c, SOCKET fd);

/* Writes all of it, or gives the connection up and does not return. */
void stock_write(CLI *c, SOCKET fd, const char *p, size_t len);

#endif
