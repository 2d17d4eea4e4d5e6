/* SPDX-License-Identifier: ISC */
#include "sys/confined.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define DEPTH_MAX 64
#define LINKS_MAX 40 /* symbolic links in a path, as in path_resolution(7) */
#define TRIES 8

/*
 * The state of resolving a path. With a root all folders from there down stay open, so that `..`
 * never leads above the root, even if folders are moved meanwhile. Without a root the kernel
 * resolves `..`, and one folder is open at a time, for a worker that has few descriptors left.
 */
struct walk {
	bool confined;
	int dir[DEPTH_MAX]; /* dir[depth - 1] is the current folder */
	size_t depth;
	char rest[PATH_MAX]; /* of the path, still to be resolved */
	char name[NAME_MAX + 1];
	bool is_last;	/* nothing follows name */
	bool by_kernel; /* name is a magic link (symlink(7)): only the kernel can follow it */
	int links;
};

static char refused[PATH_MAX + 128];

static void finish(struct walk *w)
{
	while (w->depth != 0)
		close(w->dir[--w->depth]);
}

static int push(struct walk *w, int fd)
{
	if (fd < 0)
		return -errno;
	if (!w->confined)
		finish(w);
	if (w->depth == DEPTH_MAX) {
		close(fd);
		return -ENAMETOOLONG;
	}
	w->dir[w->depth++] = fd;
	return 0;
}

static int top(const struct walk *w)
{
	return w->dir[w->depth - 1];
}

