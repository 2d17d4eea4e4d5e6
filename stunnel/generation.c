/* SPDX-License-Identifier: ISC */
#include "generation.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "access.h"
#include "log.h"
#include "worker.h"

#define STOP_SECONDS 5
#define RESPAWN_SECONDS 1 /* a worker that dies at once is not replaced faster */

/* The time of day would not do: it may be set back. */
static time_t seconds_since_boot(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static size_t worker_count(const struct config *config)
{
	cpu_set_t cpus;

	if (config->globals.workers > 0)
		return (size_t)config->globals.workers;
	if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
		return 1;
	return (size_t)CPU_COUNT(&cpus);
}

struct generation *generation_new(struct config *config)
{
	struct generation *g = calloc(1, sizeof *g);

	if (!g)
		return NULL;
	g->count = worker_count(config);
	g->worker = calloc(g->count, sizeof *g->worker);
	if (!g->worker) {
		free(g);
		return NULL;
	}
	g->config = config;
	return g;
}

void generation_free(struct generation *g)
{
	conf_free(g->config);
	free(g->worker);
	free(g->log_path);
	free(g);
}

/* Held on to by a worker that never writes to them, files would outlive their rotation. */
static void close_other_logs(struct generations *all, const struct generation *mine)
{
	for (struct generation *g = all->first; g; g = g->next)
		if (g != mine)
			access_close(g->config->access);
}

/* In the new process: everything of the master's that a worker has no use for is let go. */
static int become_worker(struct generations *all, struct generation *g, size_t index, int ready)
{
	struct worker_socket *sockets = calloc(bind_count(&all->addresses) + 1, sizeof *sockets);
	struct worker_task task = {
		.config = g->config,
		.shared = all->shared,
		.socket = sockets,
		.log_path = g->config->globals.output,
		.lifeline = all->lifeline[0],
		.ready = ready,
	};
	int status;

	close(all->lifeline[1]);
	close_other_logs(all, g);
	if (!sockets)
		return 1;
	task.socket_count = bind_take(&all->addresses, index, g->count, sockets);
	status = worker_run(&task);
	free(sockets);
	return status;
}

/* What a worker's process would leave behind at its exit, for leak checkers to see nothing. */
void generation_forget(struct generations *all)
{
	while (all->first) {
		struct generation *next = all->first->next;

		generation_free(all->first);
		all->first = next;
	}
	bind_close(&all->addresses);
}

/* Starts one and waits until it accepts connections; false if it could not. */
static bool spawn(struct generations *all, struct generation *g, size_t index)
{
	int ready[2];
	char byte;
	bool ok;
	pid_t pid;

	if (pipe(ready) != 0)
		return false;
	pid = fork();
	if (pid == 0) {
		int status;

		close(ready[0]);
		status = become_worker(all, g, index, ready[1]);
		generation_forget(all);
		exit(status);
	}
	close(ready[1]);
	do
		ok = pid > 0 && read(ready[0], &byte, 1) == 1;
	while (!ok && pid > 0 && errno == EINTR);
	close(ready[0]);
	g->worker[index] = pid > 0 ? pid : 0;
	return ok;
}

void generation_signal(const struct generation *g, int number)
{
	for (size_t i = 0; i < g->count; i++)
		if (g->worker[i] != 0)
			kill(g->worker[i], number);
}

bool generation_spawn(struct generations *all, struct generation *g)
{
	for (size_t i = 0; i < g->count; i++) {
		if (spawn(all, g, i))
			continue;
		log_main(LOG_ERR, "A worker could not be started");
		return false;
	}
	return true;
}

/* Waits for a worker that was told to stop; one that hangs, as in a name look-up, is killed. */
static void await_worker(pid_t pid, int *patience)
{
	const struct timespec pause = {0, 10 * 1000 * 1000};

	for (; *patience > 0; --*patience) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return;
		nanosleep(&pause, NULL);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void generation_stop(struct generation *g)
{
	int patience = STOP_SECONDS * 100; /* for all of them together */

	generation_signal(g, WORKER_STOP);
	for (size_t i = 0; i < g->count; i++)
		if (g->worker[i] != 0)
			await_worker(g->worker[i], &patience);
}

static void log_exit(pid_t pid, int status)
{
	if (WIFSIGNALED(status))
		log_main(LOG_ERR, "Worker process %ld terminated on signal %d (%s)", (long)pid,
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		log_main(LOG_ERR, "Worker process %ld finished with code %d", (long)pid,
			 WEXITSTATUS(status));
}

static void worker_ended(struct generations *all, pid_t pid, int status)
{
	for (struct generation *g = all->first; g; g = g->next) {
		for (size_t i = 0; i < g->count; i++) {
			if (g->worker[i] != pid)
				continue;
			g->worker[i] = 0;
			if (g->draining && WIFEXITED(status) && WEXITSTATUS(status) == 0)
				return;
			log_exit(pid, status);
			all->respawn_due |= !g->draining;
			return;
		}
	}
}

static bool generation_over(const struct generation *g)
{
	for (size_t i = 0; i < g->count; i++)
		if (g->worker[i] != 0)
			return false;
	return g->draining;
}

void generation_reap(struct generations *all)
{
	struct generation **at = &all->first;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		worker_ended(all, pid, status);
	while (*at) {
		struct generation *g = *at;

		if (!generation_over(g)) {
			at = &g->next;
			continue;
		}
		*at = g->next;
		generation_free(g);
	}
}

bool generation_respawn(struct generations *all, struct timespec *wait)
{
	struct generation *g = all->first;

	*wait = (struct timespec){RESPAWN_SECONDS, 0};
	if (!all->respawn_due || seconds_since_boot() - all->last_respawn < RESPAWN_SECONDS)
		return all->respawn_due;
	all->respawn_due = false;
	all->last_respawn = seconds_since_boot();
	for (size_t i = 0; i < g->count; i++)
		if (g->worker[i] == 0 && !spawn(all, g, i)) {
			log_main(LOG_ERR, "A worker could not be started");
			all->respawn_due |= g->worker[i] == 0; /* no process, so no SIGCHLD */
		}
	return all->respawn_due;
}
