/* SPDX-License-Identifier: ISC */
#include "config/prefetch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/board.h"
#include "sys/log.h"

#define PATIENCE_SECONDS 2

/* What a thread of the child writes into the pipe, before the addresses. */
struct answer {
	size_t index;
	size_t count; /* of addresses */
	enum net_answer answer;
	char why[256];
};

/* --- the table -------------------------------------------------------------------------------- */

static struct net_lookup *find(const struct prefetch *p, const char *text, bool passive)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->lookup[i].passive == passive && !strcmp(p->lookup[i].text, text))
			return &p->lookup[i];
	return NULL;
}

void prefetch_add(struct prefetch *p, const char *text, bool passive)
{
	struct net_lookup *grown, *lookup;

	if (!net_lookup_blocks(text) || find(p, text, passive))
		return;
	grown = arena_grow(p->arena, p->lookup, p->count, sizeof *grown);
	if (!grown)
		return;
	p->lookup = grown;
	lookup = &grown[p->count++];
	*lookup = (struct net_lookup){
		.text = arena_text(p->arena, text), .passive = passive, .answer = NET_NO_ANSWER};
	snprintf(lookup->why, sizeof lookup->why,
		 "Error resolving \"%.180s\": no answer within %d seconds", text, PATIENCE_SECONDS);
}

enum net_answer prefetch_resolve(const struct prefetch *p, const char *text, bool passive,
				 struct net_addrs *list, char why[static 256])
{
	const struct net_lookup *lookup = find(p, text, passive);

	if (!lookup)
		return net_lookup(text, passive, list, why);
	if (lookup->answer == NET_RESOLVED && net_append(list, &lookup->found))
		return NET_RESOLVED;
	snprintf(why, 256, "%s", lookup->answer == NET_RESOLVED ? "Out of memory" : lookup->why);
	return lookup->answer == NET_RESOLVED ? NET_NO_ANSWER : lookup->answer;
}

void prefetch_free(struct prefetch *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->lookup[i].found.addr);
	*p = (struct prefetch){0};
}

/* --- the child -------------------------------------------------------------------------------- */

struct job {
	struct net_lookup lookup; /* the first member */
	size_t index;
	int pipe;
};

static void write_all(int fd, const void *p, size_t len)
{
	const char *at = p;

	while (len != 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		at += n;
		len -= (size_t)n;
	}
}

/* Called in a look-up's thread, when that has its answer. */
static void tell(struct net_lookup *lookup)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	const struct job *job = (struct job *)lookup;
	struct answer a = {job->index, lookup->found.count, lookup->answer, ""};

	memcpy(a.why, lookup->why, sizeof a.why);
	pthread_mutex_lock(&lock);
	write_all(job->pipe, &a, sizeof a);
	write_all(job->pipe, lookup->found.addr, a.count * sizeof lookup->found.addr[0]);
	pthread_mutex_unlock(&lock);
}

/* Looks up all names until the master kills this process, which therefore frees nothing. */
static void ask_all(const struct prefetch *p, int pipe, pid_t master)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < p->count && getppid() == master; i++) {
		struct job *job = calloc(1, sizeof *job);
		int rc = -ENOMEM;

		if (job) {
			*job = (struct job){.index = i, .pipe = pipe};
			job->lookup = (struct net_lookup){.text = p->lookup[i].text,
							  .passive = p->lookup[i].passive,
							  .done = tell};
			rc = net_lookup_start(&job->lookup);
		}
		if (rc != 0)
			break; /* the names that are left get no answer */
	}
	while (getppid() == master)
		pause();
	_exit(0);
}

/* --- the parent ------------------------------------------------------------------------------- */

/* The pipe, and the signals that end the daemon, which are blocked unless a file is only tested. */
struct watch {
	struct pollfd fd[2];
	uint64_t deadline;
};

static int ending_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Reads len bytes; false at the deadline, at a signal, or when the child has ended. */
static bool receive(struct watch *w, void *p, size_t len)
{
	char *at = p;

	while (len != 0) {
		uint64_t now = board_now();
		ssize_t n;

		if (now >= w->deadline)
			return false;
		n = poll(w->fd, 2, (int)(w->deadline - now));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || w->fd[1].revents != 0)
			return false;
		n = read(w->fd[0].fd, at, len);
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static bool take_answer(struct prefetch *p, struct watch *w)
{
	struct net_lookup *lookup;
	struct net_addr addr;
	struct answer a;

	if (!receive(w, &a, sizeof a) || a.index >= p->count)
		return false;
	lookup = &p->lookup[a.index];
	for (size_t i = 0; i < a.count; i++)
		if (!receive(w, &addr, sizeof addr) ||
		    !net_append(&lookup->found, &(struct net_addrs){&addr, 1}))
			return false;
	lookup->answer = a.answer;
	memcpy(lookup->why, a.why, sizeof lookup->why);
	return true;
}

static void take_answers(struct prefetch *p, int pipe)
{
	struct watch w = {
		.fd = {{.fd = pipe, .events = POLLIN}, {.fd = ending_signals(), .events = POLLIN}},
		.deadline = board_now() + PATIENCE_SECONDS * 1000,
	};
	size_t missing = p->count;

	while (missing != 0 && take_answer(p, &w))
		missing--;
	if (w.fd[1].fd >= 0)
		close(w.fd[1].fd);
}

void prefetch_run(struct prefetch *p)
{
	pid_t master = getpid(), child;
	int ends[2];

	if (p->count == 0 || p->arena->failed)
		return;
	if (pipe2(ends, O_CLOEXEC) != 0) {
		log_main(LOG_ERR, "pipe: %s (%d)", strerror(errno), errno);
		return;
	}
	child = fork();
	if (child == 0)
		ask_all(p, ends[1], master);
	close(ends[1]);
	if (child > 0) {
		take_answers(p, ends[0]);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	} else {
		log_main(LOG_ERR, "fork: %s (%d)", strerror(errno), errno);
	}
	close(ends[0]);
}
