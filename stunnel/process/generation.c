/* SPDX-License-Identifier: ISC */
#include "process/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conn/access.h"
#include "sys/log.h"
#include "process/worker.h"

#define START_MS 30000 /* for all workers of a generation together */
#define STOP_MS 5000
#define QUICK_MS 100 /* who ends sooner after it began to serve has a fault of its own */
#define QUICK_FREE 2 /* of them in a row are replaced at once */
#define PAUSE_MS 100 /* before the next try; doubled each time */
#define PAUSE_MAX_MS 5000
#define FEW_CONNECTIONS 1000 /* of which the log tells without being asked */

/* --- one generation --------------------------------------------------------------------------- */

static size_t worker_count(const struct config *config)
{
	cpu_set_t cpus;

	if (config->globals.workers > 0)
		return (size_t)config->globals.workers;
	if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
		return 1;
	return (size_t)CPU_COUNT(&cpus);
}

static bool add_name(struct generations *all, const char *name)
{
	char **grown = realloc(all->name, (all->names + 1) * sizeof *grown);

	if (!grown)
		return false;
	all->name = grown;
	grown[all->names] = strdup(name);
	if (!grown[all->names])
		return false;
	all->names++;
	return true;
}

/* The place of a section: that of the nth one of its name. */
static bool find_name(struct generations *all, const char *name, size_t nth, size_t *place)
{
	for (*place = 0; *place < all->names; ++*place)
		if (!strcmp(all->name[*place], name) && nth-- == 0)
			return true;
	return add_name(all, name);
}

/* A section has the column that it had before a reload: what it still has of then counts. */
static bool give_columns(struct generations *all, struct config *config)
{
	for (size_t i = 0; i < config->count; i++) {
		struct conf_section *s = config->section[i];
		size_t nth = 0, place;

		for (size_t j = 0; j < i; j++)
			nth += !strcmp(config->section[j]->name, s->name);
		if (!find_name(all, s->name, nth, &place))
			return false;
		s->service.admit.column = BOARD_ALL + 1 + place;
	}
	return true;
}

struct generation *generation_new(struct generations *all, struct config *config)
{
	struct generation *g = calloc(1, sizeof *g);

	if (!g || !give_columns(all, config)) {
		free(g);
		return NULL;
	}
	g->count = worker_count(config);
	g->worker = calloc(g->count, sizeof *g->worker);
	g->board = board_new(g->count, BOARD_ALL + 1 + all->names);
	if (g->worker && g->board) {
		g->config = config;
		return g;
	}
	generation_free(g);
	return NULL;
}

void generation_free(struct generation *g)
{
	conf_free(g->config);
	board_free(g->board);
	free(g->worker);
	free(g);
}

void generation_signal(const struct generation *g, int number)
{
	for (size_t i = 0; i < g->count; i++)
		if (g->worker[i].pid != 0)
			kill(g->worker[i].pid, number);
}

static bool is_empty(const struct generation *g)
{
	for (size_t i = 0; i < g->count; i++)
		if (g->worker[i].pid != 0)
			return false;
	return true;
}

/* --- one worker ------------------------------------------------------------------------------- */

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
		.board = g->board,
		.index = index,
		.socket = sockets,
		.lifeline = all->lifeline[0],
		.ready = ready,
	};
	int status;

	for (struct generation *each = g; each->next; each = each->next)
		board_link(each->board, each->next->board);
	close(all->lifeline[1]);
	close_other_logs(all, g);
	if (!sockets)
		return 1;
	task.socket_count = bind_take(&all->addresses, g->count, sockets);
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
	while (all->names != 0)
		free(all->name[--all->names]);
	free(all->name);
	all->name = NULL;
}

