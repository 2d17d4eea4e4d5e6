/* SPDX-License-Identifier: ISC */
#include "sys/datagram.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ROOM (2 * 65536)

bool datagram_fits(const char *path)
{
	return strlen(path) < sizeof((struct sockaddr_un *)0)->sun_path;
}

int datagram_open(void)
{
	static const int room = ROOM;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	return fd;
}

size_t datagram_send(int fd, const char *path, const char *lines, size_t len)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const char *end;
	size_t sent = 0;

	snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
	while ((end = memchr(lines + sent, '\n', len - sent))) {
		size_t line = (size_t)(end - lines) - sent;
		ssize_t n = sendto(fd, lines + sent, line, MSG_NOSIGNAL,
				   (const struct sockaddr *)&to, sizeof to);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		sent += line + 1;
	}
	return sent;
}
