/* SPDX-License-Identifier: ISC */
#ifndef NET_H
#define NET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "core/facts.h"

/* The one door to sockets and the resolver. Results are >= 0, errors -errno. */

#define NET_TEXT_MAX 128 /* "IP:PORT", or a Unix path of at most 107 bytes with "localhost:" */

struct net_addr {
	socklen_t len;
	union {
		struct sockaddr sa;
		struct sockaddr_storage storage;
		struct sockaddr_un un;
	} u;
};

struct net_addrs {
	struct net_addr *addr;
	size_t count;
};

/* What became of an address's text. */
enum net_answer {
	NET_RESOLVED = 0,
	NET_MALFORMED, /* no address in any circumstances: its form, or the name of its port */
	NET_UNKNOWN,   /* the name service knows no such host */
	NET_NO_ANSWER, /* the name service could not be asked, or has not answered */
};

/*
 * Resolves stunnel's address form: PORT, HOST:PORT split at the last colon, or a Unix path, and
 * appends what it finds to *list, whose memory is the caller's to free. passive: for listening,
 * where no host means any address; else it means the loopback. Blocks where HOST is a name. What
 * is not NET_RESOLVED appends nothing and has the reason in why.
 */
enum net_answer net_resolve(const char *text, bool passive, struct net_addrs *list,
			    char why[static 256]);

/* Appends a copy of more; false without memory, and then *list is as it was. */
bool net_append(struct net_addrs *list, const struct net_addrs *more);

/* Whether net_resolve() would ask the name service, and so may block. */
bool net_is_name(const char *text);

/* A look-up in a thread of its own: nobody can tell how long a name service takes. */
struct net_lookup {
	const char *text;
	bool passive;
	/* Called in the thread when the rest is filled; the look-up is its own from there on. */
	void (*done)(struct net_lookup *lookup);
	enum net_answer answer;
	struct net_addrs found; /* to be freed */
	char why[256];
};

/* Begins it; 0, or -errno if there can be no thread, and then done is never called. */
int net_lookup_start(struct net_lookup *lookup);

/* IP:PORT without brackets, as stunnel writes it; `unnamed socket` for a Unix client. */
void net_text(const struct net_addr *addr, char text[static NET_TEXT_MAX]);

/* Fills bytes and text; an IPv4-mapped address becomes IPv4, a zone index is left out. */
void net_facts(const struct net_addr *addr, struct facts_addr *facts);

bool net_equal(const struct net_addr *a, const struct net_addr *b);
bool net_is_unix(const struct net_addr *addr);

/* Whether the system is to choose the port. */
bool net_is_any_port(const struct net_addr *addr);

/* --- options of `socket = C:OPTION=VALUE` --------------------------------------------------- */

#define NET_OPTIONS_MAX 48

enum net_class {
	NET_ACCEPT = 'a', /* listening */
	NET_LOCAL = 'l',  /* accepted */
	NET_REMOTE = 'r', /* connected */
};

/* The options of one service, copied by value; zeroed: none. */
struct net_options {
	size_t count;
	struct net_option {
		char class;
		unsigned char row; /* of the table in net.c */
		int value[2];
		char text[16];
	} option[NET_OPTIONS_MAX];
};

/* The options that are set unless the configuration says otherwise. */
void net_options_default(struct net_options *options);

/* Adds one, replacing an earlier one of the same class and name; false if it cannot be. */
bool net_options_add(struct net_options *options, const char *text);

/* Sets those of a class on a socket; an error is logged at LOG_ERR and returned. */
int net_options_set(const struct net_options *options, enum net_class class, int fd);

/* --- sockets: all non-blocking and close-on-exec ---------------------------------------------- */

/*
 * A bound and listening socket. shared: more sockets will be bound to the same address, each with
 * a backlog of its own (SO_REUSEPORT); the first one still finds a foreign listener in the way.
 * join: this is one of those further sockets.
 */
int net_listen(const struct net_addr *addr, const struct net_options *options, bool shared,
	       bool join);

/* Whether two listeners, with their options, would be in each other's way. */
bool net_collide(const struct net_addr *a, const struct net_options *a_options,
		 const struct net_addr *b, const struct net_options *b_options);

/* The address that a socket is bound to, or connected to. */
int net_local(int fd, struct net_addr *addr);

/* A connection that waits; -EAGAIN if there is none. */
int net_accept(int fd, struct net_addr *peer);

/* Begins to connect: the socket; *now tells whether it is connected already. */
int net_connect(const struct net_addr *addr, const struct net_options *options, bool *now);

/* How a connect that was under way ended: 0 or -errno; -EINPROGRESS: it has not yet. */
int net_connected(int fd);

/* Whether an error of these two is the other side's, or the way's, and no shortage of ours. */
bool net_blames_peer(int error);

ssize_t net_read(int fd, char *p, size_t len); /* 0 at the end */
ssize_t net_peek(int fd, char *p, size_t len); /* the bytes stay */
ssize_t net_write(int fd, const char *p, size_t len);
void net_shutdown(int fd); /* of the sending direction */

/* Closes; reset: with RST instead of FIN, so the peer sees an abort. */
void net_close(int fd, bool reset);

#endif
