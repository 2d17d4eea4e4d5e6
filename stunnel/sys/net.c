/* SPDX-License-Identifier: ISC */
#include "sys/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter_ipv4.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/ip.h"
#include "core/out.h"

/* As in <linux/netfilter_ipv6/ip6_tables.h>, which does not go with <netinet/in.h>. */
#define IP6T_SO_ORIGINAL_DST 80

/* --- addresses -------------------------------------------------------------------------------- */

bool net_append(struct net_addrs *list, const struct net_addrs *more)
{
	struct net_addr *grown;

	if (more->count == 0)
		return true;
	grown = realloc(list->addr, (list->count + more->count) * sizeof *grown);
	if (!grown)
		return false;
	memcpy(grown + list->count, more->addr, more->count * sizeof *grown);
	list->addr = grown;
	list->count += more->count;
	return true;
}

static const struct sockaddr_in *as_v4(const struct net_addr *addr)
{
	return (const struct sockaddr_in *)(const void *)&addr->u;
}

static const struct sockaddr_in6 *as_v6(const struct net_addr *addr)
{
	return (const struct sockaddr_in6 *)(const void *)&addr->u;
}

static void unix_text(const struct net_addr *addr, char text[static NET_TEXT_MAX])
{
	if (addr->len <= sizeof(sa_family_t) || !addr->u.un.sun_path[0])
		snprintf(text, NET_TEXT_MAX, "unnamed socket");
	else
		snprintf(text, NET_TEXT_MAX, "localhost:%s", addr->u.un.sun_path);
}

/* As in headers, so that an IPv4 client of a socket for both families reads as one of IPv4. */
void net_text(const struct net_addr *addr, char text[static NET_TEXT_MAX])
{
	struct out out = out_of(text, NET_TEXT_MAX - 1);
	struct facts_addr facts;

	if (addr->u.sa.sa_family == AF_UNIX) {
		unix_text(addr, text);
		return;
	}
	net_facts(addr, &facts);
	if (facts.family == FACTS_NONE) {
		snprintf(text, NET_TEXT_MAX, "unresolvable address");
		return;
	}
	out_put(&out, span_of(facts.text, facts.text_len));
	out_char(&out, ':');
	out_decimal(&out, facts.port);
	text[out.len] = '\0';
}

void net_facts(const struct net_addr *addr, struct facts_addr *facts)
{
	memset(facts, 0, sizeof *facts);
	if (addr->u.sa.sa_family == AF_INET) {
		facts->family = FACTS_IPV4;
		memcpy(facts->ip, &as_v4(addr)->sin_addr, 4);
		facts->port = ntohs(as_v4(addr)->sin_port);
	} else if (addr->u.sa.sa_family == AF_INET6) {
		facts->family = FACTS_IPV6;
		memcpy(facts->ip, &as_v6(addr)->sin6_addr, 16);
		facts->port = ntohs(as_v6(addr)->sin6_port);
	}
	ip_facts(facts);
}

bool net_of_facts(const struct facts_addr *facts, struct net_addr *addr)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(facts->port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(facts->port)};

	memset(addr, 0, sizeof *addr);
	if (facts->family == FACTS_IPV4) {
		memcpy(&v4.sin_addr, facts->ip, 4);
		memcpy(&addr->u, &v4, sizeof v4);
		addr->len = sizeof v4;
	} else if (facts->family == FACTS_IPV6) {
		memcpy(&v6.sin6_addr, facts->ip, 16);
		memcpy(&addr->u, &v6, sizeof v6);
		addr->len = sizeof v6;
	}
	return addr->len != 0;
}

bool net_equal(const struct net_addr *a, const struct net_addr *b)
{
	return a->len == b->len && memcmp(&a->u, &b->u, a->len) == 0;
}

bool net_is_unix(const struct net_addr *addr)
{
	return addr->u.sa.sa_family == AF_UNIX;
}

bool net_same_family(const struct net_addr *a, const struct net_addr *b)
{
	return a->u.sa.sa_family == b->u.sa.sa_family;
}

bool net_same_port(const struct net_addr *a, const struct net_addr *b)
{
	struct facts_addr first, second;

	net_facts(a, &first);
	net_facts(b, &second);
	return first.port != 0 && first.port == second.port;
}

/* --- sockets ---------------------------------------------------------------------------------- */

