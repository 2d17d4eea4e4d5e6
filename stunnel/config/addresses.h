/* SPDX-License-Identifier: ISC */
#ifndef ADDRESSES_H
#define ADDRESSES_H

#include "config/config.h"

/*
 * Resolves what all sections accept on and connect to, all names together, and compiles the plans
 * of their services: called once, behind the last section. Reports what cannot be resolved, at its
 * line. A name of `connect` without an answer is left to the workers.
 */
void addresses_resolve(struct config *config, struct report *report);

#endif
