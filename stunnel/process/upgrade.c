/* SPDX-License-Identifier: ISC */
#include "process/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/attend.h"
#include "sys/board.h"
#include "sys/log.h"
#include "sys/notify.h"
#include "sys/shared.h"
#include "tls/tickets.h"

#define START_MS 60000
#define HAND_OVER_MS 5000
/* The numbers of pipes: to say ready, to read keys from, and maybe that of attend_open() */
#define PIPES "STUNNEL_UPGRADE"
#define MEMORY \
	"STUNNEL_UPGRADE_MEMORY" /* of a file: a line each: its number, its layout, its name */
#define SOCKETS "STUNNEL_UPGRADE_SOCKETS" /* a line each: a or m, its number, a section's name */

static char program[PATH_MAX]; /* resolved at the start: later it may be "(deleted)" */
static char *sockets;
static int ready = -1;

/* --- in the heir ------------------------------------------------------------------------------ */

static void take_memory(int list)
{
	FILE *from = fdopen(list, "r");
	char *line = NULL, *name;
	uint64_t layout;
	size_t room = 0;
	ssize_t len;
	long fd;

	while (from && (len = getline(&line, &room, from)) > 0) {
		line[len - 1] = '\0';
		fd = strtol(line, &name, 10);
		layout = strtoull(name, &name, 16);
		if (*name != ' ' || !shared_inherit((int)fd, layout, name + 1))
			close((int)fd);
	}
	free(line);
	if (from)
		fclose(from);
}

void upgrade_open(void)
{
	ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
	const char *pipes = getenv(PIPES), *listed = getenv(SOCKETS), *memory = getenv(MEMORY);
	char *second, *third, *end;
	int keys, attended;

	program[n > 0 ? n : 0] = '\0';
	if (pipes && listed) {
		ready = (int)strtol(pipes, &second, 10);
		keys = (int)strtol(second, &third, 10);
		attended = (int)strtol(third, &end, 10);
		if (end != third)
			attend_inherit(attended);
		fcntl(ready, F_SETFD, FD_CLOEXEC);
		sockets = strdup(listed);
		tls_tickets_receive(keys);
		close(keys);
		if (memory)
			take_memory((int)strtol(memory, NULL, 10));
	}
	unsetenv(PIPES);
	unsetenv(MEMORY);
	unsetenv(SOCKETS);
}

bool upgrade_is_heir(void)
{
	return ready >= 0;
}

static bool inherit(struct bind_address **list, char *line)
{
	char *name = NULL;
	long fd = strtol(line, &name, 10);
	int rc = bind_inherit(list, (int)fd, *name == ' ' ? name + 1 : NULL);

	if (rc != 0)
		log_main(LOG_ERR, "Cannot take over the listening socket %ld: %s (%d)", fd,
			 strerror(-rc), -rc);
	return rc == 0;
}

bool upgrade_inherit(struct bind_address **addresses, struct bind_address **metrics)
{
	char *rest = sockets, *line;
	bool ok = true;

	while (ok && (line = strsep(&rest, "\n")))
		if (*line)
			ok = inherit(*line == 'm' ? metrics : addresses, line + 1);
	free(sockets);
	sockets = NULL;
	return ok;
}

void upgrade_ready(void)
{
	struct pollfd old = {.fd = ready};

	if (ready < 0)
		return;
	if (write(ready, "", 1) != 1)
		log_main(LOG_WARNING, "The old process cannot be told: %s (%d)", strerror(errno),
			 errno);
	poll(&old, 1, HAND_OVER_MS); /* tells of an end of the pipe that is closed */
	close(ready);
	ready = -1;
}

/* --- in the old master ------------------------------------------------------------------------ */

struct list {
	FILE *to;
	char kind;
};

/* In the process that becomes the heir: its sockets outlive execve(2). */
static void keep(void *to, int fd, const char *given)
{
	const struct list *list = to;

	fcntl(fd, F_SETFD, 0);
	fprintf(list->to, "%c%d%s%s\n", list->kind, fd, given ? " " : "", given ? given : "");
}

static void keep_memory(void *to, int fd, uint64_t layout, const char *name)
{
	fcntl(fd, F_SETFD, 0);
	fprintf(to, "%d %" PRIx64 " %s\n", fd, layout, name);
}

