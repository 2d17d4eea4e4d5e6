/* SPDX-License-Identifier: ISC */
#include "process/generation.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conn/access.h"
#include "conn/conn.h"
#include "conn/roster.h"
#include "process/attend.h"
#include "process/fetcher.h"
#include "process/metrics.h"
#include "process/worker.h"
#include "process/wrapper.h"
#include "sys/log.h"
#include "sys/shared.h"
#include "tls/staple.h"
#include "tls/tickets.h"

#define STOP_MS 5000
#define REST_MS 1000   /* that workers have to stop accepting */
#define BEFORE_MS 1000 /* until it is looked again whether a program before this one has ended */
#define FEW_CONNECTIONS 1000 /* with room for fewer the log says so at LOG_NOTICE */

static void close_streams(struct generations *all)
{
	if (all->streams[1] >= 0 && all->streams[1] != all->streams[0])
		close(all->streams[1]);
	if (all->streams[0] >= 0)
		close(all->streams[0]);
	all->streams[0] = all->streams[1] = -1;
}

/* --- in the process of a child ---------------------------------------------------------------- */

static void close_helper_sockets(struct generation *g)
{
	helper_sockets_close(&g->revocation);
	helper_sockets_close(&g->libwrap);
	renewal_sockets_close(&g->renewal);
}

static void drop_keys(const struct generations *all)
{
	for (struct generation *g = all->first; g; g = g->next)
		config_drop_keys(g->config);
	tls_tickets_let_go();
}

/* Closes other generations' logs: a log that any process holds open keeps its disk space. */
static void enter(void *owner, const struct child_kind *kind)
{
	struct generation *mine = owner;
	struct generations *all = mine->all;

	for (struct generation *each = mine; each; each = each->next)
		board_link(each->children.board,
			   each->next ? each->next->children.board : all->before);
	close(all->lifeline[1]);
	attend_let_go();
	shared_let_go();
	for (struct generation *g = all->first; g; g = g->next)
		if (g != mine || !(kind->keeps & CHILD_KEEPS_LOGS))
			access_close(g->config->access);
	for (struct generation *g = all->first; g; g = g->next)
		if (g != mine)
			close_helper_sockets(g);
	if (!(kind->keeps & CHILD_KEEPS_SOCKETS)) /* no worker */
		helper_sockets_close(&mine->renewal.workers);
	if (!(kind->keeps & CHILD_KEEPS_STAPLES))
		helper_sockets_close(&mine->renewal.fetcher);
	if (!(kind->keeps & CHILD_KEEPS_KEYS))
		drop_keys(all);
	if (!(kind->keeps & CHILD_KEEPS_SOCKETS)) {
		bind_let_go(&all->addresses);
		close_streams(all);
	}
	if (!(kind->keeps & CHILD_KEEPS_METRICS))
		bind_let_go(&all->metrics);
}

static void leave(void *owner)
{
	struct generation *g = owner;

	generation_forget(g->all);
}

static size_t count_workers(const void *owner)
{
	const struct generation *g = owner;

	return g->workers;
}

static int run_worker(void *owner, const struct child_place *place)
{
	struct generation *g = owner;
	struct generations *all = g->all;
	struct worker_socket *sockets = calloc(bind_count(&all->addresses) + 1, sizeof *sockets);
	struct worker_task task = {
		.config = g->config,
		.shared = all->shared,
		.listed = all->listed,
		.place = place,
		.ask_revocation = helper_socket(&g->revocation, place->index),
		.ask_libwrap = helper_socket(&g->libwrap, place->index),
		.renewal = helper_socket(&g->renewal.workers, place->index),
		.socket = sockets,
		.stream = {all->streams[0], all->streams[1]},
		.lifeline = all->lifeline[0],
	};
	int status;

	if (!sockets)
		return 1;
	task.socket_count = bind_take(&all->addresses, g->workers, sockets);
	status = worker_run(&task);
	free(sockets);
	return status;
}

static struct helper_task task_of(const struct generation *g, const struct helper_sockets *sockets,
				  const struct child_place *place)
{
	return (struct helper_task){
		.config = g->config,
		.place = place,
		.sockets = sockets,
		.lifeline = g->all->lifeline[0],
		.renewal = helper_socket(&g->renewal.fetcher, 0),
	};
}

