/* SPDX-License-Identifier: ISC */
#ifndef SERVICE_H
#define SERVICE_H

#include <stdbool.h>

#include "h1_state.h"
#include "ip.h"
#include "proxy.h"
#include "rewrite.h"

/*
 * What the daemon and a patched stock configure alike: header rules, limits of HTTP, PROXY headers,
 * and which peers are believed.
 */

#define SERVICE_HEAD_MAX                                                                        \
	65536 /* highest httpMaxHead and httpMaxAnswerHead: a carrier must be able to hold that \
		 much */

/* Whether a PROXY header is expected of the peers in service.proxy_peers. */
enum service_accept_proxy {
	SERVICE_PROXY_NO = 0,
	SERVICE_PROXY_YES,
	SERVICE_PROXY_REQUIRED, /* and nobody else is served */
};

/* Holds no pointer, so a plain copy is an independent one. To be filled by service_default(). */
struct service {
	struct rewrite rewrite;
	struct h1_limits limits;
	struct proxy proxy; /* its version is 0 until an option says one */
	enum service_accept_proxy accept_proxy;
	struct ip_blocks proxy_peers; /* of acceptProxyFrom */
	struct ip_blocks trusted;     /* proxies whose X-Forwarded-For is believed */
	int timeout_proxy;	      /* seconds for a PROXY header; a negative number: no limit */
	int timeout_request;	      /* seconds for the head of a request, likewise */
};

void service_default(struct service *s);

/* What is wrong. */
struct service_fault {
	const char *why;    /* a static text */
	struct span word;   /* of the value, where one word of it is at fault; else empty */
	const char *option; /* of service_check() */
};

enum service_result {
	SERVICE_UNKNOWN = 0, /* no option of this table */
	SERVICE_SET,
	SERVICE_REFUSED, /* *fault says why, and *s is unchanged */
};

/* Applies an option, whose name may have any case. */
enum service_result service_option(struct service *s, struct span name, struct span value,
				   struct service_fault *fault);

/* What service_check() is to look at. */
enum service_part {
	SERVICE_ACCEPTS = 1, /* the section has a socket of its own to accept from */
	SERVICE_SENDS_PROXY = 2,
	SERVICE_ONE_TO_ONE =
		4, /* the carrier cannot give one client's backend connection to another */
};

/*
 * What one option cannot tell: the next fault of these parts, after *at, which begins with 0. False
 * when there is none left.
 */
bool service_check(const struct service *s, unsigned parts, size_t *at,
		   struct service_fault *fault);

/* What the connections of a service need. */
struct service_needs {
	bool http;	     /* the HTTP machine: heads are rewritten, or requests logged */
	bool tlvs;	     /* what a PROXY header tells of TLS */
	unsigned cert_texts; /* enum facts_cert_text */
};

/* log: the templates of the access log, NULL without one. */
struct service_needs service_needs(const struct service *s, bool sends_proxy,
				   const struct template_pool *log);

/*
 * Bytes that the PROXY header is expected to have, if that is more than proxyMaxLength and TLVs
 * will be left out; else 0.
 */
size_t service_long_header(const struct service *s);

/* A row of the table of options, for who prints it. */
struct service_info {
	const char *name;
	const char *initial; /* as it would stand in a file; NULL: unset */
	const char *help;
};

/* The row of a number from 0 on, by name; false behind the last one. */
bool service_row(size_t n, struct service_info *info);

#endif
