/* SPDX-License-Identifier: ISC */
#ifndef OPEN_BACK_H
#define OPEN_BACK_H

#include "conn/conn.h"

/* Opens a back; the front's next step begins when the plan of the back is through. */
extern const struct step open_back_step;

#endif
