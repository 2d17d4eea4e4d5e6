/* SPDX-License-Identifier: ISC */
#ifndef SUMMARY_H
#define SUMMARY_H

#include <stdbool.h>
#include <stddef.h>

#include "metrics/figures.h"

/* Logs a line for each row of errors.h that has come up in any service; whether one has. */
bool summary_tell(const struct figures_service *service, size_t count);

#endif
