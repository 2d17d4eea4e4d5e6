/* SPDX-License-Identifier: ISC */
#ifndef NEGOTIATE_LDAP_H
#define NEGOTIATE_LDAP_H

#include "negotiate/negotiation.h"

extern const struct negotiator ldap_client;

#endif
