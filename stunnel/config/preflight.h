/* SPDX-License-Identifier: ISC */
#ifndef PREFLIGHT_H
#define PREFLIGHT_H

#include "config/config.h"

/*
 * Reports what a start would find wrong beyond the file, as far as can be seen without writing to
 * files or binding: folders that are not there, two services on one address.
 */
void preflight_check(struct config *config, struct report *report);

#endif