/* A descriptor of the list, which may be too long for the environment; -1: the heir begins anew. */
static int list_memory(void)
{
	int fd = memfd_create("stunnel", 0), again = dup(fd);
	FILE *to = again >= 0 ? fdopen(again, "w") : NULL;

	if (!to)
		return -1;
	shared_each(keep_memory, to);
	return fclose(to) == 0 && lseek(fd, 0, SEEK_SET) == 0 ? fd : -1;
}

struct birth {
	const struct upgrade_order *order;
	int ready, keys; /* the heir's ends of pipes */
};

/* Does not return. */
static int become_heir(void *arg)
{
	const struct birth *b = arg;
	const struct upgrade_order *order = b->order;
	char *text = NULL, numbers[48];
	char *argv[] = {program, strdup(order->path), NULL};
	size_t len;
	FILE *to = open_memstream(&text, &len);

	if (!to || !argv[1])
		_exit(1);
	bind_each(order->addresses, keep, &(struct list){to, 'a'});
	bind_each(order->metrics, keep, &(struct list){to, 'm'});
	fclose(to);
	if (order->background) /* the old one's log tells why a start fails */
		dup2(b->ready, STDERR_FILENO);
	fcntl(b->ready, F_SETFD, 0);
	fcntl(b->keys, F_SETFD, 0);
	snprintf(numbers, sizeof numbers, "%d", list_memory());
	setenv(MEMORY, numbers, 1);
	len = (size_t)snprintf(numbers, sizeof numbers, "%d %d", b->ready, b->keys);
	if (order->attend >= 0 && fcntl(order->attend, F_SETFD, 0) == 0)
		snprintf(numbers + len, sizeof numbers - len, " %d", order->attend);
	setenv(PIPES, numbers, 1);
	setenv(SOCKETS, text, 1);
	notify_pass_on();
	execv(program, argv);
	fprintf(stderr, "[!] %s: %s (%d)\n", program, strerror(errno), errno);
	_exit(1);
}

bool upgrade_begin(struct upgrade *u, const struct upgrade_order *order)
{
	int said[2] = {-1, -1}, keys[2] = {-1, -1};
	pid_t pid = -1;

	if (pipe2(said, O_CLOEXEC) == 0 && pipe2(keys, O_CLOEXEC) == 0) {
		tls_tickets_give(keys[1]);
		close(keys[1]);
		pid = attend_fork(become_heir, &(struct birth){order, said[1], keys[0]});
	}
	if (pid < 0)
		log_main(LOG_ERR, "Cannot start the new program: %s (%d)", strerror(errno), errno);
	close(said[1]);
	close(keys[0]);
	if (pid < 0) {
		close(said[0]);
		return false;
	}
	fcntl(said[0], F_SETFL, O_NONBLOCK);
	*u = (struct upgrade){.heir = pid, .ready = said[0], .until = board_now() + START_MS};
	log_main(LOG_NOTICE, "Upgrading: process %ld starts %s", (long)pid, program);
	return true;
}

/* Each line of what the heir has said on standard error. */
static void tell_failure(struct upgrade *u)
{
	char *rest = u->said, *line;

	u->said[u->len] = '\0';
	while ((line = strsep(&rest, "\n")))
		if (*line)
			log_main(LOG_ERR, "The new program: %s", line);
	log_main(LOG_ERR, "Failed to upgrade: everything stays as it was");
}

static enum upgrade_state fail(struct upgrade *u)
{
	u->until = 0;
	close(u->ready);
	kill(u->heir, SIGKILL); /* its workers end with it; that of an attended one is not ours */
	waitpid(u->heir, NULL, 0);
	tell_failure(u);
	u->heir = 0;
	return UPGRADE_FAILED;
}

enum upgrade_state upgrade_look(struct upgrade *u)
{
	char byte;
	ssize_t n;

	if (u->until == 0)
		return UPGRADE_NONE;
	while ((n = read(u->ready, &byte, 1)) == 1) {
		if (byte == '\0') {
			u->until = 0;
			return UPGRADE_DONE;
		}
		if (u->len < sizeof u->said - 1)
			u->said[u->len++] = byte;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR) || board_now() >= u->until)
		return fail(u);
	return UPGRADE_AWAITED;
}

void upgrade_release(const struct upgrade *u)
{
	close(u->ready);
}

void upgrade_cancel(struct upgrade *u)
{
	if (u->until != 0)
		fail(u);
}
