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

/* The options of one section. Without pointers, so that a plain copy is independent. */
struct forward_options {
	struct service service;	   /* a proxy.version of 0: stunnel's own PROXY header */
	char log[FORWARD_LOG_MAX]; /* the access log: a file, `syslog`, or "" for none */
	struct exchange_format log_format;

	/* set by FORWARD_CHECK */
	struct service_needs needs;

	/* changed by connections, from any thread */
	atomic_bool log_cut;   /* the last line in the log lacks its end */
	atomic_ulong log_lost; /* lines lost since the last one was written */
};

#endif
