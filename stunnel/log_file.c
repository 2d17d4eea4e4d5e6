/* SPDX-License-Identifier: ISC */
#include "log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_file(const char *path, bool truncate)
{
	int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY;
	struct stat st;
	int fd;

	/*
	 * The directory may belong to the user whom the workers run as, and we may be root: that
	 * user's links must not lead us to anybody else's file.
	 */
	if (strncmp(path, "/dev/", 5) != 0)
		flags |= O_NOFOLLOW;
	fd = open(path, flags, 0640);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return fd;
	if (st.st_nlink == 1 && (!truncate || ftruncate(fd, 0) == 0))
		return fd;
	close(fd);
	return -EMLINK;
}

static int share(struct log_file *file)
{
	void *shared;

	if (file->cut)
		return 0;
	shared = mmap(NULL, sizeof *file->cut, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED)
		return -errno;
	file->cut = shared;
	return 0;
}

int log_file_open(struct log_file *file, const char *path, bool truncate)
{
	int fd = open_file(path, truncate);
	int rc = fd < 0 ? fd : share(file);

	if (rc != 0) {
		if (fd >= 0)
			close(fd);
		return rc;
	}
	if (file->fd >= 0)
		close(file->fd);
	file->fd = fd;
	return 0;
}

int log_file_adopt(struct log_file *file, int fd)
{
	int rc = share(file);

	if (rc == 0)
		file->fd = fd;
	return rc;
}

void log_file_close(struct log_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	if (file->cut)
		munmap(file->cut, sizeof *file->cut);
	*file = (struct log_file){.fd = -1};
}

/* How much of it was written: all, or less with errno. */
static size_t write_all(int fd, const char *p, size_t len)
{
	size_t written = 0;

	while (written < len) {
		ssize_t n = write(fd, p + written, len - written);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		written += (size_t)n;
	}
	return written;
}

/* A newline of its own may stand apart from what follows: whatever comes between begins anew, too.
 */
static bool begin_anew(struct log_file *file)
{
	if (!atomic_exchange(file->cut, false))
		return true;
	if (write_all(file->fd, "\n", 1) == 1)
		return true;
	atomic_store(file->cut, true);
	return false;
}

size_t log_file_write(struct log_file *file, const char *p, size_t len)
{
	size_t written, whole;

	if (!begin_anew(file))
		return 0;
	written = whole = write_all(file->fd, p, len);
	while (whole != 0 && p[whole - 1] != '\n')
		whole--;
	if (whole != written)
		atomic_store(file->cut, true);
	return whole;
}

int log_file_own(const struct log_file *file, unsigned uid, unsigned gid)
{
	struct stat st;

	if (file->fd < 0 || fstat(file->fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid == uid)
		return 0;
	return fchown(file->fd, uid, gid) == 0 ? 0 : -errno;
}
