/* SPDX-License-Identifier: ISC */
#ifndef CONNECT_SERVER_H
#define CONNECT_SERVER_H

#include "negotiate/negotiation.h"

extern const struct negotiator connect_server;

#endif
