/* SPDX-License-Identifier: ISC */
#ifndef ADDRESSES_H
#define ADDRESSES_H

#include "config/config.h"

/*
 * When all sections are there: resolves what they accept on and connect to, all names together, and
 * makes their plans. Reports what cannot be resolved, at its line. A name of `connect` that has no
 * answer is left to the workers.
 */
void addresses_resolve(struct config *config, struct report *report);

#endif
