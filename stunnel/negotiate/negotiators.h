/* SPDX-License-Identifier: ISC */
#ifndef NEGOTIATORS_H
#define NEGOTIATORS_H

#include "negotiate/negotiation.h"

/* Whether `protocol` may be that, in any case of letters, in the mode, or in one of them. */
bool negotiators_know(const char *protocol, bool client);
bool negotiators_know_any(const char *protocol);

/* Who has its say in the phase, or NULL: nobody. Options that check() refuses make no difference.
 */
const struct negotiator *negotiators_in(const char *protocol, enum negotiation_phase phase,
					const struct negotiation_options *options);

/* What a protocol's options lack, or NULL. */
const char *negotiators_check(const char *protocol, bool client,
			      const struct negotiation_options *options);

#endif
