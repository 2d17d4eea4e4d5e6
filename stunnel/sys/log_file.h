/* SPDX-License-Identifier: ISC */
#ifndef LOG_FILE_H
#define LOG_FILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * A file that several processes append lines to: log or access log. Each line is whole, or what a
 * full disk left of it stands alone: the next line begins anew, whichever process writes that. Only
 * a disk is waited for; a pipe, a terminal or a socket gets what it takes at once. Closed: the
 * descriptor is -1, all else is zeroed.
 */
struct log_file {
	int fd;		      /* -1: closed */
	const char *receiver; /* path of the socket that gets each line as a datagram; or NULL */
	atomic_bool *cut;     /* the file ends within a line; in memory that all processes share */
	bool not_ours; /* a descriptor that is shared: blocking, so that poll() goes before each
			  write */
	bool disk;
	bool made; /* it was not there before: nobody has chosen its group */
	bool safe; /* nobody else can have put it where it was opened */
};

/* The words that stand for open descriptors, and need no opening: STDOUT_FILENO, or -1. */
int log_file_standard(const char *path);

/*
 * Opens or creates the file, or takes the descriptor that a word stands for, and replaces the one
 * that is open; 0, or -errno for confined_why() and then the struct is unchanged. root: as for
 * confined_open(). A file with other names is refused
 * (-EMLINK). A FIFO keeps lines for a reader that is to come. Processes that are to append are
 * forked after the first opening.
 */
int log_file_open(struct log_file *file, const char *root, const char *path, bool truncate);

/*
 * Whether this process can open a file of a disk by its path again, as after a rotation: 0, or
 * -errno for confined_why(). Nothing changes.
 */
int log_file_try(const struct log_file *file, const char *path);

/* As log_file_open() for an open descriptor, such as standard error, which stays the caller's. */
int log_file_adopt(struct log_file *file, int fd);

/* What stands before the path of a Unix datagram socket, in place of a file's. */
#define LOG_FILE_SOCKET "unix-dgram:"

/* The path behind LOG_FILE_SOCKET, or NULL. */
const char *log_file_receiver(const char *path);

/*
 * As log_file_open() for the socket at a path, which has to last and counts from where the process
 * is confined: it is looked for at each line, so that whoever listens there may come later and
 * begin anew. Lines go without their newlines.
 */
int log_file_send_to(struct log_file *file, const char *receiver);

/* Closing a closed one does nothing. */
void log_file_close(struct log_file *file);

/*
 * Writes lines, each with a newline at its end; returns how many bytes of them the file has taken,
 * which is whole lines. Less than len with errno: the rest is still the caller's.
 */
size_t log_file_write(struct log_file *file, const char *p, size_t len);

/*
 * Hands a regular file to a user, so that a process without privileges can open it again; NULL, or
 * why not. One that was there before, where others may have put it, is not given away: it may hold
 * what that user must not read. It keeps its group, which says who reads logs. Terminals and
 * devices stay whose they are.
 */
const char *log_file_own(const struct log_file *file, unsigned uid, unsigned gid);

#endif
