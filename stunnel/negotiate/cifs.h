/* SPDX-License-Identifier: ISC */
#ifndef NEGOTIATE_CIFS_H
#define NEGOTIATE_CIFS_H

#include "negotiate/negotiation.h"

extern const struct negotiator cifs_server, cifs_client;

#endif
