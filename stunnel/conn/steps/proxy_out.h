/* SPDX-License-Identifier: ISC */
#ifndef PROXY_OUT_H
#define PROXY_OUT_H

#include "conn/conn.h"

/* Puts a PROXY header in front of what goes to the back. */
extern const struct step proxy_out_step;

#endif
