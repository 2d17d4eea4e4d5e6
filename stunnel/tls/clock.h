/* SPDX-License-Identifier: ISC */
#ifndef TLS_CLOCK_H
#define TLS_CLOCK_H

#include <stdint.h>
#include <time.h>

/*
 * Seconds since the system started, for what is kept in memory that lives no longer than that:
 * CLOCK_BOOTTIME goes on while the machine sleeps, and nobody can set it.
 */
static inline int64_t tls_clock_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec;
}

#endif
