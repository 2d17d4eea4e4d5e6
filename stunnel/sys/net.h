/* SPDX-License-Identifier: ISC */
#ifndef NET_H
#define NET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "core/facts.h"
#include "sys/net_options.h"

/* Addresses, and the one door to sockets. Results are >= 0, errors -errno. */

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

/* Appends a copy of more; false without memory, and then *list is as it was. */
bool net_append(struct net_addrs *list, const struct net_addrs *more);

/* IP:PORT without brackets, as stunnel writes it; `unnamed socket` for a Unix client. */
void net_text(const struct net_addr *addr, char text[static NET_TEXT_MAX]);

/* The address that *facts has; false: none. */
bool net_of_facts(const struct facts_addr *facts, struct net_addr *addr);

/* Fills *facts, bytes and text; an IPv4-mapped address becomes IPv4, a zone index is left out. */
void net_facts(const struct net_addr *addr, struct facts_addr *facts);

bool net_equal(const struct net_addr *a, const struct net_addr *b);
bool net_is_unix(const struct net_addr *addr);
bool net_same_port(const struct net_addr *a, const struct net_addr *b); /* false: one has none */
bool net_same_family(const struct net_addr *a, const struct net_addr *b);

/* --- sockets: all non-blocking and close-on-exec ---------------------------------------------- */

/*
 * A bound and listening socket. shared: more sockets will be bound to the same address, each with
 * a backlog of its own (SO_REUSEPORT); the first one still finds a foreign listener in the way.
 * join: this is one of those further sockets.
 */
int net_listen(const struct net_addr *addr, const struct net_options *options, bool shared,
	       bool join);

/*
 * Makes a listening stream socket of somebody else's as net_listen() would have made it, and tells
 * where it is bound; -EINVAL: it is none.
 */
int net_take_listener(int fd, struct net_addr *bound);

/* Whether two listeners, with their options, would be in each other's way. */
bool net_collide(const struct net_addr *a, const struct net_options *a_options,
		 const struct net_addr *b, const struct net_options *b_options);

/* The address that a socket is bound to, or connected to. */
int net_local(int fd, struct net_addr *addr);

/* The address of the other end of a connection; -ENOTSOCK: fd is none. */
int net_peer(int fd, struct net_addr *addr);

/* A connection that waits; -EAGAIN if there is none. */
int net_accept(int fd, struct net_addr *peer);

/* Where a connection comes from, and how it begins. */
struct net_source {
	const struct net_addr *addr; /* NULL: from where the system likes; the port is ignored */
	bool foreign; /* not of this host: its port is kept where it is not a privileged one */
	bool speaks; /* bytes are sent as soon as it is there: the handshake's ACK waits for them */
};

/* 0, or -errno: why this process could not connect from foreign addresses. */
int net_foreign(void);

/*
 * The address that the accepted socket's client meant, before a rule of the packet filter
 * redirected it here; -errno if the kernel knows of none.
 */
int net_destination(int fd, struct net_addr *addr);

/* Begins to connect: the socket; *now tells whether it is connected already. */
int net_connect(const struct net_addr *addr, const struct net_source *source,
		const struct net_options *options, bool *now);

/* How net_connect() ended: 0 or -errno; -EINPROGRESS: it has not ended yet. */
int net_connected(int fd);

/* A socket for datagrams to and from that address alone. */
int net_datagrams(const struct net_addr *addr);

/* Whether an error of net_connect() and net_connected() is due to the peer or the network, not to a
 * lack of ours. */
bool net_blames_peer(int error);

ssize_t net_read(int fd, char *p, size_t len); /* 0 at the end */
ssize_t net_peek(int fd, char *p, size_t len); /* the bytes stay */
ssize_t net_write(int fd, const char *p, size_t len);
/* As net_write(), of bytes that wait for close(2), 200 ms at most, to share a segment with FIN. */
ssize_t net_write_last(int fd, const char *p, size_t len);

/*
 * Ends the sending direction: of a socket, which is both `in` and `out`, or by closing what `out`
 * stands for. Its number stays the caller's to close, and must not be written to any more.
 */
void net_shutdown(int in, int out);

/* Closes; reset: with RST instead of FIN, so the peer sees an abort. */
void net_close(int fd, bool reset);

#endif
