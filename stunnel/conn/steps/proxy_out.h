/* SPDX-License-Identifier: ISC */
#ifndef PROXY_OUT_H
#define PROXY_OUT_H

#include "conn/conn.h"

/*
 * Sends a PROXY header to the back, in front of what goes there: together with the first bytes of
 * it, or alone, where a TLS handshake comes between.
 */
extern const struct step proxy_out_step, proxy_out_alone_step;

#endif
