/* SPDX-License-Identifier: ISC */
#ifndef SECURITY_H
#define SECURITY_H

#include "config/check.h"

/*
 * Checks the section's TLS options against one another, reads its certificates and keys, and makes
 * the service's TLS context, or reports why there is none. To be called when the section's protocol
 * and access log are made: both decide what is asked of a certificate.
 */
void security_make(struct check *check);

#endif
