/* SPDX-License-Identifier: ISC */
#ifndef TLS_ACCEPT_H
#define TLS_ACCEPT_H

#include "conn/conn.h"

/* The client's TLS handshake; its server name may lead to another service. */
extern const struct step tls_accept_step;

#endif
