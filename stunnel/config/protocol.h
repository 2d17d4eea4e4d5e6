/* SPDX-License-Identifier: ISC */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include "config/check.h"
#include "config/values.h"

/*
 * Makes what the section's `protocol` and its fellows ask for: a PROXY header or a negotiator.
 * Reports what does not fit the mode or the section's other options.
 */
void protocol_make(struct check *check);

/*
 * Reports clients without an IP address, those of Unix sockets among accept: version 1 of the PROXY
 * protocol has no way to name them.
 */
void protocol_check_clients(struct check *check, const struct values_list *accept);

/* Reports such clients, by a noun in the plural, and the end of it. */
void protocol_no_address(struct check *check, const char *clients, const char *of);

#endif
