/* SPDX-License-Identifier: ISC */
#ifndef PROXY_IN_H
#define PROXY_IN_H

#include "conn/conn.h"

/* Reads the PROXY header of a peer that acceptProxyFrom lists. */
extern const struct step proxy_in_step;

#endif
