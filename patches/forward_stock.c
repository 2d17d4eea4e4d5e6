/* SPDX-License-Identifier: ISC */
#include "forward_stock.h"

#include "tls/facts.h"

#if !STOCK_HAS_SERIAL
#include <stdatomic.h>
#endif

unsigned long long stock_serial(const CLI *c)
{
#if STOCK_HAS_SERIAL
	return c->seq;
#else
	static atomic_ullong last;

	(void)c;
	return atomic_fetch_add(&last, 1) + 1;
#endif
}

const char *stock_client_text(CLI *c, char text[STOCK_CLIENT_TEXT_MAX])
{
#if STOCK_HAS_CLIENT_TEXT
	const char *found = c->accepted_address;

	snprintf(text, STOCK_CLIENT_TEXT_MAX, "%s", found ? found : "a descriptor");
#else
	char *found = c->local_rfd.is_socket ? s_ntop(&c->peer_addr, c->peer_addr_len) : NULL;

	snprintf(text, STOCK_CLIENT_TEXT_MAX, "%s", found ? found : "a descriptor");
	if (found)
		str_free(found);
#endif
	return text;
}

#if STOCK_HAS_CLIENT_TEXT
static void replace_text(char **text, char *with)
{
	if (*text)
		str_free(*text);
	*text = with;
}
#endif

void stock_set_client(CLI *c, const struct facts_addr *client)
{
	SOCKADDR_UNION *to = &c->peer_addr;

	if (client->family == FACTS_IPV4) {
		memset(to, 0, sizeof *to);
		to->in.sin_family = AF_INET;
		memcpy(&to->in.sin_addr, client->ip, 4);
		to->in.sin_port = htons(client->port);
		c->peer_addr_len = sizeof to->in;
	}
#if STOCK_IPV6
	if (client->family == FACTS_IPV6) {
		memset(to, 0, sizeof *to);
		to->in6.sin6_family = AF_INET6;
		memcpy(&to->in6.sin6_addr, client->ip, 16);
		to->in6.sin6_port = htons(client->port);
		c->peer_addr_len = sizeof to->in6;
	}
#endif
#if STOCK_HAS_CLIENT_TEXT
	replace_text(&c->accepted_address, s_ntop(to, c->peer_addr_len));
#endif
}

#if !STOCK_HAS_COPIES_ADDRESS
int stock_copy_address(CRYPTO_EX_DATA *to, const CRYPTO_EX_DATA *from, stock_copied data, int index,
		       long number, void *name)
{
	SOCKADDR_UNION **address = (SOCKADDR_UNION **)data;
	SOCKADDR_UNION *copied = *address;

	(void)to, (void)from, (void)index, (void)number, (void)name;
	if (copied) {
		*address = str_alloc_detached(addr_len(copied));
		memcpy(*address, copied, addr_len(copied));
	}
	return 1;
}
#endif

/* --- time ------------------------------------------------------------------------------------- */

uint64_t stock_now(void)
{
#ifdef USE_WIN32
	return GetTickCount64() + 1;
#else
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 + 1;
#endif
}

#ifdef USE_POLL
static struct pollfd *polled(const CLI *c, SOCKET fd)
{
	for (unsigned i = 0; i < c->fds->nfds; i++)
		if (c->fds->ufds[i].fd == fd)
			return &c->fds->ufds[i];
	return NULL;
}

int stock_poll(CLI *c, SOCKET fd, bool more, int sec, int msec)
{
	struct pollfd *p = polled(c, fd);
	int n;

	if (!p)
		return s_poll_wait(c->fds, sec, msec);
	if (p->events == 0)
		p->fd = -1; /* a hangup, of which poll() tells all the same, has to wait */
	more = more && (p->events & POLLIN);
	n = more ? s_poll_wait(c->fds, 0, 0) : s_poll_wait(c->fds, sec, msec);
	if (n < 0)
		return n;
	if (p->revents & ~(POLLIN | POLLOUT))
		p->revents = p->events & (POLLIN | POLLOUT);
	if (!more || (p->revents & POLLIN))
		return n;
	p->revents |= POLLIN;
	return n + 1;
}
#else
#if STOCK_HAS_FD_SET_POINTERS
#define FD_SET_OF(set) (set)
#else
#define FD_SET_OF(set) (&(set))
#endif

/* select() tells of an end and an error as of what can be read or written. */
int stock_poll(CLI *c, SOCKET fd, bool more, int sec, int msec)
{
	int n;

	more = more && FD_ISSET(fd, FD_SET_OF(c->fds->irfds));
	n = more ? s_poll_wait(c->fds, 0, 0) : s_poll_wait(c->fds, sec, msec);
	if (n < 0 || !more || FD_ISSET(fd, FD_SET_OF(c->fds->orfds)))
		return n;
	FD_SET(fd, FD_SET_OF(c->fds->orfds));
	return n + 1;
}
#endif

