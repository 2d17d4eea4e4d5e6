/* SPDX-License-Identifier: ISC */
#ifndef NEGOTIATE_CONNECT_H
#define NEGOTIATE_CONNECT_H

#include "negotiate/negotiation.h"

extern const struct negotiator connect_client;

#endif
