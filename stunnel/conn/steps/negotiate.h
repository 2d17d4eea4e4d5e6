/* SPDX-License-Identifier: ISC */
#ifndef NEGOTIATE_H
#define NEGOTIATE_H

#include "conn/conn.h"

/* What `protocol` has to say in each phase: see enum negotiation_phase. */
extern const struct step negotiate_early_step, negotiate_greeted_step, negotiate_asked_step,
	negotiate_plain_step, negotiate_inside_step;

#endif