static size_t count_fetchers(const void *owner)
{
	return fetcher_needed(((const struct generation *)owner)->config) ? 1 : 0;
}

static int run_fetcher(void *owner, const struct child_place *place)
{
	const struct generation *g = owner;
	const struct helper_task task = task_of(g, &g->revocation, place);

	return fetcher_run(&task);
}

static size_t count_wrappers(const void *owner)
{
	return wrapper_needed(((const struct generation *)owner)->config) ? 1 : 0;
}

static int run_wrapper(void *owner, const struct child_place *place)
{
	const struct generation *g = owner;
	const struct helper_task task = task_of(g, &g->libwrap, place);

	return wrapper_run(&task);
}

static size_t count_metrics(const void *owner)
{
	return metrics_needed(((const struct generation *)owner)->config) ? 1 : 0;
}

static int run_metrics(void *owner, const struct child_place *place)
{
	struct generation *g = owner;
	struct generations *all = g->all;
	struct worker_socket socket = {.fd = -1};
	const struct metrics_task task = {
		.config = g->config,
		.place = place,
		.figures = {all->daemon, all->services.service, all->services.count,
			    g->children.board},
		.listener = bind_take(&all->metrics, 1, &socket) == 1 ? socket.fd : -1,
		.lifeline = all->lifeline[0],
	};

	close_helper_sockets(g);
	return metrics_run(&task);
}

/* Workers must come first: a socket's worker is a row of the board. */
static const struct child_kind kinds[] = {
	{
		.noun = "A worker",
		.process = "Worker process",
		.told = CHILD_TOLD(CHILD_REOPEN) | CHILD_TOLD(CHILD_LOOK) | CHILD_TOLD(CHILD_LIST),
		.keeps = CHILD_KEEPS_SOCKETS | CHILD_KEEPS_LOGS | CHILD_KEEPS_KEYS,
		.beats = true,
		.count = count_workers,
		.run = run_worker,
	},
	{
		.noun = "The OCSP fetcher",
		.process = "OCSP process",
		.told = CHILD_TOLD(CHILD_REOPEN),
		.keeps = CHILD_KEEPS_KEYS | CHILD_KEEPS_STAPLES,
		.beats = true,
		.count = count_fetchers,
		.run = run_fetcher,
	},
	{
		.noun = "The libwrap helper",
		.process = "Libwrap process",
		.told = CHILD_TOLD(CHILD_REOPEN),
		.beats = true,
		.count = count_wrappers,
		.run = run_wrapper,
	},
	{
		.noun = "The server of metrics",
		.process = "Metrics process",
		.told = CHILD_TOLD(CHILD_REOPEN),
		.keeps = CHILD_KEEPS_METRICS,
		.beats = true,
		.count = count_metrics,
		.run = run_metrics,
	},
};

/* --- back in the master ----------------------------------------------------------------------- */

static void ended(void *owner, const struct child *child)
{
	const struct generation *g = owner;

	if (child->kind->keeps & CHILD_KEEPS_LOGS)
		access_rest(g->config->access, child->index, g->config->globals.chroot);
}

static void reap(void *owner)
{
	struct generation *g = owner;

	generation_reap(g->all);
}

static int waiting(void *owner)
{
	const struct generation *g = owner;

	return g->all->waiting ? g->all->waiting(g->all) : -1;
}

static const struct child_calls calls = {enter, leave, ended, reap, waiting};

/* --- one generation --------------------------------------------------------------------------- */

static size_t worker_count(const struct config *config)
{
	cpu_set_t cpus;

	if (config->inetd)
		return 1;
	if (config->globals.workers > 0)
		return (size_t)config->globals.workers;
	if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
		return 1;
	return (size_t)CPU_COUNT(&cpus);
}

bool generation_count(struct generations *all)
{
	uint64_t layout = figures_layout();

	all->daemon = shared_map("daemon", layout, sizeof *all->daemon);
	all->listed = shared_map("listed", sizeof *all->listed, sizeof *all->listed);
	if (!all->daemon || !all->listed)
		return false;
	if (atomic_load(&all->daemon->started) == 0)
		atomic_store(&all->daemon->started, (uint64_t)time(NULL));
	if (!services_find_left(&all->services))
		return false;
	all->before = board_left(services_meaning, &all->services);
	return true;
}

