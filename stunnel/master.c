/* SPDX-License-Identifier: ISC */
#include "master.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bind.h"
#include "conf.h"
#include "daemon.h"
#include "log.h"
#include "worker.h"

#define STOP_SECONDS 5
#define RESPAWN_SECONDS 1 /* a worker that dies at once is not replaced faster */

/* The workers of one configuration. */
struct generation {
	struct generation *next;
	struct config *config;
	pid_t *worker; /* 0: has ended */
	size_t count;
	bool draining;
	char *log_path; /* of the log file as the master names it */
};

struct master {
	const char *path;
	int fd;
	struct generation *generations; /* the newest first */
	struct bind_address *addresses; /* that are listened on */
	struct conn_shared *shared;
	int lifeline[2];
	char *pid_path;
	sigset_t signals;
	time_t last_respawn;
	bool respawn_due;
	bool ending;
};

static size_t worker_count(const struct config *config)
{
	cpu_set_t cpus;

	if (config->globals.workers > 0)
		return (size_t)config->globals.workers;
	if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
		return 1;
	return (size_t)CPU_COUNT(&cpus);
}

/* --- workers ---------------------------------------------------------------------------------- */

static void free_generation(struct generation *g)
{
	conf_free(g->config);
	free(g->worker);
	free(g->log_path);
	free(g);
}

/* Held on to by a worker that never writes to them, files would outlive their rotation. */
static void close_other_logs(struct master *m, const struct generation *mine)
{
	for (struct generation *g = m->generations; g; g = g->next)
		for (struct access_file *file = g->config->access; file && g != mine;
		     file = file->next)
			access_close(file);
}

/* In the new process: everything of the master's that a worker has no use for is let go. */
static int become_worker(struct master *m, struct generation *g, size_t index, int ready)
{
	struct worker_socket *sockets = calloc(bind_count(&m->addresses) + 1, sizeof *sockets);
	struct worker_task task = {
		.config = g->config,
		.shared = m->shared,
		.socket = sockets,
		.log_path = g->config->globals.output,
		.lifeline = m->lifeline[0],
		.ready = ready,
	};
	int status;

	close(m->lifeline[1]);
	close_other_logs(m, g);
	if (!sockets)
		return 1;
	task.socket_count = bind_take(&m->addresses, index, g->count, sockets);
	status = worker_run(&task);
	free(sockets);
	return status;
}

/* What a worker's process would leave behind at its exit, for leak checkers to see nothing. */
static void forget_all(struct master *m)
{
	while (m->generations) {
		struct generation *next = m->generations->next;

		free_generation(m->generations);
		m->generations = next;
	}
	bind_close(&m->addresses);
	free(m->pid_path);
}

/* Starts one and waits until it accepts connections; false if it could not. */
static bool spawn(struct master *m, struct generation *g, size_t index)
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
		status = become_worker(m, g, index, ready[1]);
		forget_all(m);
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

static void signal_workers(const struct generation *g, int number)
{
	for (size_t i = 0; i < g->count; i++)
		if (g->worker[i] != 0)
			kill(g->worker[i], number);
}

