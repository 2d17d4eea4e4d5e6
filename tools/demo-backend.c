/* SPDX-License-Identifier: ISC */
/*
 * The backend of tools/demo: answers every request on 127.0.0.1:PORT with the request head that
 * it received, as text. Port 0 stands for any free one; the port is printed. A process a
 * connection, kept alive; requests with a body are not for it.
 */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUESTS_MAX 65536 /* bytes of requests that are held at once */

static bool send_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, p, len, 0);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* The length of the head at the front of buf with its empty line, or 0 if it is not complete. */
static size_t head_length(const char *buf, size_t len)
{
	for (size_t i = 4; i <= len; i++)
		if (memcmp(buf + i - 4, "\r\n\r\n", 4) == 0)
			return i;
	return 0;
}

static bool answer(int fd, const char *head, size_t len)
{
	char lines[128];
	int n = snprintf(lines, sizeof lines,
			 "HTTP/1.1 200 OK\r\n"
			 "Content-Type: text/plain\r\n"
			 "Content-Length: %zu\r\n\r\n",
			 len);

	return send_all(fd, lines, (size_t)n) && send_all(fd, head, len);
}

static void serve(int fd)
{
	static char buf[REQUESTS_MAX];
	size_t have = 0;

	while (have < sizeof buf) {
		ssize_t n = recv(fd, buf + have, sizeof buf - have, 0);
		size_t head;

		if (n <= 0)
			return;
		have += (size_t)n;
		while ((head = head_length(buf, have)) > 0) {
			if (!answer(fd, buf, head))
				return;
			have -= head;
			memmove(buf, buf + head, have);
		}
	}
}

/* A socket that listens on 127.0.0.1; its port goes to standard output. */
static int listen_on(uint16_t port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof addr;
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
	    bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0 || listen(fd, 16) != 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) != 0) {
		perror("demo-backend");
		exit(1);
	}
	printf("%d\n", ntohs(addr.sin_port));
	fflush(stdout);
	return fd;
}

/* The port that s names, or -1. */
static long parse_port(const char *s)
{
	char *end;
	long port = strtol(s, &end, 10);

	return *s != '\0' && *end == '\0' && port >= 0 && port <= 65535 ? port : -1;
}

int main(int argc, char **argv)
{
	long port = argc == 2 ? parse_port(argv[1]) : -1;
	int listener;

	if (port < 0) {
		fprintf(stderr, "usage: demo-backend PORT\n");
		return 2;
	}
	signal(SIGCHLD, SIG_IGN); /* no zombies */
	signal(SIGPIPE, SIG_IGN);
	listener = listen_on((uint16_t)port);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			continue;
		if (fork() == 0) {
			close(listener);
			serve(fd);
			_exit(0);
		}
		close(fd);
	}
}
