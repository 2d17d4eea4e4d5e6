/* SPDX-License-Identifier: ISC */
#ifndef TLS_CONNECT_H
#define TLS_CONNECT_H

#include "conn/conn.h"

/* The back's TLS handshake, in which we are the client. */
extern const struct step tls_connect_step;

#endif
