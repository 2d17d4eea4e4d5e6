/* SPDX-License-Identifier: ISC */
#ifndef PLAN_H
#define PLAN_H

#include "conn/service.h"

/* Fills service->plan for a TLS server; all that is configured of the service, and of those that
 * server names lead to, must be set.
 */
void plan_compile(struct conn_service *service);

#endif
