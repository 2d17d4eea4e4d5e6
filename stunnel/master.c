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

#include "conf.h"
#include "daemon.h"
#include "log.h"
#include "net.h"
#include "worker.h"

#define STOP_SECONDS 5
#define RESPAWN_SECONDS 1 /* a worker that dies at once is not replaced faster */

/* A listening address, with a socket of its own for each worker (one for all on a Unix path). */
struct listener {
	struct listener *next;
	struct net_addr wanted; /* as configured: the port may be 0 */
	struct net_addr bound;
	int *fd;
	size_t count;
	size_t kept;		      /* of these, those that the configuration in force uses */
	struct conf_section *section; /* of the newest configuration; NULL: not in it */
};

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
	struct listener *listeners;
	struct conn_shared *shared;
	int lifeline[2];
	char *pid_path;
	sigset_t signals;
	time_t last_respawn;
	bool respawn_due;
	bool ending;
};

/* --- listening sockets ------------------------------------------------------------------------ */

static size_t worker_count(const struct config *config)
{
	cpu_set_t cpus;

	if (config->globals.workers > 0)
		return (size_t)config->globals.workers;
	if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
		return 1;
	return (size_t)CPU_COUNT(&cpus);
}

static struct listener *find_listener(struct master *m, const struct net_addr *wanted)
{
	for (struct listener *l = m->listeners; l; l = l->next)
		if (!l->section && net_equal(&l->wanted, wanted))
			return l;
	return NULL;
}

static void listener_free(struct listener *l)
{
	for (size_t i = 0; i < l->count; i++)
		net_close(l->fd[i], false);
	if (net_is_unix(&l->bound) && l->count != 0)
		unlink(l->bound.u.un.sun_path);
	free(l->fd);
	free(l);
}

/* Binds further sockets until there are `count`; 0 or -errno. */
static int listener_extend(struct listener *l, size_t count)
{
	int *grown;

	if (l->count >= count || (net_is_unix(&l->wanted) && l->count == 1))
		return 0;
	grown = realloc(l->fd, count * sizeof *grown);
	if (!grown)
		return -ENOMEM;
	l->fd = grown;
	while (l->count < count) {
		bool first = l->count == 0;
		int fd = net_listen(first ? &l->wanted : &l->bound, &l->section->options.sockets,
				    !net_is_unix(&l->wanted), !first);

		if (fd < 0)
			return fd;
		l->fd[l->count++] = fd;
		if (first)
			net_local(fd, &l->bound);
		if (net_is_unix(&l->wanted))
			break;
	}
	return 0;
}

/* The listener of one address, new or taken over; NULL with -errno in *error. */
static struct listener *get_listener(struct master *m, struct conf_section *section,
				     const struct net_addr *addr, size_t workers, int *error)
{
	struct listener *l = find_listener(m, addr);

	if (!l) {
		l = calloc(1, sizeof *l);
		if (!l) {
			*error = -ENOMEM;
			return NULL;
		}
		l->wanted = *addr;
		l->next = m->listeners;
		m->listeners = l;
	}
	l->section = section;
	*error = listener_extend(l, workers);
	if (*error == 0)
		return l;
	l->section = NULL;
	return NULL;
}

/*
 * All addresses of a section. That `::` cannot be bound beside 0.0.0.0 is no failure where the
 * system has it take IPv4 too: one bound address is enough, as for stock.
 */
static bool bind_section(struct master *m, struct conf_section *section, size_t workers)
{
	size_t bound = 0;
	char text[NET_TEXT_MAX];

	for (size_t i = 0; i < section->accept.count; i++) {
		const struct net_addr *addr = &section->accept.addr[i];
		int error;
		struct listener *l = get_listener(m, section, addr, workers, &error);

		net_text(l ? &l->bound : addr, text);
		if (l) {
			bound++;
			log_main(LOG_INFO, "Service [%s] (FD=%d) bound to %s", section->name,
				 l->fd[0], text);
			continue;
		}
		log_main(bound != 0 ? LOG_NOTICE : LOG_ERR, "Binding service [%s] to %s: %s (%d)",
			 section->name, text, strerror(-error), -error);
	}
	if (bound == 0 && section->accept.count != 0)
		log_main(LOG_ERR, "Binding service [%s] failed", section->name);
	return bound != 0 || section->accept.count == 0;
}

