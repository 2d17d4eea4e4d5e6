/* SPDX-License-Identifier: ISC */
#ifndef TRANSFER_H
#define TRANSFER_H

#include "conn/conn.h"

/* Joins both ends by the relay, until one of them has ended. */
extern const struct step transfer_step;

#endif
