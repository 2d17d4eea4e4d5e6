/* SPDX-License-Identifier: ISC */
#ifndef CONFIG_METRICS_H
#define CONFIG_METRICS_H

#include "config/config.h"

/*
 * Makes config->metrics of the options `metrics` and `metricsAllow`, before addresses_resolve().
 * What is wrong with them is added to the report.
 */
void metrics_make(struct config *config, struct report *report);

#endif