/* The worker writes a byte to the pipe `ready`, if there is one, when it accepts connections. */
static bool fork_worker(struct generations *all, struct generation *g, size_t index,
			const int *ready)
{
	pid_t pid = fork();

	if (pid == 0) {
		int status;

		if (ready)
			close(ready[0]);
		status = become_worker(all, g, index, ready ? ready[1] : -1);
		generation_forget(all);
		exit(status);
	}
	if (pid < 0)
		log_main(LOG_ERR, "A worker could not be started: fork: %s (%d)", strerror(errno),
			 errno);
	g->worker[index].pid = pid > 0 ? pid : 0;
	return pid > 0;
}

/* --- the end of workers ----------------------------------------------------------------------- */

static void log_exit(pid_t pid, int status)
{
	if (WIFSIGNALED(status))
		log_main(LOG_ERR, "Worker process %ld terminated on signal %d (%s)", (long)pid,
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		log_main(LOG_ERR, "Worker process %ld finished with code %d", (long)pid,
			 WEXITSTATUS(status));
}

/* When another try is worth it, after one that ended when it had served for so long. */
static void schedule(struct generation_worker *w, uint64_t served_ms)
{
	unsigned pause = 0;

	w->failures = served_ms < QUICK_MS ? w->failures + 1 : 0;
	if (w->failures > QUICK_FREE) {
		unsigned doubled = w->failures - QUICK_FREE - 1;

		pause = doubled < 6 ? PAUSE_MS << doubled : PAUSE_MAX_MS;
		log_main(LOG_WARNING, "Worker processes keep ending: next try in %u ms", pause);
	}
	w->retry_at = board_now() + pause;
}

static void worker_ended(struct generation *g, size_t index, int status)
{
	struct generation_worker *w = &g->worker[index];
	uint64_t served = board_vacate(g->board, index);
	pid_t pid = w->pid;

	w->pid = 0;
	if (g->state == GENERATION_DRAINING && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	log_exit(pid, status);
	if (g->state == GENERATION_DRAINING)
		return;
	schedule(w, served);
	generation_signal(g, WORKER_LOOK); /* what waits at its sockets does not wait for us */
}

static bool find_worker(struct generations *all, pid_t pid, struct generation **g, size_t *index)
{
	for (*g = all->first; *g; *g = (*g)->next)
		for (*index = 0; *index < (*g)->count; ++*index)
			if ((*g)->worker[*index].pid == pid)
				return true;
	return false;
}

void generation_reap(struct generations *all)
{
	struct generation **at = &all->first, *g;
	size_t index;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (find_worker(all, pid, &g, &index))
			worker_ended(g, index, status);
	while (*at) {
		g = *at;
		if (g->state != GENERATION_DRAINING || !is_empty(g)) {
			at = &g->next;
			continue;
		}
		*at = g->next;
		generation_free(g);
	}
}

int generation_replace(struct generations *all)
{
	struct generation *g = all->first;
	uint64_t now = board_now(), next = UINT64_MAX;

	for (size_t i = 0; i < g->count; i++) {
		struct generation_worker *w = &g->worker[i];

		if (w->pid == 0 && w->retry_at <= now && !fork_worker(all, g, i, NULL))
			schedule(w, 0);
		if (w->pid == 0 && w->retry_at < next)
			next = w->retry_at;
	}
	if (next == UINT64_MAX)
		return -1;
	return next > now ? (int)(next - now) : 0;
}

/* One that hangs is killed when the time for all of them is over. */
static void await_end(pid_t pid, uint64_t deadline)
{
	const struct timespec pause = {0, 10 * 1000 * 1000};

	while (board_now() < deadline) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return;
		nanosleep(&pause, NULL);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Who serves nobody yet has nothing to bring to an end. */
static void stop_one(struct generation *g, uint64_t deadline)
{
	for (size_t i = 0; i < g->count; i++) {
		if (g->worker[i].pid != 0)
			await_end(g->worker[i].pid, board_served(g->board, i) ? deadline : 0);
		g->worker[i].pid = 0;
	}
}

void generation_stop(struct generations *all)
{
	uint64_t deadline = board_now() + STOP_MS;

	for (struct generation *g = all->first; g; g = g->next)
		generation_signal(g, WORKER_STOP);
	for (struct generation *g = all->first; g; g = g->next)
		stop_one(g, deadline);
}

/* --- the start of a generation ---------------------------------------------------------------- */

bool generation_told_to_end(void)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT) ||
	       sigismember(&pending, SIGQUIT);
}

/* What may come while the workers start: one of them, or of the others, ends; or we are to end. */
static int watch_signals(void)
{
	static const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGQUIT};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		sigaddset(&set, numbers[i]);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void reap_if_told(struct generations *all)
{
	const struct timespec at_once = {0, 0};
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	if (sigtimedwait(&child, NULL, &at_once) == SIGCHLD)
		generation_reap(all);
}

static bool has_failed(const struct generation *g)
{
	for (size_t i = 0; i < g->count; i++)
		if (g->worker[i].pid == 0)
			return true;
	return false;
}

/* Until each has written its byte. A signal that ends us stays pending. */
static bool await_ready(struct generations *all, struct generation *g, int ready)
{
	struct pollfd fds[] = {{.fd = ready, .events = POLLIN},
			       {.fd = watch_signals(), .events = POLLIN}};
	uint64_t deadline = board_now() + START_MS, now;
	size_t missing = g->count;

	while (missing != 0 && !has_failed(g) && !generation_told_to_end()) {
		char bytes[64];
		ssize_t n;

		now = board_now();
		if (now >= deadline || fds[1].fd < 0)
			break;
		if (poll(fds, 2, (int)(deadline - now)) < 0 && errno != EINTR)
			break;
		reap_if_told(all);
		n = read(ready, bytes, sizeof bytes);
		if (n > 0)
			missing -= (size_t)n;
		else if (n == 0)
			fds[0].fd = -1; /* all that are alive have written */
	}
	if (fds[1].fd >= 0)
		close(fds[1].fd);
	return missing == 0;
}

static bool start_workers(struct generations *all, struct generation *g)
{
	int ready[2];
	bool ok = true;

	if (pipe2(ready, O_CLOEXEC | O_NONBLOCK) != 0) {
		log_main(LOG_ERR, "pipe: %s (%d)", strerror(errno), errno);
		return false;
	}
	for (size_t i = 0; ok && i < g->count; i++)
		ok = fork_worker(all, g, i, ready);
	close(ready[1]);
	ok = ok && await_ready(all, g, ready[0]);
	close(ready[0]);
	if (!ok && !generation_told_to_end())
		log_main(LOG_ERR, "A worker could not be started");
	return ok;
}

/* What the descriptors allow, if nobody sets a limit that is lower. */
static void tell_room(const struct generation *g)
{
	size_t room = board_room(g->board, 0);
	struct rlimit limit = {0};

	getrlimit(RLIMIT_NOFILE, &limit);
	log_main(room < FEW_CONNECTIONS ? LOG_NOTICE : LOG_INFO,
		 "At most %zu connections a worker (%llu descriptors)", room,
		 (unsigned long long)limit.rlim_cur);
	if ((size_t)g->config->globals.max_connections > room * g->count)
		log_main(LOG_WARNING, "maxConnections = %d is more than %zu workers can hold",
			 g->config->globals.max_connections, g->count);
}

bool generation_start(struct generations *all, struct generation *g)
{
	g->next = all->first;
	all->first = g;
	if (!start_workers(all, g)) {
		generation_signal(g, WORKER_STOP);
		stop_one(g, board_now() + STOP_MS);
		all->first = g->next;
		return false;
	}
	g->state = GENERATION_SERVING;
	tell_room(g);
	for (g = g->next; g; g = g->next) {
		g->state = GENERATION_DRAINING;
		generation_signal(g, WORKER_DRAIN);
	}
	return true;
}
