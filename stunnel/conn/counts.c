/* SPDX-License-Identifier: ISC */
#include "conn/counts.h"

#include <inttypes.h>

#include "sys/log.h"

/* No other memory depends on a count, so that none has to be in order with it. */
void counts_add(struct counts *counts, enum error error)
{
	atomic_fetch_add_explicit(&counts->of[error], 1, memory_order_relaxed);
}

bool counts_tell(const struct counts *counts)
{
	bool any = false;

	for (size_t e = ERR_NONE + 1; e < ERR_COUNT; e++) {
		uint64_t count = atomic_load_explicit(&counts->of[e], memory_order_relaxed);

		if (count == 0)
			continue;
		if (!any)
			log_main(LOG_NOTICE, "Refused or mended since the start:");
		any = true;
		log_main(LOG_NOTICE, "%s (%s): %" PRIu64, errors_info[e].name,
			 errors_info[e].source, count);
	}
	return any;
}
