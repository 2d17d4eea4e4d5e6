/* SPDX-License-Identifier: ISC */
#ifndef LOOK_UP_H
#define LOOK_UP_H

#include "conn/conn.h"

/* Looks up the names of targets that could not be resolved when the configuration was read. */
extern const struct step look_up_step;

#endif
