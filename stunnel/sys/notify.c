/* SPDX-License-Identifier: ISC */
#include "sys/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "sys/log.h"

#define SEND_SECONDS 2 /* for a manager whose queue is full */

static struct {
	struct sockaddr_un to;
	socklen_t len; /* 0: nobody is to be told */
	uint64_t watchdog_ms;
	bool started_us, failed;
} manager;

/* Whether a variable that holds a process id means this process; unset, it means any. */
static bool means_us(const char *variable, bool unset)
{
	const char *pid = getenv(variable);

	return pid ? strtol(pid, NULL, 10) == (long)getpid() : unset;
}

/* A path, or the name of an abstract socket behind @. */
static void take_socket(const char *name)
{
	size_t len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof manager.to.sun_path) {
		log_main(LOG_WARNING, "NOTIFY_SOCKET=%s is no socket that can be told anything",
			 name);
		return;
	}
	manager.to.sun_family = AF_UNIX;
	memcpy(manager.to.sun_path, name, len);
	if (name[0] == '@')
		manager.to.sun_path[0] = '\0';
	manager.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

void notify_open(void)
{
	const char *name = getenv("NOTIFY_SOCKET"), *usec = getenv("WATCHDOG_USEC");

	if (name && *name)
		take_socket(name);
	if (usec && means_us("WATCHDOG_PID", true))
		manager.watchdog_ms = strtoull(usec, NULL, 10) / 1000;
	manager.started_us = means_us("SYSTEMD_EXEC_PID", false);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void notify_pass_on(void)
{
	char name[sizeof manager.to.sun_path + 1] = "", usec[32];

	if (manager.len == 0)
		return;
	memcpy(name, manager.to.sun_path, manager.len - offsetof(struct sockaddr_un, sun_path));
	if (name[0] == '\0')
		name[0] = '@';
	setenv("NOTIFY_SOCKET", name, 1);
	if (manager.watchdog_ms == 0)
		return;
	snprintf(usec, sizeof usec, "%llu", (unsigned long long)manager.watchdog_ms * 1000);
	setenv("WATCHDOG_USEC", usec, 1);
}

void notify_leave(void)
{
	manager.len = 0;
}

bool notify_wanted(void)
{
	return manager.len != 0;
}

bool notify_started_us(void)
{
	return manager.len != 0 && manager.started_us;
}

uint64_t notify_watchdog_ms(void)
{
	return manager.len != 0 ? manager.watchdog_ms : 0;
}

/* 0 or -errno. A socket for each message: there is none for children to inherit. */
static int send_text(const char *text)
{
	const struct timeval limit = {.tv_sec = SEND_SECONDS};
	const struct sockaddr *to = (const struct sockaddr *)(const void *)&manager.to;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, to, manager.len) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

void notify_send(const char *format, ...)
{
	char text[512];
	va_list ap;
	int rc;

	if (!notify_wanted())
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	rc = send_text(text);
	if (rc != 0 && !manager.failed)
		log_main(LOG_WARNING, "The service manager cannot be told: %s (%d)", strerror(-rc),
			 -rc);
	manager.failed = rc != 0;
}
