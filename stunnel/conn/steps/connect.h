/* SPDX-License-Identifier: ISC */
#ifndef CONNECT_H
#define CONNECT_H

#include "conn/conn.h"

/* Connects to the first target that can be. */
extern const struct step connect_step;

#endif
