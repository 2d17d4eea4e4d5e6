/* SPDX-License-Identifier: ISC */
#include "sys/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/ip.h"
#include "sys/log.h"

#define LOOKUP_STACK (256 * 1024) /* a module of nsswitch.conf may need more than glibc's own */

/* --- addresses -------------------------------------------------------------------------------- */

static bool append_addr(struct net_addrs *list, const void *sa, socklen_t len)
{
	struct net_addr *grown = realloc(list->addr, (list->count + 1) * sizeof *grown);

	if (!grown)
		return false;
	list->addr = grown;
	memset(&grown[list->count], 0, sizeof grown[0]);
	memcpy(&grown[list->count].u, sa, len);
	grown[list->count++].len = len;
	return true;
}

bool net_append(struct net_addrs *list, const struct net_addrs *more)
{
	size_t had = list->count;

	for (size_t i = 0; i < more->count; i++) {
		if (append_addr(list, &more->addr[i].u, more->addr[i].len))
			continue;
		list->count = had;
		return false;
	}
	return true;
}

static enum net_answer no_memory(char why[static 256])
{
	snprintf(why, 256, "Out of memory");
	return NET_NO_ANSWER;
}

static enum net_answer resolve_path(const char *path, struct net_addrs *list, char why[static 256])
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	size_t len = strlen(path);

	if (len >= sizeof un.sun_path) {
		snprintf(why, 256, "Unix socket path is too long");
		return NET_MALFORMED;
	}
	memcpy(un.sun_path, path, len + 1);
	return append_addr(list, &un, sizeof un) ? NET_RESOLVED : no_memory(why);
}

/* [HOST:]PORT, in two. */
struct endpoint {
	char name[256];
	const char *host; /* the name, or NULL */
	const char *port;
};

static bool split(const char *text, struct endpoint *e)
{
	const char *colon = strrchr(text, ':');

	*e = (struct endpoint){.port = colon ? colon + 1 : text};
	if (!colon)
		return true;
	if (colon == text || (size_t)(colon - text) >= sizeof e->name)
		return false;
	snprintf(e->name, sizeof e->name, "%.*s", (int)(colon - text), text);
	e->host = e->name;
	return true;
}

static int ask(const struct endpoint *e, int flags, struct addrinfo **found)
{
	struct addrinfo hints = {
		.ai_flags = flags, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

	return getaddrinfo(e->host, e->port, &hints, found);
}

/* Whether a look-up may have failed for nothing but AI_ADDRCONFIG. */
static bool of_another_family(int rc)
{
	switch (rc) {
#ifdef EAI_ADDRFAMILY
	case EAI_ADDRFAMILY:
#endif
#ifdef EAI_NODATA
	case EAI_NODATA:
#endif
	case EAI_NONAME:
		return true;
	default:
		return false;
	}
}

/*
 * Addresses in figures never get as far as the name service. A name is first asked for in the
 * families that this host has an address of, beside the loopback's: ::1 of a host without IPv6 is
 * found only by asking again. That is worth it after an answer only: a name service that was silent
 * once would be as silent, and for as long, a second time.
 */
static int look_up(const struct endpoint *e, bool passive, struct addrinfo **found)
{
	int flags = passive ? AI_PASSIVE : 0;
	int rc = e->host ? ask(e, flags | AI_NUMERICHOST, found) : EAI_NONAME;

	if (rc == EAI_NONAME)
		rc = ask(e, flags | AI_ADDRCONFIG, found);
	if (of_another_family(rc))
		rc = ask(e, flags, found);
	return rc;
}

static enum net_answer not_found(const struct endpoint *e, int rc, char why[static 256])
{
	if (rc == EAI_SERVICE) {
		snprintf(why, 256, "Unknown TCP service \"%.200s\"", e->port);
		return NET_MALFORMED;
	}
	snprintf(why, 256, "Error resolving \"%.150s\": %s", e->name,
		 rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
	return of_another_family(rc) ? NET_UNKNOWN : NET_NO_ANSWER;
}

enum net_answer net_resolve(const char *text, bool passive, struct net_addrs *list,
			    char why[static 256])
{
	size_t had = list->count;
	struct addrinfo *found;
	struct endpoint e;
	bool ok = true;
	int rc;

	if (text[0] == '/')
		return resolve_path(text, list, why);
	if (!split(text, &e)) {
		snprintf(why, 256, "No host before the colon of \"%.200s\"", text);
		return NET_MALFORMED;
	}
	rc = look_up(&e, passive, &found);
	if (rc != 0)
		return not_found(&e, rc, why);
	for (struct addrinfo *ai = found; ai && ok; ai = ai->ai_next)
		ok = append_addr(list, ai->ai_addr, ai->ai_addrlen);
	freeaddrinfo(found);
	if (ok)
		return NET_RESOLVED;
	list->count = had;
	return no_memory(why);
}

bool net_is_name(const char *text)
{
	struct addrinfo *found;
	struct endpoint e;
	int rc;

	if (text[0] == '/' || !split(text, &e) || !e.host)
		return false;
	rc = ask(&e, AI_NUMERICHOST, &found);
	if (rc == 0)
		freeaddrinfo(found);
	return rc == EAI_NONAME;
}

static void *run_lookup(void *argument)
{
	struct net_lookup *lookup = argument;

	lookup->answer = net_resolve(lookup->text, lookup->passive, &lookup->found, lookup->why);
	lookup->done(lookup);
	return NULL;
}

int net_lookup_start(struct net_lookup *lookup)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	lookup->found = (struct net_addrs){0};
	rc = pthread_attr_init(&attr);
	if (rc != 0)
		return -rc;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, LOOKUP_STACK);
	sigfillset(&all); /* signals are for the thread that knows what to do with them */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&thread, &attr, run_lookup, lookup);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -rc;
}

