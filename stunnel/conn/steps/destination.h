/* SPDX-License-Identifier: ISC */
#ifndef DESTINATION_H
#define DESTINATION_H

#include "conn/conn.h"

/* Takes for the target where the client meant to go before it was redirected to this host. */
extern const struct step destination_step;

#endif
