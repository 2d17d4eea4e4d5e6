/* SPDX-License-Identifier: ISC */
#ifndef FORWARD_OPTIONS_H
#define FORWARD_OPTIONS_H

#include "forward.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "conn/exchange.h"
#include "h1.h"
#include "service.h"
#include "tls/facts.h"

#define FORWARD_INPUT_MAX SERVICE_HEAD_MAX /* bytes of requests that a connection holds back */
#define FORWARD_LOG_MAX 1024		   /* bytes of the name of an access log */

/* Of one section. Holds no pointer, so a plain copy is an independent one. */
struct forward_options {
	struct service service;	   /* a proxy.version of 0: stunnel's own PROXY header */
	char log[FORWARD_LOG_MAX]; /* of requests: a file, `syslog`, or "" */
	struct exchange_format log_format;

	/* from here on by FORWARD_CHECK */
	bool http;
	unsigned texts; /* enum tls_cert_text: on the client's certificate */

	/* by connections */
	atomic_bool log_cut;   /* the last line was */
	atomic_ulong log_lost; /* lines since the log could be written */
};

#endif
