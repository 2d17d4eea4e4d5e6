/* SPDX-License-Identifier: ISC */
#include "process/wrapper.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "conn/libwrap.h"
#include "process/daemon.h"
#include "sys/libwrap.h"
#include "sys/log.h"
#include "sys/net.h"

#define PROCESSES_MAX 64 /* further questions wait in the workers' sockets */
#define LATE_MS 500	 /* between two looks for processes that take too long */

/* Exit statuses of a process that judges; anything else, as of a crash, is no verdict. */
#define STATUS_DENIED 70
#define STATUS_PERMITTED 71

/* A question that a process judges. */
struct asked {
	pid_t pid;
	struct inquiry_head head;
	int fd;		/* of the worker who asks */
	uint64_t until; /* board_now() */
};

struct wrapper {
	struct helper helper;
	struct libwrap_question question; /* the one that is taken */
	struct asked asked[PROCESSES_MAX];
	size_t count;
	uv_signal_t ended; /* SIGCHLD */
	uv_timer_t late;
};

/* --- in the process of a question ------------------------------------------------------------- */

/* A rule's commands find signals as any program does. */
static void reset_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void judge(struct libwrap_question *q)
{
	reset_signals();
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody would take the verdict */
	q->daemon[sizeof q->daemon - 1] = '\0';
	_exit(libwrap_permits(q->daemon, &q->client, &q->server) ? STATUS_PERMITTED
								 : STATUS_DENIED);
}

/* --- questions and verdicts ------------------------------------------------------------------- */

static void tell(const struct asked *asked, enum libwrap_verdict verdict)
{
	struct libwrap_answer answer;

	memset(&answer, 0, sizeof answer); /* with its padding: a packet is bytes */
	answer.head = asked->head;
	answer.verdict = verdict;
	/* What a worker does not take in time it does not wait for any more. */
	net_write(asked->fd, (const char *)&answer, sizeof answer);
}

static void take(void *owner, size_t len, int fd)
{
	struct wrapper *w = owner;
	struct libwrap_question *q = &w->question;
	struct asked asked = {.head = q->head, .fd = fd, .until = UINT64_MAX};

	if (len != sizeof *q)
		return;
	if (q->seconds >= 0)
		asked.until = board_now() + (uint64_t)q->seconds * 1000;
	asked.pid = fork();
	if (asked.pid == 0)
		judge(q);
	if (asked.pid < 0) {
		tell(&asked, LIBWRAP_FAILED);
		return;
	}
	w->asked[w->count++] = asked;
	helper_hold(&w->helper, w->count == PROCESSES_MAX);
}

static enum libwrap_verdict verdict_of(int status)
{
	if (!WIFEXITED(status))
		return LIBWRAP_FAILED;
	switch (WEXITSTATUS(status)) {
	case STATUS_PERMITTED:
		return LIBWRAP_PERMITTED;
	case STATUS_DENIED:
		return LIBWRAP_DENIED;
	default:
		return LIBWRAP_FAILED;
	}
}

static void on_end(uv_signal_t *handle, int number)
{
	struct wrapper *w = handle->data;
	int status;
	pid_t pid;

	(void)number;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < w->count; i++)
			if (w->asked[i].pid == pid) {
				tell(&w->asked[i], verdict_of(status));
				w->asked[i] = w->asked[--w->count];
				break;
			}
	helper_hold(&w->helper, w->count == PROCESSES_MAX);
}

static void on_late(uv_timer_t *timer)
{
	struct wrapper *w = timer->data;
	uint64_t now = board_now();

	for (size_t i = 0; i < w->count; i++)
		if (w->asked[i].until <= now)
			kill(w->asked[i].pid, SIGKILL);
}

/* --- life ------------------------------------------------------------------------------------- */

bool wrapper_needed(const struct config *config)
{
	for (size_t i = 0; i < config->count; i++)
		if (config->section[i]->service.libwrap)
			return true;
	return false;
}

static bool start(struct wrapper *w, const struct helper_task *task)
{
	static const struct helper_calls calls = {.take = take};
	struct helper *h = &w->helper;

	*h = (struct helper){
		.task = task,
		.calls = &calls,
		.owner = w,
		.question = &w->question,
		.question_max = sizeof w->question,
	};
	if (!helper_open(h))
		return false;
	uv_timer_init(&h->loop, &w->late);
	w->late.data = w;
	uv_timer_start(&w->late, on_late, LATE_MS, LATE_MS);
	uv_signal_init(&h->loop, &w->ended);
	w->ended.data = w;
	uv_signal_start(&w->ended, on_end, SIGCHLD);
	return true;
}

/*
 * As stock's, the process does not go into the chroot: the rules, and the names in them, are the
 * system's. What the library has to say of a rule goes to syslog, by itself.
 */
int wrapper_run(const struct helper_task *task)
{
	const struct config_globals *g = &task->config->globals;
	struct wrapper *w;

	log_forked();
	openlog(g->service, LOG_PID | LOG_NDELAY, g->facility);
	if (!daemon_confine(NULL, g->uid, g->gid))
		return 1;
	w = calloc(1, sizeof *w);
	if (!w || !start(w, task)) {
		free(w);
		return 1;
	}
	helper_serve(&w->helper);
	helper_close(&w->helper);
	free(w);
	closelog();
	return 0;
}
