/* SPDX-License-Identifier: ISC */
#ifndef NEGOTIATE_SOCKS_H
#define NEGOTIATE_SOCKS_H

#include "negotiate/negotiation.h"

extern const struct negotiator socks_client;

#endif
