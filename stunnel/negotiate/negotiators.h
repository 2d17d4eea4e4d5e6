/* SPDX-License-Identifier: ISC */
#ifndef NEGOTIATORS_H
#define NEGOTIATORS_H

#include "negotiate/negotiation.h"

/* The first who has its say in the mode, whatever the case of letters; NULL: `protocol` is none. */
const struct negotiator *negotiators_of(const char *protocol, bool client);

/* Who has its say in the phase, or NULL: nobody. Options that check() refuses make no difference.
 */
const struct negotiator *negotiators_in(const char *protocol, enum negotiation_phase phase,
					const struct negotiation_options *options);

/* The names of all who have their say in the mode, counted from 0; NULL behind the last. */
const char *negotiators_name(bool client, size_t index);

/* What a protocol's options lack, or NULL. */
const char *negotiators_check(const char *protocol, bool client,
			      const struct negotiation_options *options);

#endif