int generation_look_before(struct generations *all)
{
	all->before = board_settle(all->before);
	return all->before ? BEFORE_MS : -1;
}

/* Connections of a worker that are counted by their clients; 0: no section has a limit. */
static size_t counted_by_client(const struct config *config)
{
	size_t most = (size_t)config->globals.max_connections;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && (most == 0 || files.rlim_cur / 2 < most))
		most = files.rlim_cur / 2;
	for (size_t i = 0; i < config->count; i++)
		if (config->section[i]->service.admit.per_ip.max != 0)
			return most;
	return 0;
}

static struct board *make_board(const struct generation *g)
{
	const struct services *services = &g->all->services;
	struct board_plan plan = {
		.workers = g->children.count,
		.columns = board_column(services->count),
		.keys = counted_by_client(g->config),
	};

	plan.meaning = services_meaning(services, plan.columns);
	if (metrics_needed(g->config))
		plan.sheet = roster_sheet();
	return board_new(&plan);
}

struct generation *generation_new(struct generations *all, struct config *config)
{
	struct generation *g = calloc(1, sizeof *g);

	if (!g || !services_place(&all->services, config, worker_count(config))) {
		free(g);
		return NULL;
	}
	g->all = all;
	g->config = config;
	g->workers = worker_count(config);
	if (access_share(config->access, g->workers) &&
	    (!fetcher_needed(config) || helper_sockets_open(&g->revocation, g->workers)) &&
	    (!wrapper_needed(config) || helper_sockets_open(&g->libwrap, g->workers)) &&
	    (!renewal_needed(config) ||
	     renewal_sockets_open(&g->renewal, g->workers, fetcher_needed(config))) &&
	    child_open(&g->children, kinds, sizeof kinds / sizeof kinds[0], &calls, g))
		g->children.board = make_board(g);
	if (g->children.board)
		return g;
	g->config = NULL;
	generation_free(g);
	return NULL;
}

void generation_free(struct generation *g)
{
	config_free(g->config);
	board_free(g->children.board);
	child_free(&g->children);
	close_helper_sockets(g);
	free(g);
}

/* --- all of them ------------------------------------------------------------------------------ */

void generation_forget(struct generations *all)
{
	while (all->first) {
		struct generation *next = all->first->next;

		generation_free(all->first);
		all->first = next;
	}
	bind_close(&all->addresses);
	bind_close(&all->metrics);
	services_free(&all->services);
	board_forget(all->before);
	all->before = NULL;
	shared_unmap(all->daemon);
	all->daemon = NULL;
	shared_unmap(all->listed);
	all->listed = NULL;
}

void generation_reap(struct generations *all)
{
	struct generation **at = &all->first, *g;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (g = all->first; g && !child_ended(&g->children, pid, status);)
			g = g->next;
		if (!g)
			attend_ended(pid, status);
		if (g && g->children.state == CHILD_SERVING)
			tally_one(&all->daemon->respawns);
	}
	while (*at) {
		g = *at;
		if (g->children.state != CHILD_DRAINING || !child_none(&g->children)) {
			at = &g->next;
			continue;
		}
		*at = g->next;
		generation_free(g);
	}
}

void generation_stop(struct generations *all)
{
	uint64_t deadline = board_now() + STOP_MS;

	for (struct generation *g = all->first; g; g = g->next)
		child_signal(&g->children, CHILD_STOP);
	for (struct generation *g = all->first; g; g = g->next)
		child_stop(&g->children, deadline);
}

void generation_list(struct generations *all)
{
	atomic_store(all->listed, 0);
	for (struct generation *g = all->first; g; g = g->next)
		board_ask(g->children.board, BOARD_LIST);
	board_ask(all->before, BOARD_LIST);
	generation_list_asked(all);
	board_tell_masters(all->before, SIGUSR2);
}

void generation_list_asked(const struct generations *all)
{
	for (struct generation *g = all->first; g; g = g->next)
		child_signal(&g->children, CHILD_LIST);
}

static size_t unanswered(const struct generation *g, enum board_request request)
{
	size_t n = 0;

	for (; g; g = g->next)
		n += board_unanswered(g->children.board, request);
	return n;
}

