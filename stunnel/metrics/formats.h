/* SPDX-License-Identifier: ISC */
#ifndef METRICS_FORMATS_H
#define METRICS_FORMATS_H

#include <stdio.h>

#include "metrics/figures.h"

/* The figures as texts. Failures are those of the stream. */

/* Prometheus' format, text/plain; version=0.0.4. */
void formats_prometheus(const struct figures *f, FILE *to);

/*
 * An object of JSON: {"now": SECONDS, "families": [{"name", "type", "help", "samples": [{"suffix",
 * "labels": {...}, "value"}]}]}.
 */
void formats_json(const struct figures *f, FILE *to);

/*
 * What connections do, as each worker has told lately, which is nothing at the first look:
 * {"open": NUMBER, "shown": [{"service", "peer", "phase", "request", "age", "to_backend",
 * "to_client"}]}.
 */
void formats_connections(const struct figures *f, FILE *to);

#endif
