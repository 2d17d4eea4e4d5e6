/* SPDX-License-Identifier: ISC */
#include "metrics/summary.h"

#include <inttypes.h>

#include "core/errors.h"
#include "sys/log.h"

bool summary_tell(const struct figures_service *service, size_t count)
{
	bool any = false;

	for (size_t e = ERR_NONE + 1; e < ERR_COUNT; e++) {
		uint64_t sum = 0;

		for (size_t i = 0; i < count; i++)
			sum += tally_sum(service[i].tallies, offsetof(struct tally, errors) +
								     e * sizeof(tally_counter));
		if (sum == 0)
			continue;
		if (!any)
			log_main(LOG_NOTICE, "Refused or mended since the start:");
		any = true;
		log_main(LOG_NOTICE, "%s (%s): %" PRIu64, errors_info[e].name,
			 errors_info[e].source, sum);
	}
	return any;
}
