/* SPDX-License-Identifier: ISC */
#ifndef PACE_H
#define PACE_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * How often something may be done, in a second, by all processes that share one of these: when the
 * next time is due, on a clock of nanoseconds. What was not done in time may be made up for within
 * a tenth of a second. Zeroed: nothing was done yet. Nothing is lost by a process that crashes.
 */
typedef _Atomic uint64_t pace;

/* Nanoseconds to wait before the next time; 0: it may be done now. */
uint64_t pace_wait(const pace *p, uint64_t now);

/* It was done, whether it might be or not: then others wait for longer. */
void pace_take(pace *p, uint32_t per_second, uint64_t now);

#endif
