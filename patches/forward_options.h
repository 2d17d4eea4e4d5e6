/* SPDX-License-Identifier: ISC */
#ifndef FORWARD_OPTIONS_H
#define FORWARD_OPTIONS_H

#include "forward.h"

#include <stdbool.h>

#include "h1.h"
#include "ip.h"
#include "proxy.h"
#include "rewrite.h"
#include "tls_facts.h"

#define FORWARD_INPUT_MAX 65536 /* bytes of requests that a connection holds back */
#define FORWARD_TRUSTED_MAX 64	/* blocks of trustedProxy */

/* Of one section. Holds no pointer, so a plain copy is an independent one. */
struct forward_options {
	struct rewrite rewrite;
	struct h1_limits limits;
	struct ip_block trusted[FORWARD_TRUSTED_MAX];
	unsigned trusted_count;
	struct proxy proxy;
	unsigned version, max_length; /* of PROXY headers; 0: stunnel's own one */

	/* from here on by FORWARD_CHECK */
	bool http;
	unsigned texts; /* enum tls_cert_text: on the client's certificate */
};

#endif