static bool spawn_all(struct master *m, struct generation *g)
{
	for (size_t i = 0; i < g->count; i++) {
		if (spawn(m, g, i))
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

static void stop_generation(struct generation *g)
{
	int patience = STOP_SECONDS * 100; /* for all of them together */

	signal_workers(g, WORKER_STOP);
	for (size_t i = 0; i < g->count; i++)
		if (g->worker[i] != 0)
			await_worker(g->worker[i], &patience);
}

/* --- configurations --------------------------------------------------------------------------- */

/* A path of the configuration, which counts from the chroot directory, for the master outside. */
static char *outside(const struct conf_globals *g, const char *path)
{
	size_t size = (g->chroot ? strlen(g->chroot) : 0) + (path ? strlen(path) : 0) + 2;
	char *full = path ? malloc(size) : NULL;

	if (full)
		snprintf(full, size, "%s%s%s", g->chroot ? g->chroot : "",
			 g->chroot && path[0] != '/' ? "/" : "", path);
	return full;
}

static bool open_log(const struct generation *g)
{
	const struct conf_globals *globals = &g->config->globals;
	struct log_sinks sinks = {
		.level = g->config->defaults.log_level,
		.to_syslog = globals->syslog,
		.for_access = g->config->access != NULL,
		.facility = globals->facility,
		.ident = globals->service,
		.to_stderr = globals->foreground == CONF_FOREGROUND,
		.path = g->log_path,
		.overwrite = globals->overwrite,
	};
	int rc = log_open(&sinks);

	if (rc != 0)
		log_main(LOG_ERR, "Cannot open log file: %s: %s (%d)", g->log_path, strerror(-rc),
			 -rc);
	return rc == 0;
}

/* Each as the master names it, which may be outside of the workers' chroot. */
static bool open_access_logs(const struct generation *g)
{
	for (struct access_file *file = g->config->access; file; file = file->next) {
		char *path = outside(&g->config->globals, file->path);
		int rc = path || !file->path ? access_open(file, path) : -ENOMEM;

		if (rc != 0)
			log_main(LOG_ERR, "Cannot open access log: %s: %s (%d)", path ? path : "",
				 strerror(-rc), -rc);
		free(path);
		if (rc != 0)
			return false;
	}
	return true;
}

static struct generation *load(const struct master *m)
{
	struct generation *g = calloc(1, sizeof *g);
	char why[CONF_WHY_MAX];

	if (!g)
		return NULL;
	g->config = conf_load(m->path, m->fd, why);
	if (!g->config) {
		log_main(LOG_ERR, "%s", why);
		log_main(LOG_ERR, "Configuration failed");
		free(g);
		return NULL;
	}
	g->count = worker_count(g->config);
	g->worker = calloc(g->count, sizeof *g->worker);
	g->log_path = outside(&g->config->globals, g->config->globals.output);
	if (g->worker)
		return g;
	free_generation(g);
	return NULL;
}

/* What a reload leaves as it was, since workers and files depend on it from the start. */
static void keep_fixed_globals(struct config *config, const struct config *old)
{
	const struct conf_globals *was = &old->globals;
	struct conf_globals *g = &config->globals;

	g->chroot = was->chroot ? conf_keep(config, was->chroot) : NULL;
	g->uid = was->uid;
	g->gid = was->gid;
	g->pid = NULL;
}

/* All of it or nothing: until the new workers accept connections the old ones do. */
static void reload(struct master *m)
{
	struct generation *old = m->generations, *g;

	if (!m->path) {
		log_main(LOG_ERR, "A configuration read from a descriptor cannot be reloaded");
		return;
	}
	g = load(m);
	if (g) {
		keep_fixed_globals(g->config, old->config);
		free(g->log_path);
		g->log_path = outside(&g->config->globals, g->config->globals.output);
	}
	if (g && bind_all(&m->addresses, g->config, g->count) && open_access_logs(g) &&
	    open_log(g)) {
		if (spawn_all(m, g)) {
			g->next = old;
			m->generations = g;
			old->draining = true;
			signal_workers(old, WORKER_DRAIN);
			bind_drop_unused(&m->addresses);
			log_main(LOG_INFO, "Accepting new connections");
			return;
		}
		stop_generation(g);
		open_log(old);
	}
	bind_restore(&m->addresses, old->config);
	log_main(LOG_ERR, "Failed to reload the configuration file");
	if (g)
		free_generation(g);
}

/* --- signals ---------------------------------------------------------------------------------- */

static void reopen_access_logs(const struct generation *g)
{
	const struct conf_globals *globals = &g->config->globals;

	if (!open_access_logs(g) || (globals->uid == 0 && globals->gid == 0))
		return;
	for (struct access_file *file = g->config->access; file; file = file->next)
		access_own(file, globals->uid != 0 ? globals->uid : geteuid(),
			   globals->gid != 0 ? globals->gid : getegid());
}

static void reopen_log(struct master *m)
{
	const struct conf_globals *g = &m->generations->config->globals;
	int rc = log_reopen(true);

	if (rc != 0) {
		log_main(LOG_ERR, "Cannot open log file: %s (%d)", strerror(-rc), -rc);
		return;
	}
	if (g->uid != 0 || g->gid != 0)
		log_own(g->uid != 0 ? g->uid : geteuid(), g->gid != 0 ? g->gid : getegid());
	reopen_access_logs(m->generations);
	log_main(LOG_NOTICE, "Log file reopened");
	for (struct generation *each = m->generations; each; each = each->next)
		signal_workers(each, WORKER_REOPEN);
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

static void worker_ended(struct master *m, pid_t pid, int status)
{
	for (struct generation *g = m->generations; g; g = g->next) {
		for (size_t i = 0; i < g->count; i++) {
			if (g->worker[i] != pid)
				continue;
			g->worker[i] = 0;
			if (g->draining && WIFEXITED(status) && WEXITSTATUS(status) == 0)
				return;
			log_exit(pid, status);
			m->respawn_due |= !g->draining;
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

static void reap(struct master *m)
{
	struct generation **at = &m->generations;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		worker_ended(m, pid, status);
	while (*at) {
		struct generation *g = *at;

		if (!generation_over(g)) {
			at = &g->next;
			continue;
		}
		*at = g->next;
		free_generation(g);
	}
}

static void respawn(struct master *m)
{
	struct generation *g = m->generations;

	m->respawn_due = false;
	m->last_respawn = time(NULL);
	for (size_t i = 0; i < g->count; i++)
		if (g->worker[i] == 0 && !spawn(m, g, i)) {
			log_main(LOG_ERR, "A worker could not be started");
			m->respawn_due |= g->worker[i] == 0; /* no process, so no SIGCHLD */
		}
}

static void handle_signal(struct master *m, int number)
{
	switch (number) {
	case SIGHUP:
		reload(m);
		break;
	case SIGUSR1:
		reopen_log(m);
		break;
	case SIGCHLD:
		reap(m);
		break;
	case SIGTERM:
		log_main(LOG_NOTICE, "Terminated");
		m->ending = true;
		break;
	case SIGINT:
	case SIGQUIT:
		log_main(LOG_ERR, "Received SIG%s; terminating", number == SIGINT ? "INT" : "QUIT");
		m->ending = true;
		break;
	default:
		break;
	}
}

static void serve(struct master *m)
{
	while (!m->ending) {
		struct timespec second = {RESPAWN_SECONDS, 0};
		int number;

		if (m->respawn_due && time(NULL) - m->last_respawn >= RESPAWN_SECONDS)
			respawn(m);
		number = m->respawn_due ? sigtimedwait(&m->signals, NULL, &second)
					: sigwaitinfo(&m->signals, NULL);
		if (number > 0)
			handle_signal(m, number);
	}
}

static void block_signals(struct master *m)
{
	static const int numbers[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGCHLD, SIGUSR2};

	sigemptyset(&m->signals);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		sigaddset(&m->signals, numbers[i]);
	sigprocmask(SIG_BLOCK, &m->signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* inherited as ignored it would hide dead workers */
}

static void end(struct master *m)
{
	for (struct generation *g = m->generations; g; g = g->next)
		stop_generation(g);
	bind_close(&m->addresses);
	if (m->pid_path)
		daemon_pid_remove(m->pid_path);
	forget_all(m);
}

static bool start(struct master *m, struct generation *g)
{
	const struct conf_globals *globals = &g->config->globals;

	if (!bind_all(&m->addresses, g->config, g->count))
		return false;
	bind_drop_unused(&m->addresses);
	if (globals->foreground == CONF_BACKGROUND && !daemon_fork())
		return false;
	log_name("main");
	if (!open_log(g) || !open_access_logs(g) || !spawn_all(m, g))
		return false;
	m->pid_path = outside(globals, globals->pid);
	return !m->pid_path || daemon_pid_write(m->pid_path);
}

/* Each connection takes two descriptors: the soft limit is for programs that use select(). */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_main(LOG_WARNING, "Cannot raise the limit of descriptors: %s (%d)",
			 strerror(errno), errno);
}

int master_run(const char *path, int fd)
{
	struct master m = {.path = path, .fd = fd};
	struct generation *g;

	block_signals(&m);
	raise_descriptor_limit();
	m.shared = mmap(NULL, sizeof *m.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (m.shared == MAP_FAILED || pipe2(m.lifeline, O_CLOEXEC) != 0 ||
	    getrandom(&m.shared->start, sizeof m.shared->start, 0) < 0) {
		fprintf(stderr, "[!] Cannot start: %s (%d)\n", strerror(errno), errno);
		return 1;
	}
	g = load(&m);
	m.generations = g;
	if (!g || !start(&m, g)) {
		log_failed();
		if (g)
			stop_generation(g);
		bind_close(&m.addresses);
		forget_all(&m);
		return 1;
	}
	log_main(LOG_INFO, "Accepting new connections");
	daemon_ready();
	serve(&m);
	end(&m);
	return 0;
}
