/* SPDX-License-Identifier: ISC */
#ifndef FORWARD_STOCK_H
#define FORWARD_STOCK_H

#include "prototypes.h"

#include <stdbool.h>
#include <stdint.h>

#include "forward_era.h"

struct facts_addr;
struct tls_judging;

/*
 * What differs between stunnel's releases, with one interface for all of them. Nothing else in
 * forward*.[ch] asks for STOCK_HAS_...
 */

#if !STOCK_HAS_SOCKET && !defined(USE_WIN32)
typedef int SOCKET;
#define INVALID_SOCKET (-1)
#endif

/* Whether SOCKADDR_UNION has IPv6: the macro is spelt in two ways, the second from 5.76 on. */
#if defined(USE_IPv6) || defined(USE_IPV6)
#define STOCK_IPV6 1
#else
#define STOCK_IPV6 0
#endif

/* What a command of parse_service_option() is of enum forward_command; known in options.c only. */
#if STOCK_HAS_CMD_SET_VALUE
#define FORWARD_COMMAND(cmd)                              \
	((cmd) == CMD_SET_DEFAULTS     ? FORWARD_BEGIN    \
	 : (cmd) == CMD_SET_COPY       ? FORWARD_COPY     \
	 : (cmd) == CMD_SET_VALUE      ? FORWARD_SET      \
	 : (cmd) == CMD_INITIALIZE     ? FORWARD_CHECK    \
	 : (cmd) == CMD_FREE	       ? FORWARD_FREE     \
	 : (cmd) == CMD_PRINT_DEFAULTS ? FORWARD_DEFAULTS \
	 : (cmd) == CMD_PRINT_HELP     ? FORWARD_HELP     \
				       : FORWARD_NOTHING)
#elif STOCK_HAS_CMD_END
#if STOCK_HAS_CMD_DUP
#define STOCK_IS_COPY(cmd) ((cmd) == CMD_DUP)
#else
#define STOCK_IS_COPY(cmd) 0
#endif
#define FORWARD_COMMAND(cmd)                       \
	((cmd) == CMD_BEGIN	? FORWARD_BEGIN    \
	 : STOCK_IS_COPY(cmd)	? FORWARD_COPY     \
	 : (cmd) == CMD_EXEC	? FORWARD_SET      \
	 : (cmd) == CMD_END	? FORWARD_CHECK    \
	 : (cmd) == CMD_FREE	? FORWARD_FREE     \
	 : (cmd) == CMD_DEFAULT ? FORWARD_DEFAULTS \
	 : (cmd) == CMD_HELP	? FORWARD_HELP     \
				: FORWARD_NOTHING)
#else
#define FORWARD_COMMAND(cmd)                       \
	((cmd) == CMD_INIT	? FORWARD_BEGIN    \
	 : (cmd) == CMD_EXEC	? FORWARD_SET      \
	 : (cmd) == CMD_DEFAULT ? FORWARD_DEFAULTS \
	 : (cmd) == CMD_HELP	? FORWARD_HELP     \
				: FORWARD_NOTHING)
#endif

/*
 * Whether sections are copied and freed by commands of their own. Else they are copied byte by byte
 * from the defaults, and never freed.
 */
bool stock_frees_sections(void);

/* A number that no other connection of this process has. */
unsigned long long stock_serial(const CLI *c);

#define STOCK_CLIENT_TEXT_MAX 128

/* The client is another one than who connected; without an IP address nothing is done. */
void stock_set_client(CLI *c, const struct facts_addr *client);

/* Milliseconds of a clock that nobody sets; never 0. */
uint64_t stock_now(void);

/* What s_poll_wait() then waits for: input of one descriptor, and nothing else. */
void stock_poll_for_input(CLI *c, SOCKET fd);

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

/* Whether the section is for DTLS (5.76 and later). */
bool stock_has_datagrams(const SERVICE_OPTIONS *section);

/* Whether a client's name can have led from the other section, which accepted it, to this one. */
bool stock_name_leads_from(const SERVICE_OPTIONS *other, const SERVICE_OPTIONS *section);

/* Has effect where the section's SSL_CTX is not made yet. */
void stock_refuse_tickets(SERVICE_OPTIONS *section);
void stock_refuse_renegotiation(SERVICE_OPTIONS *s);

/* Whether the last poll of transfer() found an end or an error that reading would tell of. */
bool stock_socket_failed(const CLI *c, SOCKET fd);

/* The error that a socket has, which is taken away, or 0. */
int stock_socket_error(SOCKET fd);

/* Whether a call that failed so may do better later. */
bool stock_is_temporary(int error);

/* Writes all of it, or gives the connection up and does not return. */
void stock_write(CLI *c, SOCKET fd, const char *p, size_t len);

#endif
