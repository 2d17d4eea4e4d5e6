/* SPDX-License-Identifier: ISC */
#include "sys/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/log.h"

extern char **environ;

/* --- the environment -------------------------------------------------------------------------- */

static bool is_named(const char *entry, const char *name)
{
	size_t len = strlen(name);

	return strncmp(entry, name, len) == 0 && entry[len] == '=';
}

static bool is_replaced(const char *entry, const struct program_variable *variables, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (is_named(entry, variables[i].name))
			return true;
	return false;
}

static void free_environment(char **environment, size_t own)
{
	for (size_t i = 0; environment && i < own; i++)
		free(environment[i]);
	free(environment);
}

/* Ours, of which *own are to be freed, and then what is inherited; NULL without memory. */
static char **make_environment(const struct program_variable *variables, size_t count, size_t *own)
{
	size_t inherited = 0, at = 0;
	char **made;

	while (environ[inherited])
		inherited++;
	made = calloc(count + inherited + 1, sizeof *made);
	for (size_t i = 0; made && i < count; i++) {
		if (!variables[i].value)
			continue;
		if (asprintf(&made[at], "%s=%s", variables[i].name, variables[i].value) < 0) {
			free_environment(made, at);
			return NULL;
		}
		at++;
	}
	*own = at;
	for (size_t i = 0; made && i < inherited; i++)
		if (!is_replaced(environ[i], variables, count))
			made[at++] = environ[i];
	return made;
}

/* --- what the program talks to ---------------------------------------------------------------- */

/* A terminal: its two ends, or a negative errno. */
static int open_terminal(int pair[2])
{
	char name[64];

	pair[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (pair[0] < 0)
		return -errno;
	pair[1] = -1;
	if (grantpt(pair[0]) == 0 && unlockpt(pair[0]) == 0 &&
	    ptsname_r(pair[0], name, sizeof name) == 0)
		pair[1] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (pair[1] >= 0)
		return 0;
	close(pair[0]);
	return -errno;
}

static int open_pair(int pair[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return -errno;
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	return 0;
}

/* --- the program ------------------------------------------------------------------------------ */

/* In the child, where other threads may have held locks of libc: system calls only. */
static void become(const struct program *program, int end, char **environment)
{
	sigset_t none;

	for (int signal_number = 1; signal_number < NSIG; signal_number++)
		signal(signal_number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (program->pty) {
		setsid();
		ioctl(end, TIOCSCTTY, 0);
	}
	dup2(end, STDIN_FILENO);
	dup2(end, STDOUT_FILENO);
	if (!program->keep_stderr)
		dup2(end, STDERR_FILENO);
	execve(program->path, (char *const *)(uintptr_t)program->argv, environment);
	_exit(1);
}

/* A signal that came to the child before it has its own handlers would count as the parent's. */
static pid_t fork_quietly(void)
{
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid != 0)
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pid;
}

int program_start(const struct program *program, const struct program_variable *variables,
		  size_t count, pid_t *pid)
{
	size_t own = 0;
	char **environment = make_environment(variables, count, &own);
	int pair[2], rc;

	if (!environment)
		return -ENOMEM;
	rc = program->pty ? open_terminal(pair) : open_pair(pair);
	if (rc == 0) {
		*pid = fork_quietly();
		if (*pid == 0)
			become(program, pair[1], environment);
		rc = *pid < 0 ? -errno : pair[0];
		close(pair[1]);
		if (rc < 0)
			close(pair[0]);
	}
	free_environment(environment, own);
	return rc;
}

void program_reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (WIFSIGNALED(status))
			log_main(LOG_INFO, "Child process %d terminated on signal %d", (int)pid,
				 WTERMSIG(status));
		else
			log_main(LOG_INFO, "Child process %d finished with code %d", (int)pid,
				 WEXITSTATUS(status));
	}
}