size_t generation_unlisted(const struct generations *all)
{
	return unanswered(all->first, BOARD_LIST) + board_unanswered(all->before, BOARD_LIST);
}

/*
 * Drains a generation and all before it. Whoever is told then that this is done meets none of them
 * any more: they share sockets with the newest, and accept until each worker has had its signal. A
 * worker that hangs is not waited for.
 */
static void drain_from(struct generation *first)
{
	const struct timespec pause = {0, 1000 * 1000};
	uint64_t deadline = board_now() + REST_MS;

	for (struct generation *g = first; g; g = g->next) {
		if (g->children.state == CHILD_DRAINING)
			continue;
		board_ask(g->children.board, BOARD_ACCEPT_NO_MORE);
		child_drain(&g->children);
	}
	while (unanswered(first, BOARD_ACCEPT_NO_MORE) != 0 && board_now() < deadline &&
	       !child_told_to_end())
		nanosleep(&pause, NULL);
}

/* Logs how many connections the limit of descriptors allows, as the first worker found it. */
static void tell_room(const struct generation *g)
{
	size_t room = board_room(g->children.board, 0);
	struct rlimit limit = {0};

	getrlimit(RLIMIT_NOFILE, &limit);
	log_main(room < FEW_CONNECTIONS ? LOG_NOTICE : LOG_INFO,
		 "At most %zu connections a worker (%llu descriptors)", room,
		 (unsigned long long)limit.rlim_cur);
	if ((size_t)g->config->globals.max_connections > room * g->workers)
		log_main(LOG_WARNING, "maxConnections = %d is more than %zu workers can hold",
			 g->config->globals.max_connections, g->workers);
}

void generation_serve_streams(struct generations *all)
{
	close_streams(all);
	child_drain(&all->first->children);
	generation_reap(all); /* the worker may have ended before this, and no signal comes again */
}

void generation_drain(struct generations *all)
{
	bind_close(&all->addresses);
	drain_from(all->first);
}

/* Ends the oldest generations, if there are more than the newest one allows. */
static void end_oldest(const struct generations *all)
{
	size_t most = (size_t)all->first->config->globals.old_generations, old = 0;

	for (struct generation *g = all->first->next; g && most != 0; g = g->next) {
		if (child_none(&g->children) || ++old <= most)
			continue;
		if (old == most + 1)
			log_main(LOG_WARNING,
				 "More than maxOldGenerations = %zu have connections: "
				 "the oldest is ended",
				 most);
		child_signal(&g->children, CHILD_STOP);
	}
}

/* Services that are in no configuration any more show no certificate. */
static void tell_expiry(const struct generations *all, const struct config *config)
{
	for (size_t i = 0; i < all->services.count; i++)
		tally_expire(all->services.service[i].tallies, 0);
	for (size_t i = 0; i < config->count; i++) {
		const struct conn_service *s = &config->section[i]->service;

		if (s->tls)
			tally_expire(s->tallies, tls_ctx_expiry(s->tls));
		if (!s->tls || tls_staple_count(tls_ctx_library(s->tls)) == 0)
			tally_staple(s->tallies, &(struct tally_staple){0, 0});
	}
}

bool generation_is_owned(const struct generations *all, const struct generation *g)
{
	const struct generation *each = all->first;

	while (each && each != g)
		each = each->next;
	return each != NULL;
}

/* A child that serves may have connections, which must not be lost by a reload that goes wrong. */
static void give_up(struct generations *all, struct generation *g)
{
	all->first = g->next;
	if (!all->first) {
		child_signal(&g->children, CHILD_STOP);
		child_stop(&g->children, board_now() + STOP_MS);
		return;
	}
	child_withdraw(&g->children);
	if (child_none(&g->children))
		return;
	g->next = all->first->next;
	all->first->next = g;
}

bool generation_start(struct generations *all, struct generation *g)
{
	g->next = all->first;
	all->first = g;
	board_own(g->children.board);
	if (!child_start(&g->children)) {
		give_up(all, g);
		return false;
	}
	tell_room(g);
	tell_expiry(all, g->config);
	drain_from(g->next);
	end_oldest(all);
	return true;
}
