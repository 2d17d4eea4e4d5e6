/* SPDX-License-Identifier: ISC */
#ifndef DATAGRAM_H
#define DATAGRAM_H

#include <stdbool.h>
#include <stddef.h>

/* Lines as datagrams, for whoever listens at the path of a Unix socket at the time of each. */

/* Whether a socket can have that path, of which the system bounds the length. */
bool datagram_fits(const char *path);

/* A non-blocking socket to send from, with room for a line of 64 KiB; -errno. */
int datagram_open(void);

/*
 * Sends lines, each with a newline at its end, which does not go with it. Returns the bytes of
 * those that were taken; less than len with errno: the rest is still the caller's. The path fits.
 */
size_t datagram_send(int fd, const char *path, const char *lines, size_t len);

#endif