/* Closes what the configuration in force does not use. */
static void drop_unused_listeners(struct master *m)
{
	struct listener **at = &m->listeners;

	while (*at) {
		struct listener *l = *at;

		l->kept = l->count;
		if (l->section) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		listener_free(l);
	}
}

static void close_listeners(struct master *m)
{
	for (struct listener *l = m->listeners; l; l = l->next)
		l->section = NULL;
	drop_unused_listeners(m);
}

/* Points the listeners back at the configuration in force after another one was refused. */
static void restore_listeners(struct master *m, struct config *config)
{
	for (struct listener *l = m->listeners; l; l = l->next) {
		l->section = NULL;
		if (l->kept == 0) /* new, and not wanted: goes as a whole */
			continue;
		while (l->count > l->kept)
			net_close(l->fd[--l->count], false);
		for (size_t i = 0; i < config->count; i++)
			for (size_t j = 0; j < config->section[i]->accept.count; j++)
				if (net_equal(&l->wanted, &config->section[i]->accept.addr[j]))
					l->section = config->section[i];
	}
	drop_unused_listeners(m);
}

static bool bind_all(struct master *m, struct config *config)
{
	size_t workers = worker_count(config);

	for (struct listener *l = m->listeners; l; l = l->next)
		l->section = NULL;
	for (size_t i = 0; i < config->count; i++)
		if (!bind_section(m, config->section[i], workers))
			return false;
	return true;
}

/* --- workers ---------------------------------------------------------------------------------- */

/*
 * Keeps the sockets of worker `index`: of every listener its own one, and those that an earlier,
 * larger number of workers has left, since connections may wait in them. Closes the others: a
 * port stays open as long as any process holds its socket.
 */
static size_t take_sockets(struct master *m, size_t index, size_t workers,
			   struct worker_socket *sockets)
{
	size_t n = 0;

	for (struct listener *l = m->listeners; l; l = l->next) {
		bool shared = l->count < workers;

		for (size_t i = 0; i < l->count; i++) {
			if (l->section && (shared || i % workers == index))
				sockets[n++] = (struct worker_socket){l->fd[i], l->section};
			else
				net_close(l->fd[i], false);
		}
		l->count = 0;
	}
	return n;
}

static size_t all_sockets(const struct master *m)
{
	size_t n = 0;

	for (const struct listener *l = m->listeners; l; l = l->next)
		n += l->count;
	return n;
}

static void free_generation(struct generation *g)
{
	conf_free(g->config);
	free(g->worker);
	free(g->log_path);
	free(g);
}

/* In the new process: everything of the master's that a worker has no use for is let go. */
static int become_worker(struct master *m, struct generation *g, size_t index, int ready)
{
	struct worker_socket *sockets = calloc(all_sockets(m) + 1, sizeof *sockets);
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
	if (!sockets)
		return 1;
	task.socket_count = take_sockets(m, index, g->count, sockets);
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
	while (m->listeners) {
		struct listener *next = m->listeners->next;

		listener_free(m->listeners);
		m->listeners = next;
	}
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
	if (g && bind_all(m, g->config) && open_log(g)) {
		if (spawn_all(m, g)) {
			g->next = old;
			m->generations = g;
			old->draining = true;
			signal_workers(old, WORKER_DRAIN);
			drop_unused_listeners(m);
			log_main(LOG_INFO, "Accepting new connections");
			return;
		}
		stop_generation(g);
		open_log(old);
	}
	restore_listeners(m, old->config);
	log_main(LOG_ERR, "Failed to reload the configuration file");
	if (g)
		free_generation(g);
}

/* --- signals ---------------------------------------------------------------------------------- */

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
	close_listeners(m);
	if (m->pid_path)
		daemon_pid_remove(m->pid_path);
	forget_all(m);
}

static bool start(struct master *m, struct generation *g)
{
	const struct conf_globals *globals = &g->config->globals;

	if (!bind_all(m, g->config))
		return false;
	drop_unused_listeners(m);
	if (globals->foreground == CONF_BACKGROUND && !daemon_fork())
		return false;
	log_name("main");
	if (!open_log(g) || !spawn_all(m, g))
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
		close_listeners(&m);
		forget_all(&m);
		return 1;
	}
	log_main(LOG_INFO, "Accepting new connections");
	daemon_ready();
	serve(&m);
	end(&m);
	return 0;
}
