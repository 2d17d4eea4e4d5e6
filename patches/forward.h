/* SPDX-License-Identifier: ISC */
#ifndef FORWARD_H
#define FORWARD_H

#include "prototypes.h"
#include "forward_stock.h"

#define FORWARD_VERSION "@VERSION@"

/*
 * What the hooks in stunnel's own files call: the client's address in every HTTP request of a
 * connection, and PROXY headers of version 2. Two structures have a member for it:
 *
 *   SERVICE_OPTIONS.forward  the options below; NULL if the section has none of them
 *   CLI.forward              a connection whose requests are rewritten; NULL: all hooks in
 *                            transfer() are the calls that they stand for
 */

/* --- options.c -------------------------------------------------------------------------------- */

enum forward_command {
	FORWARD_NOTHING = 0,
	FORWARD_BEGIN,	  /* the section is the defaults: a file is read from its beginning */
	FORWARD_COPY,	  /* a new section begins with the defaults; not every release says so */
	FORWARD_SET,	  /* a line of the file */
	FORWARD_CHECK,	  /* the section is complete */
	FORWARD_FREE,	  /* and not needed any more; not every release says so */
	FORWARD_DEFAULTS, /* to be printed */
	FORWARD_HELP
};

/* Not an error: the caller goes on. */
extern const char forward_go_on[];

/*
 * NULL: the line was one of ours and is taken; forward_go_on: the other options have their turn;
 * else what is wrong, as static text. `defaults` is the section that others begin with. The command
 * is FORWARD_COMMAND(), of forward_stock.h, of stunnel's own.
 */
const char *forward_option(enum forward_command command, SERVICE_OPTIONS *section,
			   const SERVICE_OPTIONS *defaults, char **name, char **value);

/* When the SSL_CTX of a section that is complete was made; 0. */
int forward_context(SERVICE_OPTIONS *section);

/*
 * For releases without a command for FORWARD_CHECK, before a section's SSL_CTX is made: whether it
 * is refused, and then the log says why.
 */
int forward_refuses(SERVICE_OPTIONS *section, const SERVICE_OPTIONS *defaults);

/* A line for -version and the like. */
void forward_info(int level);

/* --- protocol.c ------------------------------------------------------------------------------- */

/* Whether the section has its own PROXY header instead of stunnel's. */
int forward_has_proxy(const SERVICE_OPTIONS *section);

/* Sends it, to be called when the backend is connected and TLS is accepted. */
void forward_proxy(CLI *c);

/* In the phases of protocol(), where a release has them. */
#define FORWARD_PROXY(c, phase) ((phase) == PROTOCOL_LATE ? (forward_proxy(c), NULL) : NULL)

/*
 * Where all of protocol() is before TLS: a section with a header of ours connects behind TLS, as
 * one without a protocol does, and the header is sent then. A server name may have led to another
 * section in between: forward_proxy_last() gets the one that accepted.
 */
int forward_sends_proxy(const SERVICE_OPTIONS *section);
void forward_proxy_last(CLI *c, const SERVICE_OPTIONS *accepted);

#define FORWARD_TLS_FIRST(c, otherwise) ((otherwise) || forward_sends_proxy((c)->opt))
#define FORWARD_PROXY_LAST(c, accepted) forward_proxy_last(c, accepted)

/* In place of the call of the section's protocol_late(), where a release has one. */
#define FORWARD_LATE(c) \
	(forward_has_proxy((c)->opt) ? forward_proxy(c) : (c)->opt->protocol_late(c))

/* --- client.c --------------------------------------------------------------------------------- */

/* Resets both connections; in client.c, where it can be done in this version's way. */
void forward_abort(CLI *c);

/*
 * In place of SSL_accept(): takes the PROXY header that comes before the handshake. Does not return
 * where nobody can say who the client is.
 */
int forward_accept(CLI *c);

#define FORWARD_ACCEPT(c) ((c)->opt->forward ? forward_accept(c) : SSL_accept((c)->ssl))

/* Before transfer(), and when the connection ends in whichever way. */
void forward_begin(CLI *c);
void forward_end(CLI *c);

/* Before the backend's descriptor is closed. */
void forward_close(CLI *c);

/*
 * In place of the calls of transfer(). forward_read() gives what is for the backend, as SSL_read()
 * does: it reads on until there is something or SSL_read() itself fails, so that SSL_get_error()
 * means what it says. What it holds back counts as pending, and until it was fetched the client
 * does not count as closed. Each of them is for a connection with c->forward only.
 */
int forward_read(CLI *c, void *p, int len);
int forward_pending(const CLI *c);
int forward_get_shutdown(CLI *c);
int forward_is_open(CLI *c, int open);
int forward_wants_input(const CLI *c);
int forward_hung_up(const CLI *c);
ssize_t forward_readsocket(CLI *c, SOCKET fd, void *p, size_t len);
int forward_socket_error(CLI *c, SOCKET fd);
int forward_shutdown(CLI *c);

/* As s_poll_wait(), but no longer than the head of a request may take: then it is refused. */
int forward_poll(CLI *c, int sec, int msec);

/* Whether the last forward_poll() ended by that time, with no event. */
int forward_timed_out(const CLI *c);

/*
 * Whether something came since the last call, if only a part of a head: a turn of transfer() that
 * took it is not idle.
 */
int forward_took(CLI *c);

#define FORWARD_READ(c, p, n) ((c)->forward ? forward_read(c, p, n) : SSL_read((c)->ssl, p, n))
#define FORWARD_POLL(c, sec, msec) \
	((c)->forward ? forward_poll(c, sec, msec) : s_poll_wait((c)->fds, sec, msec))
#define FORWARD_NOTHING_READY(c, nothing) ((nothing) && (!(c)->forward || !forward_timed_out(c)))
#define FORWARD_PENDING(c) ((c)->forward ? forward_pending(c) : SSL_pending((c)->ssl))
#define FORWARD_GET_SHUTDOWN(c) \
	((c)->forward ? forward_get_shutdown(c) : SSL_get_shutdown((c)->ssl))
#define FORWARD_IS_OPEN(c, open) ((c)->forward ? forward_is_open(c, open) : (open))
#define FORWARD_HUNG_UP(c, hup) ((hup) && (!(c)->forward || forward_hung_up(c)))
#define FORWARD_WANTS_INPUT(c, room) ((room) && (!(c)->forward || forward_wants_input(c)))
#define FORWARD_READSOCKET(c, fd, p, n) \
	((c)->forward ? forward_readsocket(c, fd, p, n) : readsocket(fd, p, n))
#define FORWARD_SOCKET_ERROR(c, fd) \
	((c)->forward ? forward_socket_error(c, fd) : get_socket_error(fd))
#define FORWARD_IDLE_TURNS(c, turns) ((c)->forward && forward_took(c) ? ((turns) = 0) : ++(turns))
#define FORWARD_SHUTDOWN(c) ((c)->forward ? forward_shutdown(c) : SSL_shutdown((c)->ssl))

#endif
