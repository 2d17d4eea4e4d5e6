/* SPDX-License-Identifier: ISC */
#ifndef GOAL_H
#define GOAL_H

#include "conn/conn.h"

/* Makes what the client asked a negotiator for the back's targets. */
extern const struct step goal_step;

#endif