static int open_socket(const struct net_addr *addr, int type)
{
	int fd = socket(addr->u.sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

static int set_reuseport(int fd)
{
	int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
}

static int bind_and_listen(int fd, const struct net_addr *addr, bool shared, bool join)
{
	if (join && set_reuseport(fd) != 0)
		return -1;
	if (bind(fd, &addr->u.sa, addr->len) != 0)
		return -1;
	/*
	 * SO_REUSEPORT set before bind() would share the port with any process of the same user
	 * that sets it too, and hide EADDRINUSE. Set after bind(), it still lets the further
	 * sockets of this daemon join.
	 */
	if (shared && !join && set_reuseport(fd) != 0)
		return -1;
	return listen(fd, SOMAXCONN);
}

int net_listen(const struct net_addr *addr, const struct net_options *options, bool shared,
	       bool join)
{
	int fd = open_socket(addr, SOCK_STREAM);
	int rc;

	if (fd < 0)
		return fd;
	rc = net_options_set(options, NET_ACCEPT, addr->u.sa.sa_family, fd);
	if (rc != 0) {
		close(fd);
		return rc;
	}
	if (bind_and_listen(fd, addr, shared, join) != 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

/* 0 seconds: close() resets; off: it sends what is left, without waiting for that. */
static void set_linger(int fd, bool on)
{
	struct linger linger = {on, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

static bool is_wildcard(const struct facts_addr *facts)
{
	static const uint8_t any[sizeof facts->ip];

	return !memcmp(facts->ip, any, sizeof any);
}

/* Whether the address is `::` for IPv4, too, by IPV6_V6ONLY or else net.ipv6.bindv6only. */
static bool takes_ipv4(const struct facts_addr *facts, const struct net_options *options)
{
	const struct net_option *option = net_options_find(options, NET_ACCEPT, "IPV6_V6ONLY");
	int fd, only = 0;
	socklen_t len = sizeof only;

	if (facts->family != FACTS_IPV6 || !is_wildcard(facts))
		return false;
	if (option)
		return option->value[0] == 0;
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &len);
	close(fd);
	return only == 0;
}

/* Listeners that SO_BINDTODEVICE binds to different network devices can share a port. */
static bool on_other_devices(const struct net_options *a, const struct net_options *b)
{
	const struct net_option *one = net_options_find(a, NET_ACCEPT, "SO_BINDTODEVICE");
	const struct net_option *other = net_options_find(b, NET_ACCEPT, "SO_BINDTODEVICE");

	return one && other && strcmp(one->text, other->text) != 0;
}

bool net_collide(const struct net_addr *a, const struct net_options *a_options,
		 const struct net_addr *b, const struct net_options *b_options)
{
	struct facts_addr one, other;

	if (net_is_unix(a) || net_is_unix(b))
		return net_equal(a, b);
	net_facts(a, &one);
	net_facts(b, &other);
	if (one.port == 0 || one.port != other.port || on_other_devices(a_options, b_options))
		return false;
	if (one.family != other.family)
		return takes_ipv4(&one, a_options) || takes_ipv4(&other, b_options);
	if (is_wildcard(&one) || is_wildcard(&other))
		return true;
	return one.family == FACTS_IPV4 ? !memcmp(one.ip, other.ip, 4) : net_equal(a, b);
}

int net_local(int fd, struct net_addr *addr)
{
	addr->len = sizeof addr->u;
	return getsockname(fd, &addr->u.sa, &addr->len) < 0 ? -errno : 0;
}

int net_take_listener(int fd, struct net_addr *bound)
{
	int listens = 0, type = 0;
	socklen_t len = sizeof listens;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0)
		return -errno;
	if (!listens || type != SOCK_STREAM)
		return -EINVAL;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
		return -errno;
	set_linger(fd, false); /* which accepted sockets inherit */
	return net_local(fd, bound);
}

int net_peer(int fd, struct net_addr *addr)
{
	addr->len = sizeof addr->u;
	return getpeername(fd, &addr->u.sa, &addr->len) == 0 ? 0 : -errno;
}

int net_accept(int fd, struct net_addr *peer)
{
	int accepted;

	do {
		memset(peer, 0, sizeof *peer);
		peer->len = sizeof peer->u;
		accepted = accept4(fd, &peer->u.sa, &peer->len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		/* ECONNABORTED: the client left the backlog; others may wait behind it. */
	} while (accepted < 0 && (errno == EINTR || errno == ECONNABORTED));
	return accepted < 0 ? -errno : accepted;
}

/* Sets a flag that IPv4 and IPv6 each have an option for. */
static bool set_flag(int fd, int family, int v4_option, int v6_option)
{
	int on = 1;

	return setsockopt(fd, family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP,
			  family == AF_INET6 ? v6_option : v4_option, &on, sizeof on) == 0;
}

/*
 * IP_FREEBIND needs no rights, but only with IP_TRANSPARENT do packets to a foreign address come
 * back to the socket; an address of this host, as in a test of a set-up, works with either.
 */
static bool allow_foreign(int fd, int family)
{
	return set_flag(fd, family, IP_TRANSPARENT, IPV6_TRANSPARENT) ||
	       set_flag(fd, family, IP_FREEBIND, IPV6_FREEBIND);
}

int net_foreign(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = 0;

	if (fd < 0 || !set_flag(fd, AF_INET, IP_TRANSPARENT, IPV6_TRANSPARENT))
		rc = -errno;
	if (fd >= 0)
		close(fd);
	return rc;
}

int net_destination(int fd, struct net_addr *addr)
{
	memset(addr, 0, sizeof *addr);
	addr->len = sizeof addr->u;
	if (getsockopt(fd, IPPROTO_IPV6, IP6T_SO_ORIGINAL_DST, &addr->u, &addr->len) == 0)
		return 0;
	addr->len = sizeof addr->u;
	return getsockopt(fd, IPPROTO_IP, SO_ORIGINAL_DST, &addr->u, &addr->len) < 0 ? -errno : 0;
}

static in_port_t *port_of(struct net_addr *addr)
{
	return addr->u.sa.sa_family == AF_INET6
		       ? &((struct sockaddr_in6 *)(void *)&addr->u)->sin6_port
		       : &((struct sockaddr_in *)(void *)&addr->u)->sin_port;
}

/* Without IP_BIND_ADDRESS_NO_PORT a port could be used for one target at a time only. */
static int bind_source(int fd, const struct net_source *source)
{
	struct net_addr addr = *source->addr;
	int family = addr.u.sa.sa_family, on = 1;

	if (source->foreign) {
		if (!allow_foreign(fd, family))
			return -1;
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
		if (ntohs(*port_of(&addr)) >= IPPORT_RESERVED &&
		    bind(fd, &addr.u.sa, addr.len) == 0)
			return 0;
	}
	*port_of(&addr) = 0;
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	return bind(fd, &addr.u.sa, addr.len);
}

/* The kernel's memory of it ends with the handshake: the first answers are acknowledged at once. */
static void delay_ack(int fd)
{
	int off = 0;

	setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof off);
}

int net_connect(const struct net_addr *addr, const struct net_source *source,
		const struct net_options *options, bool *now)
{
	int fd = open_socket(addr, SOCK_STREAM);
	int rc;

	*now = false;
	if (fd < 0)
		return fd;
	net_options_set(options, NET_REMOTE, addr->u.sa.sa_family, fd);
	if (source->speaks && !net_is_unix(addr))
		delay_ack(fd);
	if (!source->addr || bind_source(fd, source) == 0) {
		*now = connect(fd, &addr->u.sa, addr->len) == 0;
		if (*now || errno == EINPROGRESS)
			return fd;
	}
	rc = -errno;
	close(fd);
	return rc;
}

int net_datagrams(const struct net_addr *addr)
{
	int fd = open_socket(addr, SOCK_DGRAM);
	int rc;

	if (fd < 0 || connect(fd, &addr->u.sa, addr->len) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

int net_connected(int fd)
{
	int error = 0;
	socklen_t len = sizeof error;
	struct net_addr peer;
	int rc = net_peer(fd, &peer);

	if (rc != -ENOTCONN)
		return rc;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		return -errno;
	/* Only a connected socket has a peer, and only one that failed an error. */
	return error != 0 ? -error : -EINPROGRESS;
}

bool net_blames_peer(int error)
{
	switch (error) {
	case ECONNREFUSED:
	case ECONNRESET:
	case ECONNABORTED:
	case ETIMEDOUT:
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ENETUNREACH:
	case ENOENT: /* no socket at a Unix path */
		return true;
	default:
		return false;
	}
}

ssize_t net_peek(int fd, char *p, size_t len)
{
	ssize_t n = recv(fd, p, len, MSG_PEEK);

	return n < 0 ? -errno : n;
}

/* Of a program; Linux tells with EIO that nobody has the other end open any more. */
static ssize_t read_terminal(int fd, char *p, size_t len)
{
	ssize_t n = read(fd, p, len);

	if (n < 0 && errno == EIO)
		return 0;
	return n < 0 ? -errno : n;
}

ssize_t net_read(int fd, char *p, size_t len)
{
	ssize_t n;

	do
		n = recv(fd, p, len, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == ENOTSOCK)
		return read_terminal(fd, p, len);
	return n < 0 ? -errno : n;
}

static ssize_t write_with(int flags, int fd, const char *p, size_t len)
{
	ssize_t n;

	do
		n = send(fd, p, len, flags | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == ENOTSOCK)
		n = write(fd, p, len); /* a program's terminal */
	return n < 0 ? -errno : n;
}

ssize_t net_write(int fd, const char *p, size_t len)
{
	return write_with(0, fd, p, len);
}

ssize_t net_write_last(int fd, const char *p, size_t len)
{
	return write_with(MSG_MORE, fd, p, len);
}

void net_shutdown(int in, int out)
{
	if (shutdown(out, SHUT_WR) != 0 && errno == ENOTSOCK && in != out)
		dup3(in, out, O_CLOEXEC); /* an event loop may still watch that number */
}

void net_close(int fd, bool reset)
{
	if (reset)
		set_linger(fd, true);
	close(fd);
}
