/* SPDX-License-Identifier: ISC */
#include "process/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sys/log.h"

#define START_MS 30000 /* for all children of a generation together */
#define QUICK_MS 100   /* a child that served for less counts as a failure */
#define QUICK_FREE 2   /* failures in a row after which a child is still replaced at once */
#define PAUSE_MS 100   /* before the next start; doubled with each failure */
#define PAUSE_MAX_MS 5000

bool child_open(struct children *c, const struct child_kind *kinds, size_t kind_count,
		const struct child_calls *calls, void *owner)
{
	struct child *at;

	*c = (struct children){.calls = calls, .owner = owner};
	for (size_t i = 0; i < kind_count; i++)
		c->count += kinds[i].count(owner);
	at = c->child = calloc(c->count, sizeof *c->child);
	if (!at)
		return false;
	for (size_t i = 0; i < kind_count; i++)
		for (size_t index = 0, n = kinds[i].count(owner); index < n; index++)
			*at++ = (struct child){
				.kind = &kinds[i], .index = index, .lines = log_lines_new()};
	for (size_t i = 0; i < c->count; i++)
		if (!c->child[i].lines) {
			child_free(c);
			return false;
		}
	return true;
}

void child_free(struct children *c)
{
	for (size_t i = 0; i < c->count; i++)
		log_lines_free(c->child[i].lines);
	free(c->child);
	*c = (struct children){0};
}

void child_signal(const struct children *c, enum child_signal signal)
{
	const unsigned told = CHILD_TOLD(CHILD_STOP) | CHILD_TOLD(CHILD_DRAIN);

	for (size_t i = 0; i < c->count; i++)
		if (c->child[i].pid != 0 && (told | c->child[i].kind->told) & CHILD_TOLD(signal))
			kill(c->child[i].pid, signal);
}

void child_drain(struct children *c)
{
	c->state = CHILD_DRAINING;
	child_signal(c, CHILD_DRAIN);
}

const struct child *child_silent(const struct children *c, uint64_t ms)
{
	uint64_t now = board_now();

	for (size_t i = 0; c->state != CHILD_STARTING && i < c->count; i++) {
		const struct child *child = &c->child[i];
		bool gone = c->state == CHILD_DRAINING && child->pid == 0;

		if (child->kind->beats && !gone && board_beaten(c->board, i) + ms < now)
			return child;
	}
	return NULL;
}

bool child_none(const struct children *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->child[i].pid != 0)
			return false;
	return true;
}

/* --- one child -------------------------------------------------------------------------------- */

bool child_ready(const struct child_place *place, size_t room)
{
	bool told;

	board_serve(place->board, place->row, room);
	if (place->ready < 0)
		return true;
	told = write(place->ready, "", 1) == 1;
	close(place->ready);
	return told;
}

int child_take_signals(void)
{
	sigset_t told;
	int fd;

	signal(SIGINT, SIG_IGN); /* Ctrl-C reaches children, too, which the master ends itself */
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&told);
	sigaddset(&told, CHILD_STOP);
	sigaddset(&told, CHILD_DRAIN);
	sigaddset(&told, CHILD_REOPEN);
	sigaddset(&told, CHILD_LOOK);
	sigaddset(&told, CHILD_LIST);
	sigprocmask(SIG_SETMASK, &told, NULL);
	fd = signalfd(-1, &told, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		log_main(LOG_ERR, "signalfd: %s (%d)", strerror(errno), errno);
	return fd;
}

/* ready: a pipe to which the child writes a byte when it is ready, or NULL. */
static bool start_one(struct children *c, size_t row, const int *ready)
{
	struct child *child = &c->child[row];
	pid_t pid;

	board_beat(c->board, row);
	pid = fork();
	if (pid == 0) {
		struct child_place place = {c->board, row, child->index, ready ? ready[1] : -1,
					    child->lines};
		int status;

		if (ready)
			close(ready[0]);
		c->calls->enter(c->owner, child->kind);
		status = child->kind->run(c->owner, &place);
		c->calls->leave(c->owner);
		exit(status);
	}
	if (pid < 0)
		log_main(LOG_ERR, "%s could not be started: fork: %s (%d)", child->kind->noun,
			 strerror(errno), errno);
	child->pid = pid > 0 ? pid : 0;
	return pid > 0;
}

static void log_exit(const struct child *child, int status)
{
	if (WIFSIGNALED(status))
		log_main(LOG_ERR, "%s %ld terminated on signal %d (%s)", child->kind->process,
			 (long)child->pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		log_main(LOG_ERR, "%s %ld finished with code %d", child->kind->process,
			 (long)child->pid, WEXITSTATUS(status));
}

/* Nothing that its process has left behind is lost. */
static void take_rest(const struct children *c, const struct child *child)
{
	log_lines_rest(child->lines);
	c->calls->ended(c->owner, child);
}

/* Sets when a child that ended after served_ms may be replaced. */
static void schedule(struct child *child, uint64_t served_ms)
{
	unsigned pause = 0;

	child->failures = served_ms < QUICK_MS ? child->failures + 1 : 0;
	if (child->failures > QUICK_FREE) {
		unsigned doubled = child->failures - QUICK_FREE - 1;

		pause = doubled < 6 ? PAUSE_MS << doubled : PAUSE_MAX_MS;
		log_main(LOG_WARNING, "%ses keep ending: next try in %u ms", child->kind->process,
			 pause);
	}
	child->retry_at = board_now() + pause;
}

static struct child *find(const struct children *c, pid_t pid)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->child[i].pid == pid)
			return &c->child[i];
	return NULL;
}

