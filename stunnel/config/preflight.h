/* SPDX-License-Identifier: ISC */
#ifndef PREFLIGHT_H
#define PREFLIGHT_H

#include "config/config.h"

/*
 * What a start would find beyond the file, as far as that can be seen without opening anything for
 * writing or binding: folders that are not there, two services on one address.
 */
void preflight_check(struct config *config, struct report *report);

#endif