static const struct sockaddr_in *as_v4(const struct net_addr *addr)
{
	return (const struct sockaddr_in *)(const void *)&addr->u;
}

static const struct sockaddr_in6 *as_v6(const struct net_addr *addr)
{
	return (const struct sockaddr_in6 *)(const void *)&addr->u;
}

void net_text(const struct net_addr *addr, char text[static NET_TEXT_MAX])
{
	char ip[INET6_ADDRSTRLEN] = "?";

	switch (addr->u.sa.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &as_v4(addr)->sin_addr, ip, sizeof ip);
		snprintf(text, NET_TEXT_MAX, "%s:%u", ip, ntohs(as_v4(addr)->sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &as_v6(addr)->sin6_addr, ip, sizeof ip);
		snprintf(text, NET_TEXT_MAX, "%s:%u", ip, ntohs(as_v6(addr)->sin6_port));
		break;
	case AF_UNIX:
		if (addr->len <= sizeof(sa_family_t) || !addr->u.un.sun_path[0])
			snprintf(text, NET_TEXT_MAX, "unnamed socket");
		else
			snprintf(text, NET_TEXT_MAX, "localhost:%s", addr->u.un.sun_path);
		break;
	default:
		snprintf(text, NET_TEXT_MAX, "unresolvable address");
	}
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

bool net_equal(const struct net_addr *a, const struct net_addr *b)
{
	return a->len == b->len && memcmp(&a->u, &b->u, a->len) == 0;
}

bool net_is_unix(const struct net_addr *addr)
{
	return addr->u.sa.sa_family == AF_UNIX;
}

bool net_is_any_port(const struct net_addr *addr)
{
	switch (addr->u.sa.sa_family) {
	case AF_INET:
		return as_v4(addr)->sin_port == 0;
	case AF_INET6:
		return as_v6(addr)->sin6_port == 0;
	default:
		return false;
	}
}

static bool parse_number(const char *text, char end, int *n, const char **rest)
{
	char *stop;
	long value;

	errno = 0;
	value = strtol(text, &stop, 10);
	if (stop == text || (*stop != end && *stop != '\0') || errno != 0 || (int)value != value)
		return false;
	*n = (int)value;
	*rest = *stop ? stop + 1 : stop;
	return true;
}

/* --- options ---------------------------------------------------------------------------------- */

enum option_type {
	TYPE_FLAG,
	TYPE_INT,
	TYPE_LINGER,
	TYPE_TIME,
	TYPE_TEXT,
};

static const struct option_row {
	const char *name;
	int level;
	int option;
	enum option_type type;
	bool tcp_only; /* left out on a Unix socket */
} rows[] = {
	{"SO_DEBUG", SOL_SOCKET, SO_DEBUG, TYPE_FLAG, false},
	{"SO_DONTROUTE", SOL_SOCKET, SO_DONTROUTE, TYPE_FLAG, false},
	{"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, TYPE_FLAG, false},
	{"SO_LINGER", SOL_SOCKET, SO_LINGER, TYPE_LINGER, false},
	{"SO_OOBINLINE", SOL_SOCKET, SO_OOBINLINE, TYPE_FLAG, false},
	{"SO_RCVBUF", SOL_SOCKET, SO_RCVBUF, TYPE_INT, false},
	{"SO_SNDBUF", SOL_SOCKET, SO_SNDBUF, TYPE_INT, false},
	{"SO_RCVLOWAT", SOL_SOCKET, SO_RCVLOWAT, TYPE_INT, false},
	{"SO_SNDLOWAT", SOL_SOCKET, SO_SNDLOWAT, TYPE_INT, false},
	{"SO_RCVTIMEO", SOL_SOCKET, SO_RCVTIMEO, TYPE_TIME, false},
	{"SO_SNDTIMEO", SOL_SOCKET, SO_SNDTIMEO, TYPE_TIME, false},
	{"SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR, TYPE_FLAG, false},
#ifdef SO_BINDTODEVICE
	{"SO_BINDTODEVICE", SOL_SOCKET, SO_BINDTODEVICE, TYPE_TEXT, true},
#endif
#ifdef TCP_KEEPCNT
	{"TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, TYPE_INT, true},
#endif
#ifdef TCP_KEEPIDLE
	{"TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, TYPE_INT, true},
#endif
#ifdef TCP_KEEPINTVL
	{"TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL, TYPE_INT, true},
#endif
	{"IP_TOS", IPPROTO_IP, IP_TOS, TYPE_INT, true},
	{"IP_TTL", IPPROTO_IP, IP_TTL, TYPE_INT, true},
	{"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, TYPE_FLAG, true},
#ifdef IP_FREEBIND
	{"IP_FREEBIND", IPPROTO_IP, IP_FREEBIND, TYPE_FLAG, true},
#endif
	{"IPV6_V6ONLY", IPPROTO_IPV6, IPV6_V6ONLY, TYPE_FLAG, true},
};

#define ROWS (sizeof rows / sizeof rows[0])

static bool parse_value(const struct option_row *row, const char *text, struct net_option *option)
{
	const char *rest;

	switch (row->type) {
	case TYPE_FLAG:
		option->value[0] = !strcasecmp(text, "yes") || !strcmp(text, "1");
		return option->value[0] || !strcasecmp(text, "no") || !strcmp(text, "0");
	case TYPE_INT:
		return parse_number(text, '\0', &option->value[0], &rest);
	case TYPE_LINGER:
	case TYPE_TIME:
		if (!parse_number(text, ':', &option->value[0], &rest))
			return false;
		return !*rest || parse_number(rest, '\0', &option->value[1], &rest);
	case TYPE_TEXT:
		return snprintf(option->text, sizeof option->text, "%s", text) <
		       (int)sizeof option->text;
	}
	return false;
}

bool net_options_add(struct net_options *options, const char *text)
{
	struct net_option option = {.class = text[0]};
	const char *equals = strchr(text, '=');
	size_t i;

	if (!text[0] || !strchr("alr", text[0]) || text[1] != ':' || !equals)
		return false;
	for (option.row = 0; option.row < ROWS; option.row++) {
		size_t len = strlen(rows[option.row].name);

		if (len == (size_t)(equals - text) - 2 &&
		    !memcmp(rows[option.row].name, text + 2, len))
			break;
	}
	if (option.row == ROWS || !parse_value(&rows[option.row], equals + 1, &option))
		return false;
	for (i = 0; i < options->count; i++)
		if (options->option[i].class == option.class &&
		    options->option[i].row == option.row)
			break;
	if (i == NET_OPTIONS_MAX)
		return false;
	options->option[i] = option;
	if (i == options->count)
		options->count++;
	return true;
}

void net_options_default(struct net_options *options)
{
	options->count = 0;
	net_options_add(options, "a:SO_REUSEADDR=yes");
	net_options_add(options, "l:TCP_NODELAY=yes");
	net_options_add(options, "r:TCP_NODELAY=yes");
}

static int set_option(int fd, const struct option_row *row, const struct net_option *option)
{
	struct linger linger = {option->value[0], option->value[1]};
	struct timeval time = {option->value[0], option->value[1]};

	switch (row->type) {
	case TYPE_FLAG:
	case TYPE_INT:
		return setsockopt(fd, row->level, row->option, option->value, sizeof(int));
	case TYPE_LINGER:
		return setsockopt(fd, row->level, row->option, &linger, sizeof linger);
	case TYPE_TIME:
		return setsockopt(fd, row->level, row->option, &time, sizeof time);
	case TYPE_TEXT:
		return setsockopt(fd, row->level, row->option, option->text,
				  (socklen_t)strlen(option->text) + 1);
	}
	return 0;
}

int net_options_set(const struct net_options *options, enum net_class class, int fd)
{
	int family = 0;
	socklen_t len = sizeof family;

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len);
	for (size_t i = 0; i < options->count; i++) {
		const struct net_option *option = &options->option[i];
		const struct option_row *row = &rows[option->row];

		if (option->class != (char)class || (family == AF_UNIX && row->tcp_only))
			continue;
		if (set_option(fd, row, option) == 0 || errno == EOPNOTSUPP)
			continue;
		log_main(LOG_ERR, "%s: %s (%d)", row->name, strerror(errno), errno);
		return -errno;
	}
	return 0;
}

/* --- sockets ---------------------------------------------------------------------------------- */

static int open_socket(const struct net_addr *addr)
{
	int fd = socket(addr->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

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
	 * Set before bind() the option would let us share the port with any other process of the
	 * same user, and "address already in use" would go unseen. Set after it, the further
	 * sockets of ours may still join.
	 */
	if (shared && !join && set_reuseport(fd) != 0)
		return -1;
	return listen(fd, SOMAXCONN);
}

int net_listen(const struct net_addr *addr, const struct net_options *options, bool shared,
	       bool join)
{
	int fd = open_socket(addr);
	int rc;

	if (fd < 0)
		return fd;
	rc = net_options_set(options, NET_ACCEPT, fd);
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

static const struct net_option *find_option(const struct net_options *options, enum net_class class,
					    const char *name)
{
	for (size_t i = 0; i < options->count; i++)
		if (options->option[i].class == (char)class &&
		    !strcmp(rows[options->option[i].row].name, name))
			return &options->option[i];
	return NULL;
}

static bool is_wildcard(const struct facts_addr *facts)
{
	static const uint8_t any[sizeof facts->ip];

	return !memcmp(facts->ip, any, sizeof any);
}

/* Whether it is `::` for IPv4, too. What holds where nothing is said is the system's to tell. */
static bool takes_ipv4(const struct facts_addr *facts, const struct net_options *options)
{
	const struct net_option *option = find_option(options, NET_ACCEPT, "IPV6_V6ONLY");
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

/* Of listeners on different network devices each has the port for itself. */
static bool on_other_devices(const struct net_options *a, const struct net_options *b)
{
	const struct net_option *one = find_option(a, NET_ACCEPT, "SO_BINDTODEVICE");
	const struct net_option *other = find_option(b, NET_ACCEPT, "SO_BINDTODEVICE");

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

int net_accept(int fd, struct net_addr *peer)
{
	int accepted;

	do {
		memset(peer, 0, sizeof *peer);
		peer->len = sizeof peer->u;
		accepted = accept4(fd, &peer->u.sa, &peer->len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		/* A client that is gone already is no error of the listener's. */
	} while (accepted < 0 && (errno == EINTR || errno == ECONNABORTED));
	return accepted < 0 ? -errno : accepted;
}

int net_connect(const struct net_addr *addr, const struct net_options *options, bool *now)
{
	int fd = open_socket(addr);
	int rc;

	*now = false;
	if (fd < 0)
		return fd;
	net_options_set(options, NET_REMOTE, fd);
	if (connect(fd, &addr->u.sa, addr->len) == 0) {
		*now = true;
		return fd;
	}
	if (errno == EINPROGRESS)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

int net_connected(int fd)
{
	int error = 0;
	socklen_t len = sizeof error;
	union {
		struct sockaddr sa;
		struct sockaddr_storage storage;
	} peer;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		return -errno;
	if (error != 0)
		return -error;
	/* There is no error either while the connect is still under way. */
	len = sizeof peer;
	if (getpeername(fd, &peer.sa, &len) == 0)
		return 0;
	return errno == ENOTCONN ? -EINPROGRESS : -errno;
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
	case ENOENT: /* of a Unix path */
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

ssize_t net_read(int fd, char *p, size_t len)
{
	ssize_t n;

	do
		n = recv(fd, p, len, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t net_write(int fd, const char *p, size_t len)
{
	ssize_t n;

	do
		n = send(fd, p, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

void net_shutdown(int fd)
{
	shutdown(fd, SHUT_WR);
}

void net_close(int fd, bool reset)
{
	struct linger linger = {reset, 0};

	/* With l:SO_LINGER close() would wait, and with it every connection of the worker. */
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	close(fd);
}
