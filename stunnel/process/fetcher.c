/* SPDX-License-Identifier: ISC */
#include "process/fetcher.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "conn/revocation.h"
#include "process/daemon.h"
#include "process/renewal.h"
#include "sys/log.h"
#include "sys/net.h"
#include "tls/ocsp.h"
#include "tls/staple.h"

#define KEPT_MAX 4096 /* answers, and questions under way */
#define THREADS "64"  /* that may wait for responders; other questions wait for a thread */

/* Who is told an answer: the worker at the other end, and its connection. */
struct asker {
	int fd;
	struct inquiry_head head;
};

/* A question under way, or its answer; list by the order in which they were first asked. */
struct fetched {
	struct fetched *next;
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
	size_t index;		    /* among the section's */
	struct tls_staple_own *own; /* NULL: there is none of that index, at least now */
	bool under_way, renewed;    /* renewed: while its responder was asked */
	struct tls_staple_news news;
	struct tally_staple staple; /* zeroed: there is none */
	uv_timer_t timer;
	uv_work_t work;
};

struct fetcher {
	struct helper helper;
	struct revocation_question question; /* the one that is taken */
	struct fetched *first;
	size_t kept, under_way;
	struct stapling *stapling;
	size_t staplings;
	struct renewal_intake intake;
};

static const struct config_section *section_of(const struct fetcher *f, uint64_t service)
{
	return service < f->helper.task->config->count ? f->helper.task->config->section[service]
						       : NULL;
}

static bool has_responder(const struct config_section *s)
{
	return s && s->service.tls && (s->tls.ocsp.url || s->tls.ocsp.aia);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void tell(const struct asker *asker, const struct fetched *q)
{
	struct revocation_answer packet = {asker->head, q->answer};
	uint64_t now = board_now();

	packet.answer.seconds = q->until > now ? (int64_t)(q->until - now) / 1000 : 0;
	/* What a worker does not take in time it does not wait for any more. */
	net_write(asker->fd, (const char *)&packet, sizeof packet);
}

/* 0 expires at once, here the soonest time that there is; a negative time never does: 0. */
static int patience(int seconds)
{
	return seconds < 0 ? 0 : seconds == 0 ? 1 : seconds;
}

/* In a thread. */
static void on_work(uv_work_t *work)
{
	struct fetched *q = work->data;
	const struct config_section *s = section_of(q->fetcher, q->service);
	const struct tls_ocsp_patience seconds = {
		.each = patience(s->service.timeout.ocsp),
		.all = patience(s->service.ocsp_seconds),
	};

	tls_ocsp_ask(tls_ctx_library(s->service.tls), &s->tls.ocsp, q->chain, q->len, &seconds,
		     &q->answer);
}

static void on_done(uv_work_t *work, int status)
{
	struct fetched *q = work->data;

	(void)status;
	q->under_way = false;
	q->fetcher->under_way--;
	q->until = board_now() + (uint64_t)q->answer.seconds * 1000;
	tally_answer(section_of(q->fetcher, q->service)->service.tallies, TALLY_OCSP_PEER,
		     q->answer.verdict);
	for (size_t i = 0; i < q->askers; i++)
		tell(&q->asker[i], q);
	free(q->asker);
	q->asker = NULL;
	q->askers = 0;
}

static void free_fetched(struct fetched *q)
{
	free(q->asker);
	free(q->chain);
	free(q);
}

/* Forgets answers that are too old, and if there are too many the one that was asked first. */
static void forget_old(struct fetcher *f)
{
	struct fetched **at = &f->first, *q;
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
		free_fetched(q);
	}
}

/* --- questions -------------------------------------------------------------------------------- */

