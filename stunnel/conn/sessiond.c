/* SPDX-License-Identifier: ISC */
#include "conn/sessiond.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERSION 1
#define TIMEOUT_MAX 64800 /* seconds */

/* Types of packets beside the requests of enum tls_remote_verb. */
enum {
	FOUND = 0x81,
	MISSING = 0x80,
};

struct packet {
	unsigned char version, type;
	unsigned char timeout[2]; /* seconds; big-endian */
	unsigned char id[SESSIOND_ID_MAX];
	unsigned char session[SESSIOND_SESSION_MAX]; /* as much of it as the packet has */
};

#define HEAD offsetof(struct packet, session)

/* A socket that is connected to a daemon, so that the kernel drops what others send. */
struct sessiond_link {
	struct sessiond_link *next;
	struct net_addr daemon;
	int fd;
	struct watch watch;
	struct waiting *waiting; /* the first member of struct sessiond_wait */
};

/* --- packets ---------------------------------------------------------------------------------- */

static void answer(struct sessiond_wait *wait, const unsigned char *session, size_t len)
{
	wait->answered = true;
	wait->session = session;
	wait->len = len;
	waiting_wake(&wait->waiting);
}

/* Anybody can forge a datagram: one that answers no question is as if it had never come. */
static void take(struct sessiond_link *link, const struct packet *packet, size_t len)
{
	struct waiting *w = link->waiting;
	struct sessiond_wait *wait;

	if (len < HEAD || len > sizeof *packet || packet->version != VERSION ||
	    (packet->type != FOUND && packet->type != MISSING))
		return;
	while (w && memcmp(((struct sessiond_wait *)w)->id, packet->id, sizeof wait->id) != 0)
		w = w->next;
	wait = (struct sessiond_wait *)w;
	if (wait)
		answer(wait, packet->session, packet->type == FOUND ? len - HEAD : 0);
}

static bool await_packets(struct watch_set *watches, struct sessiond_link *link);

static void on_packet(struct watch *w, bool failed, int events)
{
	struct sessiond_link *link = w->owner;
	struct {
		struct packet packet;
		char more; /* tells a packet that is too long */
	} got;
	ssize_t n;

	(void)events;
	while ((n = net_read(link->fd, (char *)&got, sizeof got)) >= 0)
		take(link, &got.packet, (size_t)n);
	/* The daemon's host says that nobody listens there. */
	while (n != -EAGAIN && link->waiting)
		answer((struct sessiond_wait *)link->waiting, NULL, 0);
	if (failed) /* once more: the answers to later questions come here, too */
		await_packets(w->in, link);
}

static bool await_packets(struct watch_set *watches, struct sessiond_link *link)
{
	return watch_for(&link->watch, watches, link->fd, WATCH_READ, on_packet, link);
}

static bool send_packet(const struct sessiond_link *link, const struct tls_remote *request)
{
	struct packet packet = {.version = VERSION, .type = (unsigned char)request->verb};
	long seconds = request->seconds < TIMEOUT_MAX ? request->seconds : TIMEOUT_MAX;
	size_t size = HEAD + request->len;
	ssize_t n;

	packet.timeout[0] = (unsigned char)(seconds >> 8);
	packet.timeout[1] = (unsigned char)seconds;
	memcpy(packet.id, request->id, request->id_len);
	if (request->len != 0)
		memcpy(packet.session, request->session, request->len);
	n = net_write(link->fd, (const char *)&packet, size);
	if (n == -ECONNREFUSED) /* that was about an earlier one */
		n = net_write(link->fd, (const char *)&packet, size);
	return n == (ssize_t)size;
}

/* --- links ------------------------------------------------------------------------------------ */

static struct sessiond_link *new_link(struct sessiond *s, const struct net_addr *daemon)
{
	struct sessiond_link *link = calloc(1, sizeof *link);

	if (!link)
		return NULL;
	link->fd = net_datagrams(daemon);
	if (link->fd < 0) {
		free(link);
		return NULL;
	}
	link->daemon = *daemon;
	if (!await_packets(s->watches, link)) {
		close(link->fd);
		free(link);
		return NULL;
	}
	link->next = s->links;
	s->links = link;
	return link;
}

static struct sessiond_link *link_to(struct sessiond *s, const struct net_addr *daemon)
{
	struct sessiond_link *link = s->links;

	while (link && !net_equal(&link->daemon, daemon))
		link = link->next;
	return link || !s->watches ? link : new_link(s, daemon);
}

void sessiond_open(struct sessiond *s, struct watch_set *watches)
{
	*s = (struct sessiond){.watches = watches};
}

void sessiond_close(struct sessiond *s)
{
	for (struct sessiond_link *link = s->links, *next; link; link = next) {
		next = link->next;
		watch_close(&link->watch);
		close(link->fd);
		free(link);
	}
	*s = (struct sessiond){0};
}

bool sessiond_send(struct sessiond *s, const struct net_addr *daemon,
		   const struct tls_remote *request, struct sessiond_wait *wait)
{
	struct sessiond_link *link = link_to(s, daemon);

	if (!link || request->id_len > SESSIOND_ID_MAX || request->len > SESSIOND_SESSION_MAX ||
	    !send_packet(link, request))
		return false;
	if (request->verb != TLS_REMOTE_GET)
		return true;
	memset(wait->id, 0, sizeof wait->id);
	memcpy(wait->id, request->id, request->id_len);
	wait->answered = false;
	waiting_enter(&link->waiting, &wait->waiting);
	return true;
}
