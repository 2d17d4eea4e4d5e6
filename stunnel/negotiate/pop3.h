/* SPDX-License-Identifier: ISC */
#ifndef NEGOTIATE_POP3_H
#define NEGOTIATE_POP3_H

#include "negotiate/negotiation.h"

extern const struct negotiator pop3_server, pop3_client;

#endif
