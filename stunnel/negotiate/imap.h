/* SPDX-License-Identifier: ISC */
#ifndef NEGOTIATE_IMAP_H
#define NEGOTIATE_IMAP_H

#include "negotiate/negotiation.h"

extern const struct negotiator imap_server, imap_client;

#endif
