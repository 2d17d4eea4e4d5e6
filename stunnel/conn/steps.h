/* SPDX-License-Identifier: ISC */
#ifndef STEPS_H
#define STEPS_H

#include "conn/conn.h"
#include "tls/tls.h"

/* The steps of which a connection's plan is made. */

/* Fills service->plan for a TLS server, by what else is set in it already. */
void steps_plan(struct conn_service *service);

/* Whether requests of the service are parsed. */
bool steps_http(const struct conn_service *service);

/* For tls_open(), with the connection as owner. */
extern const struct tls_calls steps_tls_calls;

#endif
