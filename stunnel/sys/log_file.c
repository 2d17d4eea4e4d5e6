/* SPDX-License-Identifier: ISC */
#include "sys/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/confined.h"
#include "sys/datagram.h"
#include "sys/shared.h"

static int open_path(const char *root, const char *path, int flags, struct confined_file *found)
{
	flags |= O_APPEND | O_NOCTTY | O_NONBLOCK;
	return confined_open_single(root, path, flags, 0640, found);
}

/*
 * A FIFO is opened for reading and writing, as Linux allows (fifo(7)): the open does not wait for a
 * reader, and while there is none lines stay in the FIFO instead of failing with EPIPE.
 */
static int open_any(const char *root, const char *path, bool *made, struct confined_file *found)
{
	int fd = open_path(root, path, O_WRONLY, found), both;

	*made = fd == -ENOENT;
	if (*made)
		fd = open_path(root, path, O_WRONLY | O_CREAT, found);
	if (fd >= 0 && !S_ISFIFO(found->st.st_mode))
		return fd;
	if (fd < 0 && fd != -ENXIO)
		return fd;
	both = open_path(root, path, O_RDWR, found);
	if (both < 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return both;
}

static int open_file(const char *root, const char *path, bool truncate, bool *made,
		     struct confined_file *found)
{
	int fd = open_any(root, path, made, found), rc;

	if (fd < 0 || !truncate || !S_ISREG(found->st.st_mode) || ftruncate(fd, 0) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

static void release(struct log_file *file)
{
	if (file->fd >= 0 && !file->not_ours)
		close(file->fd);
	file->fd = -1;
	file->receiver = NULL;
	file->not_ours = false;
}

static int share(struct log_file *file)
{
	if (!file->cut)
		file->cut = shared_new(sizeof *file->cut);
	return file->cut ? 0 : -errno;
}

int log_file_standard(const char *path)
{
	return !strcmp(path, "stdout")	 ? STDOUT_FILENO
	       : !strcmp(path, "stderr") ? STDERR_FILENO
					 : -1;
}

static int open_named(struct log_file *file, const char *root, const char *path, bool truncate)
{
	struct confined_file found;
	bool made;
	int fd = open_file(root, path, truncate, &made, &found);
	int rc = fd < 0 ? fd : share(file);

	if (rc != 0) {
		if (fd >= 0)
			close(fd);
		return rc;
	}
	release(file);
	file->fd = fd;
	file->disk = S_ISREG(found.st.st_mode);
	file->safe = found.safe;
	file->made = made;
	return 0;
}

/* A missing file is no fault: after a rotation the master creates it for the workers. */
int log_file_try(const struct log_file *file, const char *path)
{
	struct confined_file found;
	int fd = file->disk && !file->not_ours ? open_path(NULL, path, O_WRONLY, &found) : -ENOENT;

	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -ENOENT ? 0 : fd;
}

/*
 * O_NONBLOCK belongs to the open file description, which other processes share: the pipe or
 * terminal is opened anew. A socket cannot be, and is asked by poll() before each write.
 */
static int reopen(int fd)
{
	char path[32];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

int log_file_adopt(struct log_file *file, int fd)
{
	int rc = share(file), own = -1;
	struct stat st;

	if (rc != 0)
		return rc;
	release(file);
	file->disk = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	if (!file->disk)
		own = reopen(fd);
	file->not_ours = own < 0;
	file->fd = own < 0 ? fd : own;
	return 0;
}

int log_file_open(struct log_file *file, const char *root, const char *path, bool truncate)
{
	int standard = log_file_standard(path);

	return standard >= 0 ? log_file_adopt(file, standard)
			     : open_named(file, root, path, truncate);
}

/* --- a socket of datagrams -------------------------------------------------------------------- */

const char *log_file_receiver(const char *path)
{
	size_t len = strlen(LOG_FILE_SOCKET);

	return !strncmp(path, LOG_FILE_SOCKET, len) ? path + len : NULL;
}

int log_file_send_to(struct log_file *file, const char *receiver)
{
	int fd = datagram_fits(receiver) ? datagram_open() : -ENAMETOOLONG;

	if (fd < 0)
		return fd;
	release(file);
	file->fd = fd;
	file->receiver = receiver;
	file->disk = file->made = file->safe = false;
	return 0;
}

void log_file_close(struct log_file *file)
{
	release(file);
	shared_free(file->cut, sizeof *file->cut);
	*file = (struct log_file){.fd = -1};
}

/* --- writing ---------------------------------------------------------------------------------- */

static bool may_write(const struct log_file *file)
{
	struct pollfd poll_fd = {.fd = file->fd, .events = POLLOUT};

	if (!file->not_ours || file->disk || poll(&poll_fd, 1, 0) == 1)
		return true;
	errno = EAGAIN;
	return false;
}

/* Returns how many of the bytes were written; errno is set if not all. */
static size_t write_all(const struct log_file *file, const char *p, size_t len)
{
	size_t written = 0;

	while (written < len && may_write(file)) {
		ssize_t n = write(file->fd, p + written, len - written);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		written += (size_t)n;
	}
	return written;
}

/* Ends a line that was cut. Two processes may do so at once: an empty line does no harm. */
static bool begin_anew(struct log_file *file)
{
	if (!atomic_load(file->cut))
		return true;
	if (write_all(file, "\n", 1) != 1)
		return false;
	atomic_store(file->cut, false);
	return true;
}

static size_t whole_lines(const char *p, size_t len)
{
	while (len != 0 && p[len - 1] != '\n')
		len--;
	return len;
}

/* Bytes of one write(): a pipe takes up to PIPE_BUF whole or not at all, and so no line in part. */
static size_t portion(const struct log_file *file, const char *p, size_t len)
{
	const char *end;
	size_t lines;

	if (file->disk || len <= PIPE_BUF)
		return len;
	lines = whole_lines(p, PIPE_BUF);
	end = memchr(p, '\n', len);
	return lines != 0 || !end ? lines : (size_t)(end - p) + 1;
}

size_t log_file_write(struct log_file *file, const char *p, size_t len)
{
	size_t taken = 0;

	if (file->receiver)
		return datagram_send(file->fd, file->receiver, p, len);
	if (!begin_anew(file))
		return 0;
	while (taken < len) {
		size_t n = portion(file, p + taken, len - taken);
		size_t written = write_all(file, p + taken, n);
		size_t whole = whole_lines(p + taken, written);

		taken += whole;
		if (whole != written)
			atomic_store(file->cut, true);
		if (written < n || n == 0)
			break;
	}
	return taken;
}

const char *log_file_own(const struct log_file *file, unsigned uid, unsigned gid)
{
	struct stat st;

	if (file->fd < 0 || file->not_ours || fstat(file->fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    st.st_uid == uid)
		return NULL;
	if (!file->safe)
		return "it was there before, in a directory that others may write to";
	return fchown(file->fd, uid, file->made ? gid : (gid_t)-1) == 0 ? NULL : strerror(errno);
}
