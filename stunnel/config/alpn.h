/* SPDX-License-Identifier: ISC */
#ifndef CONFIG_ALPN_H
#define CONFIG_ALPN_H

#include "config/check.h"

/*
 * Makes the routes of `alpnConnect`, whose targets are resolved later, and what the service offers
 * by ALPN: see there. What is wrong is reported. service.needs must be known.
 */
void alpn_make(struct check *check);

#endif
