/* SPDX-License-Identifier: ISC */
#ifndef CHECK_REVOKED_H
#define CHECK_REVOKED_H

#include "conn/conn.h"

/*
 * The front's, or the back's, peer has shown a certificate in its handshake: has it been revoked?
 * Until a responder's answer is known nothing of either peer is passed on.
 */
extern const struct step check_revoked_front_step, check_revoked_back_step;

#endif
