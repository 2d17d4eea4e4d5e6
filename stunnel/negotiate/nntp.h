/* SPDX-License-Identifier: ISC */
#ifndef NEGOTIATE_NNTP_H
#define NEGOTIATE_NNTP_H

#include "negotiate/negotiation.h"

extern const struct negotiator nntp_client;

#endif
