/* SPDX-License-Identifier: ISC */
#ifndef PLAN_H
#define PLAN_H

#include "conn/service.h"

/* Of which steps the connections of a service are made. */

/* Fills service->plan for a TLS server, by what else is set in it already. */
void plan_compile(struct conn_service *service);

/* Whether requests of the service are parsed. */
bool plan_http(const struct conn_service *service);

#endif
