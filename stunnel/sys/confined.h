/* SPDX-License-Identifier: ISC */
#ifndef CONFINED_H
#define CONFINED_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/*
 * Files in folders that may belong to others, for a process that may do more than they: log, access
 * logs and pid file, which root opens for workers of another user. A symbolic link, wherever it is
 * in the path, is followed only where nobody but root or ourselves could have put it; otherwise
 * that user's links would lead us to files that he has no right to. With a root, which is what the
 * workers are confined to, links and `..` lead to where they lead the workers, and never out of it.
 */

/*
 * As open(2), with O_CLOEXEC; root NULL: the path is as it is. The descriptor or -errno; -ELOOP: a
 * link was not followed.
 */
int confined_open(const char *root, const char *path, int flags, mode_t mode);

struct confined_file {
	struct stat st;
	bool safe; /* we created it, or nobody but root or ourselves can have put it there */
};

/*
 * As confined_open() for a file without other names, which *file describes on success.
 * -EMLINK: it has other names; -ESTALE: its name keeps being taken away.
 */
int confined_open_single(const char *root, const char *path, int flags, mode_t mode,
			 struct confined_file *file);

/* As unlink(2); 0 or -errno. */
int confined_unlink(const char *root, const char *path);

/* What an -errno of the latest call means, with the link that was not followed; static text. */
const char *confined_why(int rc);

#endif
