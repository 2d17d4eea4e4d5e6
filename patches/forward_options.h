/* SPDX-License-Identifier: ISC */
#ifndef FORWARD_OPTIONS_H
#define FORWARD_OPTIONS_H

#include "forward.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "conn/exchange.h"
#include "h1.h"
#include "ip.h"
#include "proxy.h"
#include "rewrite.h"
#include "tls/facts.h"

#define FORWARD_INPUT_MAX 65536 /* bytes of requests that a connection holds back */
#define FORWARD_BLOCKS_MAX 64	/* of trustedProxy, and of acceptProxyFrom */
#define FORWARD_LOG_MAX 1024	/* bytes of the name of an access log */
#define FORWARD_TIMEOUT_PROXY 3
#define FORWARD_TIMEOUT_REQUEST 60

struct forward_blocks {
	unsigned count;
	struct ip_block block[FORWARD_BLOCKS_MAX];
};

bool forward_is_among(const struct forward_blocks *blocks, const struct facts_addr *addr);

/* Whether a PROXY header is expected of the peers in proxy_peers. */
enum forward_accept_proxy {
	FORWARD_PROXY_NO = 0,
	FORWARD_PROXY_YES,
	FORWARD_PROXY_REQUIRED, /* and nobody else is served */
};

/* Of one section. Holds no pointer, so a plain copy is an independent one. */
struct forward_options {
	struct rewrite rewrite;
	struct h1_limits limits;
	struct forward_blocks trusted, proxy_peers;
	enum forward_accept_proxy accept_proxy;
	struct proxy proxy;
	unsigned version, max_length;	    /* of PROXY headers; 0: stunnel's own one */
	int timeout_proxy, timeout_request; /* seconds; a negative number never ends */
	char log[FORWARD_LOG_MAX];	    /* of requests: a file, `syslog`, or "" */
	struct exchange_format log_format;

	/* from here on by FORWARD_CHECK */
	bool http;
	unsigned texts; /* enum tls_cert_text: on the client's certificate */

	/* by connections */
	atomic_bool log_cut;   /* the last line was */
	atomic_ulong log_lost; /* lines since the log could be written */
};

#endif
