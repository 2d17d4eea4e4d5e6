/* SPDX-License-Identifier: ISC */
#ifndef SPAWN_H
#define SPAWN_H

#include "conn/conn.h"

/* Starts the program of `exec`: it is the back. */
extern const struct step spawn_step;

#endif
