/* SPDX-License-Identifier: ISC */
#include "metrics/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/formats.h"
#include "sys/log.h"
#include "sys/net.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#ifdef HAVE_LIBMICROHTTPD

#include "metrics/library.h"

#define CONNECTIONS_MAX 64
#define CONNECTIONS_MAX_IP 16
#define CONNECTION_MEMORY 16384 /* bytes, for a head as well */
#define IDLE_SECONDS 10

struct server {
	struct MHD_Daemon *daemon;
	const struct figures *figures;
	const struct ip_blocks *allowed;
	bool draining;
};

static struct library mhd;

#define NOTHING "default-src 'none'; frame-ancestors 'none'"
#define OF_THE_PAGE                                                                        \
	NOTHING "; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; " \
		"connect-src 'self'"

/* What somebody looks at: it asks for /status.json again and again. */
static void write_page(const struct figures *f, FILE *to)
{
	static const char page[] =
#include "metrics/status_html.h"
		;

	(void)f;
	fwrite(page, 1, sizeof page - 1, to);
}

static const struct page {
	const char *path, *type, *policy;
	void (*write)(const struct figures *f, FILE *to);
} pages[] = {
	{"/", "text/html; charset=utf-8", OF_THE_PAGE, write_page},
	{"/metrics", "text/plain; version=0.0.4; charset=utf-8", NOTHING, formats_prometheus},
	{"/status.json", "application/json", NOTHING, formats_json},
	{"/connections.json", "application/json", NOTHING, formats_connections},
};

/* Nothing may be stored, framed, or be taken for another type than it is. */
static const struct header {
	const char *name, *value;
} headers[] = {
	{MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
	{"X-Content-Type-Options", "nosniff"},
	{"Referrer-Policy", "no-referrer"},
};

/* --- answers ---------------------------------------------------------------------------------- */

/* Sends a text, which is freed by the library; NULL: there was no memory for it. */
static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const struct page *page,
			      char *text, size_t len)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	if (!text)
		return MHD_NO;
	response = mhd.create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(text);
		return MHD_NO;
	}
	mhd.add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, page->type);
	mhd.add_response_header(response, "Content-Security-Policy", page->policy);
	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
		mhd.add_response_header(response, headers[i].name, headers[i].value);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		mhd.add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = mhd.queue_response(c, status, response);
	mhd.destroy_response(response);
	return result;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status, const char *why)
{
	static const struct page page = {.type = "text/plain; charset=utf-8", .policy = NOTHING};

	return answer(c, status, &page, strdup(why), strlen(why));
}

static enum MHD_Result serve(struct MHD_Connection *c, const struct page *page,
			     const struct figures *figures)
{
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	if (!to)
		return MHD_NO;
	page->write(figures, to);
	if (fclose(to) != 0) {
		free(text);
		return MHD_NO;
	}
	return answer(c, MHD_HTTP_OK, page, text, len);
}

/* Who may open a Unix socket is for its folder's permissions to say. */
static bool is_allowed(const struct server *s, struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info =
		mhd.get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct net_addr addr = {0};
	struct facts_addr peer = {0};

	if (!info || !info->client_addr)
		return false;
	switch (info->client_addr->sa_family) {
	case AF_UNIX:
		return true;
	case AF_INET:
		addr.len = sizeof(struct sockaddr_in);
		break;
	case AF_INET6:
		addr.len = sizeof(struct sockaddr_in6);
		break;
	default:
		return false;
	}
	memcpy(&addr.u, info->client_addr, addr.len);
	net_facts(&addr, &peer);
	return ip_blocks_hold(s->allowed, &peer);
}

static enum MHD_Result on_request(void *owner, struct MHD_Connection *c, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **request)
{
	static int seen;
	const struct server *s = owner;

	(void)version, (void)upload;
	if (!*request) { /* the head alone: an answer now would end the connection */
		*request = &seen;
		return MHD_YES;
	}
	if (!is_allowed(s, c))
		return refuse(c, MHD_HTTP_FORBIDDEN,
			      "This address is not in metricsAllow of stunnel's configuration.\n");
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET and HEAD are served.\n");
	*upload_len = 0;
	for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
		if (!strcmp(url, pages[i].path))
			return serve(c, &pages[i], s->figures);
	return refuse(c, MHD_HTTP_NOT_FOUND,
		      "Here are /, /metrics, /status.json and "
		      "/connections.json.\n");
}

/* --- life ------------------------------------------------------------------------------------- */

bool server_built(void)
{
	return true;
}

bool server_load(void)
{
	return library_load(&mhd);
}

struct server *server_open(int listener, const struct figures *figures,
			   const struct ip_blocks *allowed)
{
	struct server *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->figures = figures;
	s->allowed = allowed;
	s->daemon = mhd.start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, listener,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX_IP,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_END);
	if (s->daemon)
		return s;
	log_main(LOG_ERR, "The server of metrics cannot start");
	free(s);
	return NULL;
}

int server_fd(const struct server *s)
{
	return mhd.get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

int server_timeout(const struct server *s)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (mhd.get_timeout(s->daemon, &ms) != MHD_YES)
		return -1;
	return ms < IDLE_SECONDS * 1000 ? (int)ms : IDLE_SECONDS * 1000;
}

void server_run(struct server *s)
{
	mhd.run(s->daemon);
}

/* The library would shut the socket down, which other processes have, too: it has to let go first.
 */
bool server_drain(struct server *s)
{
	if (!s->draining)
		mhd.quiesce_daemon(s->daemon);
	s->draining = true;
	return mhd.get_daemon_info(s->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)
		       ->num_connections != 0;
}

void server_close(struct server *s)
{
	server_drain(s);
	mhd.stop_daemon(s->daemon);
	free(s);
}

#else

bool server_built(void)
{
	return false;
}

bool server_load(void)
{
	return false;
}

struct server *server_open(int listener, const struct figures *figures,
			   const struct ip_blocks *allowed)
{
	(void)listener, (void)figures, (void)allowed;
	return NULL;
}

int server_fd(const struct server *s)
{
	(void)s;
	return -1;
}

int server_timeout(const struct server *s)
{
	(void)s;
	return -1;
}

void server_run(struct server *s)
{
	(void)s;
}

bool server_drain(struct server *s)
{
	(void)s;
	return false;
}

void server_close(struct server *s)
{
	(void)s;
}

#endif
