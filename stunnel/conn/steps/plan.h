/* SPDX-License-Identifier: ISC */
#ifndef PLAN_H
#define PLAN_H

#include "conn/service.h"

/*
 * Fills the plans of a service and of its routes. All that is configured of it, and of those that
 * server names lead to, must be set.
 */
void plan_compile(struct conn_service *service);

#endif
