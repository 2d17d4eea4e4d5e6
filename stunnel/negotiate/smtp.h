/* SPDX-License-Identifier: ISC */
#ifndef NEGOTIATE_SMTP_H
#define NEGOTIATE_SMTP_H

#include "negotiate/negotiation.h"

extern const struct negotiator smtp_server, smtp_client, smtp_login;

#endif
