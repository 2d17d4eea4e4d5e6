/* SPDX-License-Identifier: ISC */
#ifndef IDENT_H
#define IDENT_H

#include "conn/conn.h"

/* Asks the client's host who the client is, over a back of its own (RFC 1413). */
extern const struct step ident_step;

#endif
