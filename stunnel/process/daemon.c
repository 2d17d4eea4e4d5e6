/* SPDX-License-Identifier: ISC */
#include "process/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/confined.h"
#include "sys/log.h"

static char *pid_root, *pid_path; /* of the pid file that was written */
static int ready_fd = -1;
static int null_fd = -1; /* /dev/null, opened early: a chroot may lack the file */

static bool failed(const char *what)
{
	log_main(LOG_ERR, "%s: %s (%d)", what, strerror(errno), errno);
	return false;
}

bool daemon_standard_streams(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return false;
	return true;
}

/* Does not return: exits with 0 once the child is ready, else with the child's status. */
static void wait_for(pid_t child, int fd)
{
	char byte;
	int status;

	if (read(fd, &byte, 1) == 1)
		_exit(0);
	if (waitpid(child, &status, 0) == child && WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	_exit(1);
}

bool daemon_fork(void)
{
	int fds[2];
	pid_t child;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return failed("pipe");
	child = fork();
	if (child < 0)
		return failed("fork");
	if (child > 0) {
		close(fds[1]);
		wait_for(child, fds[0]);
	}
	close(fds[0]);
	ready_fd = fds[1];
	setsid();
	return daemon_stay();
}

bool daemon_stay(void)
{
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return null_fd >= 0 || failed("/dev/null");
}

/* The two numbers are one socket if inetd has duplicated it. */
static bool is_one_socket(int a, int b)
{
	struct stat first, second;

	return fstat(a, &first) == 0 && fstat(b, &second) == 0 && S_ISSOCK(first.st_mode) &&
	       first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

/*
 * A copy of the descriptor. O_NONBLOCK belongs to the open file description, which a shell and
 * others share: a pipe or a terminal is opened anew, as the same user may; else the flag stays, as
 * in stock.
 */
static int own_stream(int fd)
{
	int flags = fcntl(fd, F_GETFL), own = -1;
	struct stat st;
	char path[32];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (flags >= 0 && fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || isatty(fd)))
		own = open(path, (flags & O_ACCMODE) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (own < 0)
		return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	fcntl(own, F_SETFL, flags); /* it was for open() alone, which may wait for the other end */
	return own;
}

bool daemon_take_streams(int streams[2], bool keep_stderr)
{
	bool one = is_one_socket(STDIN_FILENO, STDOUT_FILENO);

	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	streams[0] = own_stream(STDIN_FILENO);
	streams[1] = one ? streams[0] : own_stream(STDOUT_FILENO);
	if (null_fd < 0 || streams[0] < 0 || streams[1] < 0)
		return failed("standard streams");
	dup2(null_fd, STDIN_FILENO);
	dup2(null_fd, STDOUT_FILENO);
	if (!keep_stderr)
		return true;
	close(null_fd);
	null_fd = -1;
	return true;
}

void daemon_detach(void)
{
	log_started();
	for (int fd = 0; null_fd >= 0 && fd <= 2; fd++)
		dup2(null_fd, fd);
	if (null_fd > 2)
		close(null_fd);
	null_fd = -1;
	if (ready_fd < 0)
		return;
	if (chdir("/") != 0)
		failed("chdir");
	close(ready_fd);
	ready_fd = -1;
}

void daemon_ready(void)
{
	if (ready_fd >= 0 && write(ready_fd, "", 1) != 1)
		failed("daemon");
	daemon_detach();
}

static bool pid_failed(const char *root, const char *path, int rc)
{
	log_main(LOG_ERR, "Cannot create pid file %s%s: create: %s (%d)", root ? root : "", path,
		 confined_why(rc), -rc);
	return false;
}

bool daemon_pid_write(const char *root, const char *path)
{
	char text[32];
	int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	int fd, rc = 0;

	confined_unlink(root, path);
	fd = confined_open(root, path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	if (fd < 0)
		return pid_failed(root, path, fd);
	if (write(fd, text, (size_t)len) != len)
		rc = -errno;
	close(fd);
	if (rc != 0)
		return pid_failed(root, path, rc);
	pid_root = root ? strdup(root) : NULL;
	pid_path = !root || pid_root ? strdup(path) : NULL;
	log_main(LOG_DEBUG, "Created pid file %s", path);
	return true;
}

long daemon_pid_read(const char *root, const char *path)
{
	char text[32] = "";
	int fd = confined_open(root, path, O_RDONLY, 0);
	long pid;

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof text - 1) < 0)
		text[0] = '\0';
	close(fd);
	pid = strtol(text, NULL, 10);
	return pid > 1 ? pid : 0;
}

void daemon_pid_leave(void)
{
	free(pid_path);
	free(pid_root);
	pid_path = pid_root = NULL;
}

void daemon_pid_remove(void)
{
	int rc = pid_path ? confined_unlink(pid_root, pid_path) : -ENOENT;

	if (rc == 0)
		log_main(LOG_DEBUG, "Removed pid file %s", pid_path);
	else if (rc == -ELOOP)
		log_main(LOG_ERR, "Cannot remove pid file %s: %s", pid_path, confined_why(rc));
	daemon_pid_leave();
}

static bool enter(const char *root)
{
	int fd = confined_open(NULL, root, O_PATH | O_DIRECTORY, 0), rc = fd;

	if (fd >= 0) {
		rc = fchdir(fd) == 0 && chroot(".") == 0 && chdir("/") == 0 ? 0 : -errno;
		close(fd);
	}
	if (rc != 0)
		log_main(LOG_ERR, "chroot: %s: %s (%d)", root, confined_why(rc), -rc);
	return rc == 0;
}

bool daemon_confine(const char *root, unsigned uid, unsigned gid)
{
	gid_t group = gid;

	if (root && !enter(root))
		return false;
	if (gid != 0 && (setgroups(1, &group) != 0 || setgid(gid) != 0))
		return failed("setgid");
	if (gid == 0 && uid != 0 && setgroups(0, NULL) != 0)
		return failed("setgroups");
	if (uid != 0 && setuid(uid) != 0)
		return failed("setuid");
	return true;
}