void stock_poll_for_input(CLI *c, SOCKET fd)
{
#if STOCK_HAS_POLL_OF_MAIN
	s_poll_init(c->fds, 0);
#else
	s_poll_init(c->fds);
#endif
	s_poll_add(c->fds, fd, 1, 0);
}

/* --- certificates ----------------------------------------------------------------------------- */

static bool has_redirect(const SERVICE_OPTIONS *section)
{
#if STOCK_HAS_REDIRECT_LIST
	return section->redirect_list != NULL;
#elif STOCK_HAS_REDIRECT
	return section->redirect_addr.names != NULL;
#else
	(void)section;
	return false;
#endif
}

struct tls_judging stock_judging(const SERVICE_OPTIONS *section)
{
#if STOCK_HAS_VERIFY_LEVEL
	/* verify = 1 to 3 checks the chain; 4 checks only that the leaf is installed. */
	bool judged = section->verify_level > 0;
	bool chain = judged && section->verify_level < 4;
#else
	bool judged = section->option.verify_chain || section->option.verify_peer;
	bool chain = section->option.verify_chain;
#endif
	return (struct tls_judging){judged && !has_redirect(section), chain, !chain};
}

bool stock_asks_for_certificates(const SERVICE_OPTIONS *section)
{
#if STOCK_HAS_VERIFY_LEVEL
	return section->verify_level > 0;
#else
	return section->option.require_cert || section->option.verify_chain ||
	       section->option.verify_peer;
#endif
}

/* --- a section's options ---------------------------------------------------------------------- */

bool stock_frees_sections(void)
{
	return STOCK_HAS_CMD_SET_VALUE || STOCK_HAS_CMD_DUP;
}

bool stock_has_protocol(const SERVICE_OPTIONS *section)
{
#if STOCK_HAS_PROTOCOL_NUMBER
	return section->protocol >= 0;
#else
	return section->protocol != NULL;
#endif
}

bool stock_protocol_is(const SERVICE_OPTIONS *section, const char *name)
{
#if STOCK_HAS_PROTOCOL_NUMBER
	return section->protocol >= 0 && section->protocol == find_protocol_id(name);
#else
	return section->protocol && !strcasecmp(section->protocol, name);
#endif
}

bool stock_has_datagrams(const SERVICE_OPTIONS *section)
{
#if STOCK_HAS_DATAGRAMS
	return section->sock_type == SOCK_DGRAM;
#else
	(void)section;
	return false;
#endif
}

/* Without section->sni (before 4.53) any section may lead to any other; 4.53 has cut its colon. */
bool stock_name_leads_from(const SERVICE_OPTIONS *other, const SERVICE_OPTIONS *section)
{
#if STOCK_HAS_SNI
	size_t len = section->sni ? strcspn(section->sni, ":") : 0;

	return len > 0 && strlen(other->servname) == len &&
	       !memcmp(other->servname, section->sni, len);
#else
	return other != section;
#endif
}

static void set_option(SERVICE_OPTIONS *section, unsigned long option)
{
#if STOCK_HAS_OPTIONS_SET
	section->ssl_options_set |= option;
#else
	section->ssl_options |= (long)option;
#endif
}

void stock_refuse_tickets(SERVICE_OPTIONS *section)
{
	set_option(section, SSL_OP_NO_TICKET);
}

void stock_refuse_renegotiation(SERVICE_OPTIONS *s)
{
#if STOCK_HAS_RENEGOTIATION
	s->option.renegotiation = 0;
#else
	set_option(s, SSL_OP_NO_RENEGOTIATION);
#endif
}

/* --- sockets ---------------------------------------------------------------------------------- */

/* In releases without s_poll_err() transfer() itself gives up a connection that has an error. */
bool stock_socket_failed(const CLI *c, SOCKET fd)
{
#if STOCK_HAS_POLL_ERR
	if (s_poll_err(c->fds, fd))
		return true;
#endif
#if STOCK_HAS_POLL_HUP
	return s_poll_hup(c->fds, fd);
#else
	(void)c;
	(void)fd;
	return false;
#endif
}

bool stock_doubts_end(const CLI *c, SOCKET fd)
{
	return !STOCK_HAS_END_ALONE && stock_socket_failed(c, fd);
}

void stock_set_interrupted(void)
{
#ifdef USE_WIN32
	WSASetLastError(S_EINTR);
#else
	errno = S_EINTR;
#endif
}

bool stock_is_temporary(int error)
{
	return error == S_EINTR || error == S_EWOULDBLOCK || error == S_EAGAIN;
}

void stock_write(CLI *c, SOCKET fd, const char *p, size_t len)
{
#if STOCK_HAS_S_WRITE
	s_write(c, fd, (void *)(uintptr_t)p, len); /* before 5.02 the parameter is not const */
#else
	write_blocking(c, fd, (void *)(uintptr_t)p, (int)len);
#endif
}
