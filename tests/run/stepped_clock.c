/* SPDX-License-Identifier: ISC */

/*
 * For LD_PRELOAD: the time of day steps back by a day as soon as the file $STEP_WHEN is there, as
 * on a machine whose clock is set. What counts from the start of the machine goes on.
 */

#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define STEP_SECONDS (24 * 60 * 60)

int clock_gettime(clockid_t clock, struct timespec *t)
{
	const char *when = getenv("STEP_WHEN");
	long rc = syscall(SYS_clock_gettime, clock, t);

	if (rc == 0 && clock == CLOCK_REALTIME && when && access(when, F_OK) == 0)
		t->tv_sec -= STEP_SECONDS;
	return (int)rc;
}

time_t time(time_t *seconds)
{
	struct timespec t = {0};

	clock_gettime(CLOCK_REALTIME, &t);
	if (seconds)
		*seconds = t.tv_sec;
	return t.tv_sec;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec t = {0};

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &t);
	tv->tv_sec = t.tv_sec;
	tv->tv_usec = t.tv_nsec / 1000;
	return 0;
}
