/* SPDX-License-Identifier: ISC */

/*
 * For LD_PRELOAD: faults that cannot be brought about from outside, each for as long as the file is
 * there that the environment names.
 *
 *   STEP_WHEN   the time of day is a day back, as on a machine whose clock is set; what counts from
 *               the start of the machine goes on
 *   HANG_WHEN   chroot() does not return, so that a new worker does not begin to serve
 *   FAIL_WHEN   chroot() fails, so that a new worker ends at once
 *   UNLINK_WHEN a file with several names that is opened to append loses the one that it was opened
 *               by at once, as if somebody took it away between that and the next look at it
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define STEP_SECONDS (24 * 60 * 60)

static bool is_time(const char *variable)
{
	const char *path = getenv(variable);

	return path && access(path, F_OK) == 0;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	long rc = syscall(SYS_clock_gettime, clock, t);

	if (rc == 0 && clock == CLOCK_REALTIME && is_time("STEP_WHEN"))
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

int chroot(const char *path)
{
	(void)path;
	while (is_time("HANG_WHEN"))
		usleep(10 * 1000);
	errno = EIO;
	return is_time("FAIL_WHEN") ? -1 : 0;
}

int openat(int folder, const char *name, int flags, ...)
{
	struct stat st;
	va_list ap;
	int fd;

	va_start(ap, flags);
	fd = (int)syscall(SYS_openat, folder, name, flags,
			  (flags & O_CREAT) != 0 ? va_arg(ap, int) : 0);
	va_end(ap);
	if (fd >= 0 && (flags & O_APPEND) != 0 && is_time("UNLINK_WHEN") && fstat(fd, &st) == 0 &&
	    st.st_nlink > 1)
		unlinkat(folder, name, 0);
	return fd;
}
