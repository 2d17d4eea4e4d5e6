/* SPDX-License-Identifier: ISC */
#include "process/fetcher.h"

#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <uv.h>

#include "conn/revocation.h"
#include "process/daemon.h"
#include "sys/log.h"
#include "sys/net.h"
#include "tls/ocsp.h"
#include "tls/staple.h"

#define KEPT_MAX 4096 /* answers, and questions under way */
#define THREADS "64"  /* that may wait for responders; other questions wait for a thread */
#define LOOK_MS 500   /* while draining, until the workers are looked for again */

/* Who is told an answer: the worker at the other end, and its connection. */
struct asker {
	int fd;
	uint64_t serial;
};

/* A question under way, or its answer; list by the order in which they were first asked. */
struct inquiry {
	struct inquiry *next;
	struct fetcher *fetcher;
	uint64_t service;
	unsigned char *chain;
	size_t len;
	bool under_way;
	uint64_t until; /* board_now(); for which the answer is kept */
	struct tls_ocsp_answer answer;
	struct asker *asker;
	size_t askers;
	uv_work_t work;
};

/* A certificate of ours, about which its responder is asked again and again. */
struct stapling {
	struct fetcher *fetcher;
	const struct config_section *section;
	size_t index; /* among the section's */
	struct tls_staple_news news;
	uv_timer_t timer;
	uv_work_t work;
};

struct fetcher {
	const struct fetcher_task *task;
	uv_loop_t loop;
	struct inquiry *first;
	size_t kept, under_way;
	struct stapling *stapling;
	size_t staplings;
	uv_poll_t *asked; /* of each worker's socket */
	uv_poll_t lifeline, signals;
	uv_timer_t look;
	int signal_fd;
};

static const struct config_section *section_of(const struct fetcher *f, uint64_t service)
{
	return service < f->task->config->count ? f->task->config->section[service] : NULL;
}

