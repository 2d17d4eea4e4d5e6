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
 * One interface to what differs between stock's releases: in forward*.[ch] only forward_stock.[ch]
 * may use STOCK_HAS_...
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

/* The enum forward_command of stock's CMD; a macro, since only options.c knows that type. */
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
 * Whether stock has commands to copy and to free a section. Other releases copy a section byte by
 * byte from the defaults and never free it.
 */
bool stock_frees_sections(void);

/* A number that is unique among the connections of this process. */
unsigned long long stock_serial(const CLI *c);

#define STOCK_CLIENT_TEXT_MAX 128

/* Has stock take this for the client's address; does nothing if it is no IP address. */
void stock_set_client(CLI *c, const struct facts_addr *client);

#if !STOCK_HAS_COPIES_ADDRESS
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
typedef void **stock_copied;
#else
typedef void *stock_copied;
#endif

/*
 * CRYPTO_EX_dup() for the address of the backend that a session's client was led to: gives the copy
 * of a session an address of its own, as it is freed with each.
 */
int stock_copy_address(CRYPTO_EX_DATA *to, const CRYPTO_EX_DATA *from, stock_copied data, int index,
		       long number, void *name);
#endif

/* Milliseconds on a monotonic clock; never 0. */
uint64_t stock_now(void);

/*
 * s_poll_wait() for what transfer() has asked for, with two exceptions for the backend's socket fd.
 * An end or an error of it is told as if it could be read or written, as far as that was asked for:
 * only a read tells an end, and what was read before goes out first. And with `more` it can be read
 * at once, if that was asked for.
 */
int stock_poll(CLI *c, SOCKET fd, bool more, int sec, int msec);

/* Has s_poll_wait() wait for input from fd only. */
void stock_poll_for_input(CLI *c, SOCKET fd);

/* The client's address and port for the log, or "a descriptor" if it has no address. */
const char *stock_client_text(CLI *c, char text[STOCK_CLIENT_TEXT_MAX]);

/*
 * How the section verifies certificates of clients. With `redirect` stock serves refused clients,
 * too, and keeps no full result: no certificate then counts as verified.
 */
struct tls_judging stock_judging(const SERVICE_OPTIONS *section);

/* Whether the section refuses clients without an acceptable certificate. */
bool stock_asks_for_certificates(const SERVICE_OPTIONS *section);

/* Whether the section has a `protocol`, and whether its `protocol` has that name. */
bool stock_has_protocol(const SERVICE_OPTIONS *section);
bool stock_protocol_is(const SERVICE_OPTIONS *section, const char *name);

/* Whether the section is for DTLS (5.76 and later). */
bool stock_has_datagrams(const SERVICE_OPTIONS *section);

/* Whether a server name can lead a client that `other` accepted to this section. */
bool stock_name_leads_from(const SERVICE_OPTIONS *other, const SERVICE_OPTIONS *section);

/* Set options of the section's SSL_CTX, which must not have been made yet. */
void stock_refuse_tickets(SERVICE_OPTIONS *section);
void stock_refuse_renegotiation(SERVICE_OPTIONS *s);

/* Whether the last poll of transfer() found an end or error of fd that only a read would tell. */
bool stock_socket_failed(const CLI *c, SOCKET fd);

/* The same in a release that takes it for an error if the poll found nothing else. */
bool stock_doubts_end(const CLI *c, SOCKET fd);

/* Makes the error of the last call one that stock tries again without a word or a pause. */
void stock_set_interrupted(void);

/* Whether a call that failed with this error may be tried again. */
bool stock_is_temporary(int error);

/* Writes all len bytes; after a failure gives up the connection and does not return. */
void stock_write(CLI *c, SOCKET fd, const char *p, size_t len);

#endif
