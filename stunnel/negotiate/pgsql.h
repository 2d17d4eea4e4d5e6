/* SPDX-License-Identifier: ISC */
#ifndef NEGOTIATE_PGSQL_H
#define NEGOTIATE_PGSQL_H

#include "negotiate/negotiation.h"

extern const struct negotiator pgsql_server, pgsql_client;

#endif
