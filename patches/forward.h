/* SPDX-License-Identifier: ISC */
#ifndef FORWARD_H
#define FORWARD_H

#include "prototypes.h"
#include "forward_stock.h"

#define FORWARD_VERSION "@VERSION@"

/*
 * The functions that hooks in stock's files call, to put the client's address into each HTTP
 * request of a connection and to take and send PROXY headers. Two structures of stock's have a new
 * member:
 *
 *   SERVICE_OPTIONS.forward  the options below; NULL if the section has none of them
 *   CLI.forward              a connection whose requests are rewritten; NULL: all hooks in
 *                            transfer() are the calls that they stand for
 */

/* --- options.c -------------------------------------------------------------------------------- */

enum forward_command {
	FORWARD_NOTHING = 0,
	FORWARD_BEGIN,	  /* a file is read from its beginning; the section is the defaults */
	FORWARD_COPY,	  /* a new section begins with the defaults; not in every release */
	FORWARD_SET,	  /* a line of the file */
	FORWARD_CHECK,	  /* the section is complete */
	FORWARD_FREE,	  /* the section is freed; not in every release */
	FORWARD_DEFAULTS, /* print the options with their defaults */
	FORWARD_HELP	  /* print the options with their meanings */
};

/* Returned by forward_option() for a line that is for stock's own options. */
extern const char forward_go_on[];

/*
 * Carries out a command for our options; `command` is FORWARD_COMMAND() of stock's. NULL: *name was
 * one of ours; forward_go_on: stock's own options have their turn; else what is wrong, static text.
 * `defaults` is the section that others begin with.
 */
const char *forward_option(enum forward_command command, SERVICE_OPTIONS *section,
			   const SERVICE_OPTIONS *defaults, char **name, char **value);

/* Called when the SSL_CTX of a complete section has been made; always 0. */
int forward_context(SERVICE_OPTIONS *section);

/*
 * FORWARD_CHECK for releases without such a command, called before a section's SSL_CTX is made:
 * whether the section is refused, which is logged.
 */
int forward_refuses(SERVICE_OPTIONS *section, const SERVICE_OPTIONS *defaults);

/* Logs that the patch is there, for -version and the start. */
void forward_info(int level);

/* --- protocol.c ------------------------------------------------------------------------------- */

/* Whether the section sends or takes PROXY headers by our options, and not stock's `protocol`. */
int forward_has_proxy(const SERVICE_OPTIONS *section);

/* Sends the PROXY header; called when TLS is accepted and the backend connected. */
void forward_proxy(CLI *c);

/* For releases whose protocol() has phases. */
#define FORWARD_PROXY(c, phase) ((phase) == PROTOCOL_LATE ? (forward_proxy(c), NULL) : NULL)

/*
 * For releases that run protocol() before TLS: a section with a PROXY header of ours connects and
 * sends the header after TLS instead. forward_proxy_last() also gets the section that accepted,
 * from which a server name may have led to c->opt.
 */
int forward_sends_proxy(const SERVICE_OPTIONS *section);
void forward_proxy_last(CLI *c, const SERVICE_OPTIONS *accepted);

#define FORWARD_TLS_FIRST(c, otherwise) ((otherwise) || forward_sends_proxy((c)->opt))
#define FORWARD_PROXY_LAST(c, accepted) forward_proxy_last(c, accepted)

/* For releases with protocol_late(): in place of its call. */
#define FORWARD_LATE(c) \
	(forward_has_proxy((c)->opt) ? forward_proxy(c) : (c)->opt->protocol_late(c))

/* --- client.c --------------------------------------------------------------------------------- */

/* Resets both connections and does not return; in client.c, as each release has its own way. */
void forward_abort(CLI *c);

/*
 * SSL_accept(), after the PROXY header if the peer is to send one. Does not return if the header is
 * missing or malformed, since the client would be unknown.
 */
int forward_accept(CLI *c);

#define FORWARD_ACCEPT(c) ((c)->opt->forward ? forward_accept(c) : SSL_accept((c)->ssl))

/* Called before transfer(), and when the connection ends, even by an error. */
void forward_begin(CLI *c);
void forward_end(CLI *c);

/* Called before the backend's descriptor is closed. */
void forward_close(CLI *c);

/*
 * Stand-ins for the calls of transfer(), for connections with c->forward. forward_read() returns
 * bytes for the backend; it reads until it has some or SSL_read() fails, so that SSL_get_error()
 * fits its result, or seems to be interrupted where what it read must wait. Bytes that it holds
 * back count as pending if they need not wait, and until transfer() has them the client does not
 * count as closed.
 */
int forward_read(CLI *c, void *p, int len);
int forward_pending(const CLI *c);
int forward_get_shutdown(CLI *c);
int forward_is_open(CLI *c, int open);
int forward_wants_input(const CLI *c);
ssize_t forward_readsocket(CLI *c, SOCKET fd, void *p, size_t len);
ssize_t forward_writesocket(CLI *c, SOCKET fd, void *p, size_t len);
int forward_shutdown(CLI *c);

/* As s_poll_wait(), but ends when TIMEOUTrequest is over; the request is then refused. */
int forward_poll(CLI *c, int sec, int msec);

/*
 * Whether the last forward_poll() had a reason to return without a descriptor that is ready:
 * TIMEOUTrequest, or a client that is gone while nothing is read from it, which the next turn
 * reads.
 */
int forward_woke(const CLI *c);

/* Whether the client sent anything since the last call: a part of a head is no idle time either. */
int forward_took(CLI *c);

#define FORWARD_READ(c, p, n) ((c)->forward ? forward_read(c, p, n) : SSL_read((c)->ssl, p, n))
#define FORWARD_POLL(c, sec, msec) \
	((c)->forward ? forward_poll(c, sec, msec) : s_poll_wait((c)->fds, sec, msec))
#define FORWARD_NOTHING_READY(c, nothing) ((nothing) && (!(c)->forward || !forward_woke(c)))
#define FORWARD_PENDING(c) ((c)->forward ? forward_pending(c) : SSL_pending((c)->ssl))
#define FORWARD_GET_SHUTDOWN(c) \
	((c)->forward ? forward_get_shutdown(c) : SSL_get_shutdown((c)->ssl))
#define FORWARD_IS_OPEN(c, open) ((c)->forward ? forward_is_open(c, open) : (open))
#define FORWARD_WANTS_INPUT(c, room) ((room) && (!(c)->forward || forward_wants_input(c)))
#define FORWARD_READSOCKET(c, fd, p, n) \
	((c)->forward ? forward_readsocket(c, fd, p, n) : readsocket(fd, p, n))
#define FORWARD_WRITESOCKET(c, fd, p, n) \
	((c)->forward ? forward_writesocket(c, fd, p, n) : writesocket(fd, p, n))
#define FORWARD_IDLE_TURNS(c, turns) ((c)->forward && forward_took(c) ? ((turns) = 0) : ++(turns))
#define FORWARD_SHUTDOWN(c) ((c)->forward ? forward_shutdown(c) : SSL_shutdown((c)->ssl))

#endif