/* Makes the folder that an absolute path begins at the current one. */
static int go_to_root(struct walk *w)
{
	if (!w->confined)
		return push(w, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
	while (w->depth > 1)
		close(w->dir[--w->depth]);
	return 0;
}

static int begin(struct walk *w, const char *root, const char *path)
{
	int rc;

	*w = (struct walk){.confined = root != NULL};
	refused[0] = '\0';
	if (strlen(path) >= sizeof w->rest)
		return -ENAMETOOLONG;
	memcpy(w->rest, path, strlen(path) + 1);
	if (root) {
		rc = confined_open(NULL, root, O_PATH | O_DIRECTORY, 0);
		return rc < 0 ? rc : push(w, rc);
	}
	if (path[0] == '/')
		return go_to_root(w);
	return push(w, open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/* Moves the next name of the path into w->name: "." if the path has ended. */
static int next_name(struct walk *w)
{
	size_t start = strspn(w->rest, "/");
	size_t len = strcspn(w->rest + start, "/");
	size_t used = start + len;

	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(w->name, w->rest + start, len);
	w->name[len] = '\0';
	if (len == 0)
		memcpy(w->name, ".", 2);
	w->is_last = w->rest[used + strspn(w->rest + used, "/")] == '\0';
	if (w->is_last)
		used = strlen(w->rest);
	memmove(w->rest, w->rest + used, strlen(w->rest + used) + 1);
	return 0;
}

static int go_up(struct walk *w)
{
	if (!w->confined)
		return push(w, openat(top(w), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
	if (w->depth > 1)
		close(w->dir[--w->depth]);
	return 0;
}

static bool is_somebody_elses(const struct stat *folder)
{
	return folder->st_uid != 0 && folder->st_uid != geteuid();
}

static bool others_may_write(const struct stat *folder)
{
	return (folder->st_mode & S_IWOTH) != 0 ||
	       ((folder->st_mode & S_IWGRP) != 0 && folder->st_gid != 0 &&
		folder->st_gid != getegid());
}

/* Whether only root or the process's own user can have made a link in the current folder. */
static bool may_follow(const struct walk *w)
{
	struct stat st;

	if (fstat(top(w), &st) != 0)
		return false;
	if (is_somebody_elses(&st))
		snprintf(refused, sizeof refused,
			 "%s is a symbolic link in a directory that belongs to user %u", w->name,
			 st.st_uid);
	else if (others_may_write(&st))
		snprintf(refused, sizeof refused,
			 "%s is a symbolic link in a directory that others may write to", w->name);
	else
		return true;
	return false;
}

static int follow_text(struct walk *w, int link)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(link, "", target, sizeof target - 1);
	size_t rest = strlen(w->rest) + 1;

	if (len <= 0)
		return len < 0 ? -errno : -ENOENT;
	if ((size_t)len + rest > sizeof w->rest)
		return -ENAMETOOLONG;
	memmove(w->rest + len, w->rest, rest);
	memcpy(w->rest, target, (size_t)len);
	return w->rest[0] == '/' ? go_to_root(w) : 0;
}

static int follow(struct walk *w, int link)
{
	struct statfs fs;

	if (++w->links > LINKS_MAX || !may_follow(w))
		return -ELOOP;
	if (fstatfs(top(w), &fs) != 0)
		return -errno;
	if (fs.f_type != PROC_SUPER_MAGIC)
		return follow_text(w, link);
	w->by_kernel = w->is_last;
	if (w->is_last)
		return 0;
	return push(w, openat(top(w), w->name, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/* Resolves w->name: enters a folder, follows a link, and leaves the last name for the caller. */
static int step(struct walk *w, bool follow_last)
{
	struct stat st;
	int fd, rc = 0;

	if (!strcmp(w->name, ".") || !strcmp(w->name, "..")) {
		rc = w->name[1] == '.' ? go_up(w) : 0;
		memcpy(w->name, ".", 2);
		return rc;
	}
	fd = openat(top(w), w->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT && w->is_last ? 0 : -errno; /* O_CREAT may create the last */
	if (fstat(fd, &st) != 0)
		rc = -errno;
	else if (S_ISLNK(st.st_mode) && (!w->is_last || follow_last)) {
		bool was_last = w->is_last;

		rc = follow(w, fd);
		w->is_last = was_last && w->by_kernel;
	} else if (!w->is_last) {
		if (S_ISDIR(st.st_mode))
			return push(w, fd);
		rc = -ENOTDIR;
	}
	close(fd);
	return rc;
}

/* Resolves path up to its last name, left in w->name; follow_last: even if that is a link. */
static int walk(struct walk *w, const char *root, const char *path, bool follow_last)
{
	int rc = begin(w, root, path);

	while (rc == 0 && !w->is_last) {
		rc = next_name(w);
		if (rc == 0)
			rc = step(w, follow_last);
	}
	if (rc != 0)
		finish(w);
	return rc;
}

/* Opens the last name without following a link that was put there after the walk. */
static int open_here(const struct walk *w, int flags, mode_t mode)
{
	int fd;

	if (!w->by_kernel)
		flags |= O_NOFOLLOW;
	fd = openat(top(w), w->name, flags | O_CLOEXEC, mode);
	return fd < 0 ? -errno : fd;
}

int confined_open(const char *root, const char *path, int flags, mode_t mode)
{
	struct walk w;
	int rc = walk(&w, root, path, true);

	if (rc != 0)
		return rc;
	rc = open_here(&w, flags, mode);
	finish(&w);
	return rc;
}

/*
 * Whoever may write to the folder can put a hard link to a victim's file there, and remove the link
 * once the file is open: fstat() then counts one name again. The name must therefore still lead to
 * the opened file, which must have no other name.
 */
static int look(const struct walk *w, int fd, struct stat *st)
{
	struct stat opened;

	if (fstat(fd, &opened) != 0)
		return -errno;
	*st = opened;
	if (!w->by_kernel && fstatat(top(w), w->name, st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? -ESTALE : -errno;
	if (st->st_dev != opened.st_dev || st->st_ino != opened.st_ino)
		return -ESTALE;
	return st->st_nlink > 1 ? -EMLINK : 0;
}

static int open_single(const struct walk *w, int flags, mode_t mode, struct confined_file *file)
{
	int fd = (flags & O_CREAT) != 0 ? open_here(w, flags | O_EXCL, mode) : -EEXIST, rc;
	bool created = fd >= 0;
	struct stat folder;

	if (fd == -EEXIST)
		fd = open_here(w, flags, mode);
	if (fd < 0)
		return fd;
	rc = look(w, fd, &file->st);
	if (rc == 0 && fstat(top(w), &folder) != 0)
		rc = -errno;
	if (rc != 0) {
		close(fd);
		return rc;
	}
	file->safe = created || (!is_somebody_elses(&folder) && !others_may_write(&folder));
	return fd;
}

int confined_open_single(const char *root, const char *path, int flags, mode_t mode,
			 struct confined_file *file)
{
	int rc = -ESTALE;

	for (int i = 0; rc == -ESTALE && i < TRIES; i++) {
		struct walk w;

		rc = walk(&w, root, path, true);
		if (rc != 0)
			return rc;
		rc = open_single(&w, flags, mode, file);
		finish(&w);
	}
	return rc;
}

int confined_unlink(const char *root, const char *path)
{
	struct walk w;
	int rc = walk(&w, root, path, false);

	if (rc != 0)
		return rc;
	if (unlinkat(top(&w), w.name, 0) != 0)
		rc = -errno;
	finish(&w);
	return rc;
}

const char *confined_why(int rc)
{
	if (rc == -ESTALE)
		return "Its name is taken away while it is opened";
	return rc == -ELOOP && refused[0] ? refused : strerror(-rc);
}