bool child_ended(struct children *c, pid_t pid, int status)
{
	struct child *child = find(c, pid);
	uint64_t served;

	if (!child)
		return false;
	served = board_vacate(c->board, (size_t)(child - c->child));
	take_rest(c, child);
	if (c->state == CHILD_SERVING || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		log_exit(child, status);
	child->pid = 0;
	if (c->state == CHILD_DRAINING)
		return true;
	schedule(child, served);
	child_signal(c, CHILD_LOOK); /* the others accept from its sockets until it is replaced */
	return true;
}

int child_replace(struct children *c)
{
	uint64_t now = board_now(), next = UINT64_MAX;

	if (c->state == CHILD_DRAINING)
		return -1;
	for (size_t i = 0; i < c->count; i++) {
		struct child *child = &c->child[i];

		if (child->pid == 0 && child->retry_at <= now && !start_one(c, i, NULL))
			schedule(child, 0);
		if (child->pid == 0 && child->retry_at < next)
			next = child->retry_at;
	}
	if (next == UINT64_MAX)
		return -1;
	return next > now ? (int)(next - now) : 0;
}

/* The deadline is common to all children: one that hangs is killed then. */
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

/* A child that does not serve yet has no connection to finish, and is killed at once. */
void child_stop(struct children *c, uint64_t deadline)
{
	for (size_t i = 0; i < c->count; i++) {
		if (c->child[i].pid != 0)
			await_end(c->child[i].pid, board_served(c->board, i) ? deadline : 0);
		take_rest(c, &c->child[i]);
		c->child[i].pid = 0;
	}
}

void child_withdraw(struct children *c)
{
	for (size_t i = 0; i < c->count; i++) {
		if (c->child[i].pid == 0 || board_served(c->board, i))
			continue;
		await_end(c->child[i].pid, 0);
		take_rest(c, &c->child[i]);
		c->child[i].pid = 0;
	}
	child_drain(c);
}

/* --- the start of all ------------------------------------------------------------------------- */

bool child_told_to_end(void)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT) ||
	       sigismember(&pending, SIGQUIT);
}

/* A signalfd that is readable when a child has ended or the daemon is told to end; or -1. */
static int watch_signals(void)
{
	static const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGQUIT};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		sigaddset(&set, numbers[i]);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void reap_if_told(const struct children *c)
{
	const struct timespec at_once = {0, 0};
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	if (sigtimedwait(&child, NULL, &at_once) == SIGCHLD)
		c->calls->reap(c->owner);
}

/* How long to sleep before the deadline, to which there are so many milliseconds. */
static int patience(const struct children *c, uint64_t ms)
{
	int next = c->calls->waiting ? c->calls->waiting(c->owner) : -1;

	return next >= 0 && (uint64_t)next < ms ? next : (int)ms;
}

/* Whether all children become ready. A signal that ends the daemon stays pending. */
static bool await_ready(struct children *c, int ready)
{
	struct pollfd fds[] = {{.fd = ready, .events = POLLIN},
			       {.fd = watch_signals(), .events = POLLIN}};
	uint64_t deadline = board_now() + START_MS, now;
	size_t missing = c->count;

	while (missing != 0 && !find(c, 0) && !child_told_to_end()) {
		char bytes[64];
		ssize_t n;

		now = board_now();
		if (now >= deadline || fds[1].fd < 0)
			break;
		if (poll(fds, 2, patience(c, deadline - now)) < 0 && errno != EINTR)
			break;
		reap_if_told(c);
		n = read(ready, bytes, sizeof bytes);
		if (n > 0)
			missing -= (size_t)n;
		else if (n == 0)
			fds[0].fd = -1; /* no child has the pipe open any more */
	}
	if (fds[1].fd >= 0)
		close(fds[1].fd);
	return missing == 0;
}

bool child_start(struct children *c)
{
	const struct child *missing;
	size_t started = 0;
	int ready[2];
	bool ok;

	if (pipe2(ready, O_CLOEXEC | O_NONBLOCK) != 0) {
		log_main(LOG_ERR, "pipe: %s (%d)", strerror(errno), errno);
		return false;
	}
	while (started < c->count && start_one(c, started, ready))
		started++;
	close(ready[1]);
	ok = started == c->count && await_ready(c, ready[0]);
	close(ready[0]);
	if (ok)
		c->state = CHILD_SERVING;
	else if (!child_told_to_end()) {
		missing = find(c, 0);
		log_main(LOG_ERR, "%s could not be started",
			 (missing ? missing : c->child)->kind->noun);
	}
	return ok;
}
