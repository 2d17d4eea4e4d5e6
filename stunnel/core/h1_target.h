/* SPDX-License-Identifier: ISC */
#ifndef H1_TARGET_H
#define H1_TARGET_H

#include "h1_head.h"

/*
 * Where a request goes: Host, the form of the target for the method (RFC 9112 3.2), and whether a
 * host in the target is that of Host, but for a port that is the scheme's default. 0 or -ERR_x.
 */
int h1_target_judge(const struct h1_head *head);

#endif
