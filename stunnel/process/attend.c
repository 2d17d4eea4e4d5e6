/* SPDX-License-Identifier: ISC */
#include "process/attend.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/log.h"
#include "sys/title.h"

#define STACK_SIZE (256 * 1024)

/* An attended master writes the process id of its heir here, which the first process reads. */
static int names_in = -1, names_out = -1;

static pid_t *heirs; /* 0: it has ended */
static size_t heir_count;
static int newest_status = -1; /* of waitpid(); -1: it has not ended, or not been seen to end */

static bool is_attended(void)
{
	return names_out >= 0 && names_in < 0;
}

void attend_inherit(int fd)
{
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
		names_out = fd;
}

int attend_open(bool awaited)
{
	int names[2];

	if (names_out >= 0 || !awaited)
		return names_out;
	if (pipe2(names, O_CLOEXEC) != 0) {
		log_main(LOG_WARNING, "pipe: %s (%d)", strerror(errno), errno);
		return -1;
	}
	fcntl(names[0], F_SETFL, O_NONBLOCK);
	names_in = names[0];
	names_out = names[1];
	return names_out;
}

pid_t attend_fork(int (*fn)(void *arg), void *arg)
{
	char *stack;
	pid_t pid;

	if (!is_attended()) {
		pid = fork();
		if (pid == 0)
			_exit(fn(arg));
		return pid;
	}
	stack = malloc(STACK_SIZE); /* of a copy of this process: nobody here runs on it */
	pid = stack ? clone(fn, stack + STACK_SIZE, CLONE_PARENT | SIGCHLD, arg) : -1;
	free(stack);
	return pid;
}

/* --- in the first process --------------------------------------------------------------------- */

static bool is_child(pid_t pid)
{
	siginfo_t info;

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* One that has ended long before it is heard of stays in the list, and counts as failed. */
static void add(pid_t pid, pid_t waited_for)
{
	pid_t *grown = realloc(heirs, (heir_count + 1) * sizeof *grown);

	if (!grown)
		return;
	heirs = grown;
	heirs[heir_count++] = pid == waited_for || is_child(pid) ? pid : 0;
	newest_status = -1;
	title_set("stunnel: attends to process %ld", (long)pid);
}

/* waited_for: a process that waitpid() has just told of; or 0. */
static void hear_of_heirs(pid_t waited_for)
{
	pid_t pid;

	while (attend_begun() && read(names_in, &pid, sizeof pid) == (ssize_t)sizeof pid)
		add(pid, waited_for);
}

bool attend_begun(void)
{
	return heir_count != 0;
}

void attend_hand_over(pid_t heir)
{
	if (is_attended() && write(names_out, &heir, sizeof heir) != (ssize_t)sizeof heir)
		log_main(LOG_WARNING, "The first process cannot be told: %s (%d)", strerror(errno),
			 errno);
	else if (names_in >= 0)
		add(heir, 0);
}

void attend_ended(pid_t pid, int status)
{
	hear_of_heirs(pid);
	for (size_t i = 0; i < heir_count; i++) {
		if (heirs[i] != pid)
			continue;
		heirs[i] = 0;
		if (i == heir_count - 1)
			newest_status = status;
	}
}

void attend_pass_on(int number, bool to_newest)
{
	hear_of_heirs(0);
	for (size_t i = to_newest && heir_count != 0 ? heir_count - 1 : 0; i < heir_count; i++)
		if (heirs[i] != 0)
			kill(heirs[i], number);
}

bool attend_left(int *status)
{
	pid_t pid;

	while ((pid = waitpid(-1, status, WNOHANG)) > 0)
		attend_ended(pid, *status);
	hear_of_heirs(0);
	for (size_t i = 0; i < heir_count; i++)
		if (heirs[i] != 0)
			return true;
	free(heirs);
	heirs = NULL;
	heir_count = 0;
	*status = newest_status != -1 && WIFEXITED(newest_status) ? WEXITSTATUS(newest_status) : 1;
	return false;
}

void attend_let_go(void)
{
	if (names_in >= 0)
		close(names_in);
	if (names_out >= 0)
		close(names_out);
	names_in = names_out = -1;
}
