/* SPDX-License-Identifier: ISC */
#ifndef SOCKS_SERVER_H
#define SOCKS_SERVER_H

#include "negotiate/negotiation.h"

extern const struct negotiator socks_server;

#endif