static bool has_responder(const struct config_section *s)
{
	return s && s->service.tls && (s->tls.ocsp.url || s->tls.ocsp.aia);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void tell(const struct asker *asker, const struct inquiry *q)
{
	struct revocation_answer packet = {asker->serial, q->answer};
	uint64_t now = board_now();

	packet.answer.seconds = q->until > now ? (int64_t)(q->until - now) / 1000 : 0;
	/* What a worker does not take in time it does not wait for any more. */
	net_write(asker->fd, (const char *)&packet, sizeof packet);
}

/* 0 expires at once, here the soonest time that there is; a negative time never does: 0. */
static int patience(const struct config_section *s)
{
	int seconds = s->service.timeout.ocsp;

	return seconds < 0 ? 0 : seconds == 0 ? 1 : seconds;
}

/* In a thread. */
static void on_work(uv_work_t *work)
{
	struct inquiry *q = work->data;
	const struct config_section *s = section_of(q->fetcher, q->service);

	tls_ocsp_ask(tls_ctx_library(s->service.tls), &s->tls.ocsp, q->chain, q->len, patience(s),
		     &q->answer);
}

static void on_done(uv_work_t *work, int status)
{
	struct inquiry *q = work->data;

	(void)status;
	q->under_way = false;
	q->fetcher->under_way--;
	q->until = board_now() + (uint64_t)q->answer.seconds * 1000;
	for (size_t i = 0; i < q->askers; i++)
		tell(&q->asker[i], q);
	free(q->asker);
	q->asker = NULL;
	q->askers = 0;
}

static void free_inquiry(struct inquiry *q)
{
	free(q->asker);
	free(q->chain);
	free(q);
}

/* Forgets answers that are too old, and if there are too many the one that was asked first. */
static void forget_old(struct fetcher *f)
{
	struct inquiry **at = &f->first, *q;
	uint64_t now = board_now();
	bool full = f->kept >= KEPT_MAX;

	while ((q = *at) != NULL) {
		if (q->under_way || (q->until > now && !full)) {
			at = &q->next;
			continue;
		}
		full = false;
		*at = q->next;
		f->kept--;
		free_inquiry(q);
	}
}

/* --- questions -------------------------------------------------------------------------------- */

static struct inquiry *new_inquiry(struct fetcher *f, const struct revocation_question *question,
				   size_t len)
{
	struct inquiry *q = calloc(1, sizeof *q), **at = &f->first;

	if (!q)
		return NULL;
	q->chain = malloc(len + 1);
	if (!q->chain) {
		free(q);
		return NULL;
	}
	memcpy(q->chain, question->chain, len);
	q->len = len;
	q->service = question->service;
	q->fetcher = f;
	q->work.data = q;
	while (*at)
		at = &(*at)->next;
	*at = q;
	f->kept++;
	return q;
}

static struct inquiry *find_inquiry(struct fetcher *f, const struct revocation_question *question,
				    size_t len)
{
	struct inquiry *q;

	for (q = f->first; q; q = q->next)
		if (q->service == question->service && q->len == len &&
		    !memcmp(q->chain, question->chain, len))
			return q;
	return f->kept < KEPT_MAX ? new_inquiry(f, question, len) : NULL;
}

static bool add_asker(struct inquiry *q, const struct asker *asker)
{
	struct asker *grown = realloc(q->asker, (q->askers + 1) * sizeof *grown);

	if (!grown)
		return false;
	q->asker = grown;
	grown[q->askers++] = *asker;
	return true;
}

/* A question that is not taken is not answered: the connection's deadline decides. */
static void take(struct fetcher *f, const struct revocation_question *question, size_t len, int fd)
{
	const struct asker asker = {fd, question->serial};
	struct inquiry *q;

	if (!has_responder(section_of(f, question->service)))
		return;
	forget_old(f);
	q = find_inquiry(f, question, len);
	if (!q)
		return;
	if (!q->under_way && q->until != 0) {
		tell(&asker, q);
		return;
	}
	if (!add_asker(q, &asker) || q->under_way)
		return;
	q->under_way = true;
	f->under_way++;
	uv_queue_work(&f->loop, &q->work, on_work, on_done);
}

static void on_question(uv_poll_t *poll, int status, int events)
{
	static struct revocation_question question;
	const size_t head = offsetof(struct revocation_question, chain);
	struct fetcher *f = poll->data;
	int fd = f->task->asked[poll - f->asked];
	ssize_t n;

	(void)status, (void)events;
	while ((n = net_read(fd, (char *)&question, sizeof question)) >= (ssize_t)head)
		take(f, &question, (size_t)n - head, fd);
}

/* --- staples ---------------------------------------------------------------------------------- */

/* In a thread. */
static void on_staple_work(uv_work_t *work)
{
	struct stapling *s = work->data;

	tls_staple_fetch(tls_ctx_library(s->section->service.tls), s->index, patience(s->section),
			 &s->news);
}

static void on_staple_due(uv_timer_t *timer);

static void on_staple_done(uv_work_t *work, int status)
{
	struct stapling *s = work->data;
	const struct tls_staple_news *news = &s->news;

	(void)status;
	s->fetcher->under_way--;
	if (news->answer.verdict == TLS_OCSP_GOOD)
		log_main(LOG_INFO, "OCSP: Stapling for: %s", news->about);
	else
		log_main(LOG_WARNING, "OCSP: No staple for: %s: %s", news->about,
			 news->answer.verdict == TLS_OCSP_REVOKED ? "it was revoked"
								  : news->answer.why);
	if (!uv_is_closing((uv_handle_t *)&s->timer))
		uv_timer_start(&s->timer, on_staple_due, (uint64_t)news->again * 1000, 0);
}

static void on_staple_due(uv_timer_t *timer)
{
	struct stapling *s = timer->data;

	s->fetcher->under_way++;
	uv_queue_work(&s->fetcher->loop, &s->work, on_staple_work, on_staple_done);
}

static size_t count_staples(const struct config_section *s)
{
	return s->service.tls ? tls_staple_count(tls_ctx_library(s->service.tls)) : 0;
}

static bool start_stapling(struct fetcher *f)
{
	const struct config *config = f->task->config;
	size_t total = 0;

	for (size_t i = 0; i < config->count; i++)
		total += count_staples(config->section[i]);
	f->stapling = calloc(total + 1, sizeof *f->stapling);
	if (!f->stapling)
		return false;
	for (size_t i = 0; i < config->count; i++)
		for (size_t j = count_staples(config->section[i]); j-- != 0;) {
			struct stapling *s = &f->stapling[f->staplings++];

			*s = (struct stapling){f, config->section[i], j, .work.data = s};
			uv_timer_init(&f->loop, &s->timer);
			s->timer.data = s;
			uv_timer_start(&s->timer, on_staple_due, 0, 0);
		}
	return true;
}

/* --- life ------------------------------------------------------------------------------------- */

static void end(struct fetcher *f)
{
	/* Threads may wait for their responders longer than anybody waits for this process. */
	if (f->under_way != 0)
		_exit(0);
	uv_stop(&f->loop);
}

/* Workers that drain may still be in a handshake, and ask. */
static void on_look(uv_timer_t *timer)
{
	struct fetcher *f = timer->data;

	for (size_t i = 0; i < f->task->workers; i++)
		if (board_served(f->task->place->board, i))
			return;
	end(f);
}

static void drain(struct fetcher *f)
{
	uv_timer_start(&f->look, on_look, 0, LOOK_MS);
}

static void on_lifeline(uv_poll_t *poll, int status, int events)
{
	(void)status, (void)events;
	end(poll->data); /* nobody would vacate the rows of workers that end */
}

static void on_signal(uv_poll_t *poll, int status, int events)
{
	struct fetcher *f = poll->data;
	struct signalfd_siginfo told;

	(void)status, (void)events;
	while (read(f->signal_fd, &told, sizeof told) == (ssize_t)sizeof told) {
		if (told.ssi_signo == CHILD_REOPEN)
			log_reopen(false);
		else if (told.ssi_signo == CHILD_DRAIN)
			drain(f);
		else if (told.ssi_signo == CHILD_STOP)
			end(f);
	}
}

static void watch(struct fetcher *f, uv_poll_t *poll, int fd, uv_poll_cb on_event)
{
	uv_poll_init(&f->loop, poll, fd);
	poll->data = f;
	uv_poll_start(poll, UV_READABLE, on_event);
}

static bool start(struct fetcher *f, const struct fetcher_task *task)
{
	setenv("UV_THREADPOOL_SIZE", THREADS, 1);
	f->task = task;
	f->asked = calloc(task->workers, sizeof *f->asked);
	f->signal_fd = child_take_signals();
	if (!f->asked || f->signal_fd < 0 || uv_loop_init(&f->loop) != 0)
		return false;
	uv_timer_init(&f->loop, &f->look);
	f->look.data = f;
	watch(f, &f->lifeline, task->lifeline, on_lifeline);
	watch(f, &f->signals, f->signal_fd, on_signal);
	for (size_t i = 0; i < task->workers; i++)
		watch(f, &f->asked[i], task->asked[i], on_question);
	return start_stapling(f);
}

bool fetcher_needed(const struct config *config)
{
	for (size_t i = 0; i < config->count; i++)
		if (has_responder(config->section[i]) || count_staples(config->section[i]) != 0)
			return true;
	return false;
}

static void close_handle(uv_handle_t *handle, void *unused)
{
	(void)unused;
	uv_close(handle, NULL);
}

static void free_fetcher(struct fetcher *f)
{
	uv_walk(&f->loop, close_handle, NULL);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	uv_loop_close(&f->loop);
	close(f->signal_fd);
	while (f->first) {
		struct inquiry *next = f->first->next;

		free_inquiry(f->first);
		f->first = next;
	}
	free(f->stapling);
	free(f->asked);
	free(f);
}

int fetcher_run(const struct fetcher_task *task)
{
	const struct config_globals *g = &task->config->globals;
	struct fetcher *f;

	log_forked();
	if (!daemon_confine(g->chroot, g->uid, g->gid))
		return 1;
	log_confined();
	f = calloc(1, sizeof *f);
	if (!f || !start(f, task)) {
		free(f);
		return 1;
	}
	daemon_detach();
	if (child_ready(task->place, 0))
		uv_run(&f->loop, UV_RUN_DEFAULT);
	free_fetcher(f);
	return 0;
}
