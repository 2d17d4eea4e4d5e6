/* SPDX-License-Identifier: ISC */

/*
 * For LD_PRELOAD, in programs that the daemon runs for connections of a section with transparent =
 * source: getpeername() of their standard input says who the client is, which REMOTE_HOST and
 * REMOTE_PORT name. Their other sockets have the peers that they have. What they start inherits all
 * this.
 */

#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Whether it is standard input, which the daemon has made: the peer of that has no name. */
static bool is_input(int fd, const struct sockaddr_storage *peer)
{
	struct stat this, input;

	return peer->ss_family == AF_UNIX && fstat(fd, &this) == 0 &&
	       fstat(STDIN_FILENO, &input) == 0 && this.st_dev == input.st_dev &&
	       this.st_ino == input.st_ino;
}

/* False: the environment names none. */
static bool client(struct sockaddr_storage *peer, socklen_t *len)
{
	const struct addrinfo numbers = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
					 .ai_socktype = SOCK_STREAM};
	const char *host = getenv("REMOTE_HOST"), *port = getenv("REMOTE_PORT");
	struct addrinfo *found;

	if (!host || !port || getaddrinfo(host, port, &numbers, &found) != 0)
		return false;
	memcpy(peer, found->ai_addr, found->ai_addrlen);
	*len = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

int getpeername(int fd, struct sockaddr *restrict addr, socklen_t *restrict len)
{
	struct sockaddr_storage peer;
	socklen_t peer_len = sizeof peer;

	if (syscall(SYS_getpeername, fd, &peer, &peer_len) == 0 && is_input(fd, &peer) &&
	    client(&peer, &peer_len)) {
		memcpy(addr, &peer, *len < peer_len ? *len : peer_len);
		*len = peer_len;
		return 0;
	}
	return (int)syscall(SYS_getpeername, fd, addr, len);
}