static struct fetched *new_fetched(struct fetcher *f, const struct revocation_question *question,
				   size_t len)
{
	struct fetched *q = calloc(1, sizeof *q), **at = &f->first;

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

static struct fetched *find_fetched(struct fetcher *f, const struct revocation_question *question,
				    size_t len)
{
	struct fetched *q;

	for (q = f->first; q; q = q->next)
		if (q->service == question->service && q->len == len &&
		    !memcmp(q->chain, question->chain, len))
			return q;
	return f->kept < KEPT_MAX ? new_fetched(f, question, len) : NULL;
}

static bool add_asker(struct fetched *q, const struct asker *asker)
{
	struct asker *grown = realloc(q->asker, (q->askers + 1) * sizeof *grown);

	if (!grown)
		return false;
	q->asker = grown;
	grown[q->askers++] = *asker;
	return true;
}

/* The client need not wait for its deadline, which would tell no more. */
static void decline(const struct asker *asker)
{
	const struct fetched none = {.answer = {.why = "Too many questions are under way"}};

	tell(asker, &none);
}

/* A packet that no worker of this configuration can have sent is not answered. */
static void take(void *owner, size_t packet_len, int fd)
{
	struct fetcher *f = owner;
	const struct revocation_question *question = &f->question;
	const struct asker asker = {fd, question->head};
	size_t len = packet_len - offsetof(struct revocation_question, chain);
	struct fetched *q;

	if (packet_len < offsetof(struct revocation_question, chain) ||
	    !has_responder(section_of(f, question->service)))
		return;
	forget_old(f);
	q = find_fetched(f, question, len);
	if (q && !q->under_way && q->until != 0) {
		tell(&asker, q);
		return;
	}
	if (!q || !add_asker(q, &asker)) {
		decline(&asker);
		return;
	}
	if (q->under_way)
		return;
	q->under_way = true;
	f->under_way++;
	uv_queue_work(&f->helper.loop, &q->work, on_work, on_done);
}

/* --- staples ---------------------------------------------------------------------------------- */

/* In a thread. */
static void on_staple_work(uv_work_t *work)
{
	struct stapling *s = work->data;

	tls_staple_fetch(s->own, patience(s->section->service.timeout.ocsp), &s->news);
}

static void on_staple_due(uv_timer_t *timer);

/* Of all the section's, the one that is the first to end. */
static struct tally_staple first_staple(const struct fetcher *f, const struct config_section *s)
{
	struct tally_staple first = {0, 0};

	for (size_t i = 0; i < f->staplings; i++)
		if (f->stapling[i].section == s && f->stapling[i].staple.until != 0 &&
		    (first.until == 0 || f->stapling[i].staple.until < first.until))
			first = f->stapling[i].staple;
	return first;
}

/* An answer that proves nothing leaves the staple that was there. */
static void count_staple(struct stapling *s)
{
	struct tallies *tallies = s->section->service.tallies;
	struct tally_staple first;
	int64_t now = (int64_t)time(NULL);

	if (s->news.answer.verdict == TLS_OCSP_GOOD)
		s->staple = (struct tally_staple){now, now + s->news.life};
	else if (s->news.answer.verdict == TLS_OCSP_REVOKED)
		s->staple = (struct tally_staple){0, 0};
	first = first_staple(s->fetcher, s->section);
	if (first.until != 0 || s->news.answer.verdict == TLS_OCSP_REVOKED)
		tally_staple(tallies, &first);
	tally_answer(tallies, TALLY_OCSP_STAPLE, s->news.answer.verdict);
}

static void tell_news(const struct tls_staple_news *news)
{
	if (news->answer.verdict == TLS_OCSP_GOOD)
		log_main(LOG_INFO, "OCSP: Stapling for: %s", news->about);
	else
		log_main(LOG_WARNING, "OCSP: No staple for: %s: %s", news->about,
			 news->answer.verdict == TLS_OCSP_REVOKED ? "it was revoked"
								  : news->answer.why);
}

/* Asks about the certificate that is in the place now. */
static void begin_stapling(struct stapling *s)
{
	tls_staple_drop(s->own);
	s->own = tls_staple_hold(tls_ctx_library(s->section->service.tls), s->index);
	s->renewed = false;
	s->staple = (struct tally_staple){0, 0};
	if (s->own)
		uv_timer_start(&s->timer, on_staple_due, 0, 0);
	else
		uv_timer_stop(&s->timer);
}

static void on_staple_done(uv_work_t *work, int status)
{
	struct stapling *s = work->data;

	(void)status;
	s->under_way = false;
	s->fetcher->under_way--;
	if (uv_is_closing((uv_handle_t *)&s->timer))
		return;
	if (s->renewed) {
		begin_stapling(s);
		return;
	}
	count_staple(s);
	tell_news(&s->news);
	uv_timer_start(&s->timer, on_staple_due, (uint64_t)s->news.again * 1000, 0);
}

static void on_staple_due(uv_timer_t *timer)
{
	struct stapling *s = timer->data;

	s->under_way = true;
	s->fetcher->under_way++;
	uv_queue_work(&s->fetcher->helper.loop, &s->work, on_staple_work, on_staple_done);
}

/* A thread that asks about an old certificate has it for so long. */
static void on_renewed(void *arg, size_t section)
{
	struct fetcher *f = arg;
	const struct config_section *renewed = section_of(f, section);
	struct tally_staple first;

	for (size_t i = 0; i < f->staplings; i++) {
		struct stapling *s = &f->stapling[i];

		if (s->section != renewed)
			continue;
		s->renewed = true;
		if (!s->under_way)
			begin_stapling(s);
	}
	first = first_staple(f, renewed);
	tally_staple(renewed->service.tallies, &first);
}

/* How many certificates may have to be asked about: renewed ones may name responders, too. */
static size_t count_staples(const struct config_section *s)
{
	const struct ssl_ctx_st *ctx = s->service.tls ? tls_ctx_library(s->service.tls) : NULL;

	if (!ctx || !tls_staple_asks(ctx))
		return 0;
	return s->renewal.seconds != 0 ? s->tls.cert.count : tls_staple_count(ctx);
}

static bool start_stapling(struct fetcher *f)
{
	const struct config *config = f->helper.task->config;
	size_t total = 0;

	for (size_t i = 0; i < config->count; i++)
		total += count_staples(config->section[i]);
	f->stapling = calloc(total + 1, sizeof *f->stapling);
	if (!f->stapling)
		return false;
	for (size_t i = 0; i < config->count; i++)
		for (size_t j = count_staples(config->section[i]); j-- != 0;) {
			struct stapling *s = &f->stapling[f->staplings++];

			*s = (struct stapling){
				.fetcher = f,
				.section = config->section[i],
				.index = j,
				.work.data = s,
			};
			uv_timer_init(&f->helper.loop, &s->timer);
			s->timer.data = s;
			begin_stapling(s);
		}
	f->intake = (struct renewal_intake){.config = f->helper.task->config,
					    .fd = f->helper.task->renewal,
					    .renewed = on_renewed,
					    .arg = f};
	renewal_open(&f->intake, &f->helper.loop);
	return true;
}

/* --- life ------------------------------------------------------------------------------------- */

static void end(void *owner)
{
	struct fetcher *f = owner;

	/* Threads may wait for their responders longer than anybody waits for this process. */
	if (f->under_way != 0)
		_exit(0);
}

static bool start(struct fetcher *f, const struct helper_task *task)
{
	static const struct helper_calls calls = {.take = take, .end = end};

	setenv("UV_THREADPOOL_SIZE", THREADS, 1);
	f->helper = (struct helper){
		.task = task,
		.calls = &calls,
		.owner = f,
		.question = &f->question,
		.question_max = sizeof f->question,
	};
	return helper_open(&f->helper) && start_stapling(f);
}

bool fetcher_needed(const struct config *config)
{
	for (size_t i = 0; i < config->count; i++)
		if (has_responder(config->section[i]) || count_staples(config->section[i]) != 0)
			return true;
	return false;
}

static void free_fetcher(struct fetcher *f)
{
	helper_close(&f->helper);
	while (f->first) {
		struct fetched *next = f->first->next;

		free_fetched(f->first);
		f->first = next;
	}
	for (size_t i = 0; i < f->staplings; i++)
		tls_staple_drop(f->stapling[i].own);
	free(f->stapling);
	free(f);
}

int fetcher_run(const struct helper_task *task)
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
	helper_serve(&f->helper);
	free_fetcher(f);
	return 0;
}
