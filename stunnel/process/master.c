/* SPDX-License-Identifier: ISC */
#include "process/master.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/activation.h"
#include "process/attend.h"
#include "process/bind.h"
#include "config/reader.h"
#include "conn/conn.h"
#include "metrics/summary.h"
#include "process/daemon.h"
#include "process/generation.h"
#include "process/manager.h"
#include "process/renewal.h"
#include "sys/log.h"
#include "sys/notify.h"
#include "sys/shared.h"
#include "tls/secret.h"
#include "tls/tickets.h"
#include "process/upgrade.h"
#include "process/worker.h"

#define LIST_MS 10000	    /* for all workers to list their connections */
#define LIST_LOOK_MS 20	    /* until it is looked again whether they have */
#define DRAIN_GRACE_MS 1000 /* for workers to end by themselves when TIMEOUTdrain is over */
#define LOG_RETRY_MS 100    /* until syslog is offered again the lines that it did not take */

struct master {
	const char *path;
	int fd;
	struct generations generations;
	sigset_t signals;
	uint64_t
		list_until; /* board_now() when the list of connections is over; 0: there is none */
	uint64_t drain_until; /* board_now() when draining is over; 0: the daemon does not end */
	bool ending;
	struct upgrade upgrade;
	bool handed_over; /* the heir serves, and this process drains */
};

/* --- configurations --------------------------------------------------------------------------- */

static bool open_log(const struct generation *g)
{
	const struct config_globals *globals = &g->config->globals;
	struct log_sinks sinks = {
		.level = g->config->defaults.service.log_level,
		.to_syslog = globals->syslog,
		.for_access = g->config->access != NULL,
		.facility = globals->facility,
		.ident = globals->service,
		.to_stderr = globals->foreground == CONFIG_FOREGROUND,
		.root = globals->chroot,
		.path = globals->output,
		.overwrite = globals->overwrite,
		.format = (enum log_format)globals->log_format,
	};

	return log_open(&sinks);
}

static bool bind_everything(struct generations *all, const struct generation *g)
{
	return bind_all(&all->addresses, g->config, g->workers) &&
	       bind_all(&all->metrics, g->config->metrics, 1);
}

static void settle_addresses(struct generations *all)
{
	bind_drop_unused(&all->addresses);
	bind_drop_unused(&all->metrics);
}

static void tell_addresses(const struct generations *all, const struct generation *g)
{
	bind_tell(&all->addresses, g->config);
	bind_tell(&all->metrics, g->config->metrics);
}

static struct generation *load(struct master *m)
{
	struct config *config = reader_load(m->path, m->fd, READER_START);
	struct generation *g;

	if (!config)
		return NULL;
	g = generation_new(&m->generations, config);
	if (!g) {
		config_free(config);
		return NULL;
	}
	return g;
}

/*
 * chroot, user, group and pid file stay as at the start: open files and running workers have them.
 * False without memory: new workers must not run without their chroot.
 */
static bool keep_fixed_globals(struct config *config, const struct config *old)
{
	const struct config_globals *was = &old->globals;
	struct config_globals *g = &config->globals;

	g->chroot = arena_text(&config->arena, was->chroot);
	g->uid = was->uid;
	g->gid = was->gid;
	g->pid = NULL;
	return g->chroot || !was->chroot;
}

/* After any failure everything is as before; old workers accept until the new ones do. */
static bool load_anew(struct master *m)
{
	struct generation *old = m->generations.first, *g = load(m);

	if (g && keep_fixed_globals(g->config, old->config) &&
	    bind_everything(&m->generations, g) &&
	    access_open(g->config->access, g->config->globals.chroot) && open_log(g)) {
		if (generation_start(&m->generations, g)) {
			settle_addresses(&m->generations);
			log_settle();
			access_close(old->config->access); /* old workers have their own copies */
			tally_one(&m->generations.daemon->reloads);
			log_main(LOG_INFO, "New workers accept connections");
			tell_addresses(&m->generations, g);
			return true;
		}
		log_revert();
	}
	bind_restore(&m->generations.addresses, old->config);
	bind_restore(&m->generations.metrics, old->config->metrics);
	tally_one(&m->generations.daemon->failed_reloads);
	log_main(LOG_ERR, "Failed to reload the configuration file");
	if (g && !generation_is_owned(&m->generations, g))
		generation_free(g);
	return false;
}

/* The manager waits for its end also where it fails, as the log then says. */
static void reload(struct master *m)
{
	manager_reloading(&m->generations);
	if (!m->path)
		log_main(LOG_ERR, "A configuration read from a descriptor cannot be reloaded");
	manager_reloaded(&m->generations, m->path && load_anew(m));
}

/* --- upgrades --------------------------------------------------------------------------------- */

#define UPGRADE_LOOK_MS 20

/* A program that was started in the background has no standard error that anybody reads. */
static bool is_in_background(const struct config_globals *globals)
{
	return globals->foreground == CONFIG_BACKGROUND && !notify_wanted();
}

/* Whoever has started us waits for the end of this process, and knows no other. */
static bool is_awaited(const struct config_globals *globals)
{
	return globals->foreground != CONFIG_BACKGROUND && !notify_wanted();
}

static void upgrade(struct master *m)
{
	const struct config *config = m->generations.first->config;

	if (!m->path || config->inetd || m->drain_until != 0 || m->handed_over)
		log_main(LOG_ERR, "No upgrade: %s",
			 m->path && !config->inetd ? "this process ends"
						   : "there is no file to read again");
	else if (m->upgrade.until == 0)
		upgrade_begin(&m->upgrade,
			      &(struct upgrade_order){
				      .path = m->path,
				      .background = is_in_background(&config->globals),
				      .attend = attend_open(is_awaited(&config->globals)),
				      .addresses = &m->generations.addresses,
				      .metrics = &m->generations.metrics,
			      });
}

/* From now on the sockets, the pid file and the service manager are the heir's. */
static void hand_over(struct master *m)
{
	m->handed_over = true;
	attend_hand_over(m->upgrade.heir);
	manager_leave(m->upgrade.heir);
	upgrade_release(&m->upgrade);
	daemon_pid_leave();
	bind_let_go(&m->generations.metrics);
	bind_let_go(&m->generations.addresses);
	generation_drain(&m->generations);
	log_main(LOG_NOTICE, "Upgraded: process %ld accepts connections", (long)m->upgrade.heir);
}

/* Milliseconds until the heir is to be looked at again; -1: never. */
static int follow_upgrade(struct master *m)
{
	switch (upgrade_look(&m->upgrade)) {
	case UPGRADE_AWAITED:
		return UPGRADE_LOOK_MS;
	case UPGRADE_DONE:
		hand_over(m);
		return 0;
	case UPGRADE_NONE:
	case UPGRADE_FAILED:
		break;
	}
	return -1;
}

/* --- signals ---------------------------------------------------------------------------------- */

/* One log that cannot be opened, which is logged, must not keep others from being rotated. */
static void reopen_logs(struct master *m)
{
	const struct config *config = m->generations.first->config;
	bool reopened = log_reopen(true);

	access_open(config->access, config->globals.chroot);
	worker_own_logs(config);
	if (reopened)
		log_main(LOG_NOTICE, "Log file reopened");
	for (struct generation *each = m->generations.first; each; each = each->next)
		child_signal(&each->children, CHILD_REOPEN);
}

/* As stock, at a level that is always logged; the lines between the two are the workers'. */
static void begin_list(struct master *m)
{
	if (m->list_until != 0)
		return;
	log_main(LOG_EMERG, "Active connections:");
	m->list_until = board_now() + LIST_MS;
	generation_list(&m->generations);
}

/* Ends the list that all workers have added to; milliseconds until that is to be asked again. */
static int end_list(struct master *m)
{
	size_t missing = generation_unlisted(&m->generations);

	if (m->list_until == 0)
		return -1;
	if (missing != 0 && board_now() < m->list_until)
		return LIST_LOOK_MS;
	m->list_until = 0;
	if (missing != 0)
		log_main(LOG_WARNING, "%zu worker(s) did not list their connections in time",
			 missing);
	log_main(LOG_EMERG, "Listed %" PRIu32 " active connection(s)",
		 atomic_load(m->generations.listed));
	if (!summary_tell(m->generations.services.service, m->generations.services.count))
		log_main(LOG_NOTICE, "Nothing was refused or mended since the start");
	return -1;
}

/* The second time ends at once what the first time has left to drain. */
static void terminate(struct master *m)
{
	int seconds = m->generations.first->config->globals.drain_seconds;

	if (m->drain_until != 0 || seconds == 0 || m->generations.first->config->inetd) {
		m->ending = true;
		return;
	}
	upgrade_cancel(&m->upgrade);
	manager_stopping();
	m->drain_until = board_now() + (uint64_t)seconds * 1000 + DRAIN_GRACE_MS;
	generation_drain(&m->generations);
}

/* Workers know when their time is over; this is for those that hang. */
static int end_drain(struct master *m)
{
	uint64_t now = board_now();

	if (m->drain_until == 0)
		return -1;
	m->ending |= now >= m->drain_until;
	return m->ending ? 0 : (int)(m->drain_until - now);
}

/* Whether the signal is for the newest master alone, which another process than this one is. */
static bool pass_on(int number)
{
	bool to_newest = number == SIGHUP || number == SIGUSR2 || number == MASTER_UPGRADE;

	if (!attend_begun() || number == SIGCHLD)
		return false;
	attend_pass_on(number, to_newest);
	return to_newest;
}

/* A master behind an upgrade speaks for all; its signals are queued, which tells them apart. */
static bool is_of_heir(const siginfo_t *info)
{
	return info->si_code == SI_QUEUE &&
	       (info->si_signo == SIGUSR1 || info->si_signo == SIGUSR2);
}

static bool obey_heir(struct master *m, const siginfo_t *info)
{
	if (!is_of_heir(info))
		return false;
	if (info->si_signo == SIGUSR1)
		reopen_logs(m);
	else
		generation_list_asked(&m->generations);
	return true;
}

/*
 * Stays, if somebody awaits the end of this process, until its heirs end; the exit status. What an
 * heir has sent before it saw that nothing is left here must not come back to it.
 */
static int attend(const struct master *m)
{
	siginfo_t info;
	int status = 0;

	while (attend_begun() && attend_left(&status))
		if (sigwaitinfo(&m->signals, &info) > 0 && !is_of_heir(&info))
			pass_on(info.si_signo);
	return status;
}

static void handle_signal(struct master *m, const siginfo_t *info)
{
	int number = info->si_signo;

	if (obey_heir(m, info) || pass_on(number))
		return;
	switch (number) {
	case SIGHUP:
		if (m->generations.first->config->inetd)
			m->ending = true; /* the terminal's user has left */
		else if (m->upgrade.until != 0)
			log_main(LOG_NOTICE, "Not reloaded, since the upgrade reads the file");
		else if (m->drain_until != 0 || m->handed_over)
			log_main(LOG_NOTICE, "Not reloaded, since the daemon ends");
		else
			reload(m);
		break;
	case SIGUSR1:
		reopen_logs(m);
		board_tell_masters(m->generations.before, SIGUSR1);
		break;
	case SIGCHLD:
		generation_reap(&m->generations);
		break;
	case SIGUSR2:
		begin_list(m);
		break;
	case MASTER_UPGRADE:
		upgrade(m);
		break;
	case SIGTERM:
		log_main(LOG_NOTICE, "Terminated");
		terminate(m);
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

/* The sooner of two times in milliseconds, of which a negative one never comes. */
static int sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void serve(struct master *m)
{
	while (!m->ending && m->generations.first) {
		struct generation *newest = m->generations.first;
		int ms = sooner(child_replace(&newest->children),
				m->handed_over ? -1
					       : tls_tickets_rotate(
							 newest->config->globals.ticket_seconds));
		struct timespec wait;
		siginfo_t info;
		int number;

		ms = sooner(ms, renewal_look(newest->config, &newest->renewal,
					     newest->children.state == CHILD_SERVING));
		ms = sooner(ms, generation_look_before(&m->generations));
		ms = sooner(ms, end_list(m));
		ms = sooner(ms, end_drain(m));
		ms = sooner(ms, follow_upgrade(m));
		ms = sooner(ms, manager_look(&m->generations));
		if (log_flush())
			ms = sooner(ms, LOG_RETRY_MS);
		wait = (struct timespec){ms / 1000, ms % 1000 * 1000000L};
		number = ms >= 0 ? sigtimedwait(&m->signals, &info, &wait)
				 : sigwaitinfo(&m->signals, &info);
		if (number > 0)
			handle_signal(m, &info);
	}
}

static void block_signals(struct master *m)
{
	static const int numbers[] = {SIGHUP,  SIGINT,	SIGQUIT, SIGTERM,
				      SIGUSR1, SIGCHLD, SIGUSR2, MASTER_UPGRADE};

	sigemptyset(&m->signals);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		sigaddset(&m->signals, numbers[i]);
	sigprocmask(SIG_BLOCK, &m->signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* write() to a log at its size limit fails with EFBIG instead */
	signal(SIGCHLD, SIG_DFL); /* if ignored, as inherited, waitpid() would find no worker */
}

static void end(struct master *m)
{
	upgrade_cancel(&m->upgrade);
	manager_stopping();
	generation_stop(&m->generations);
	summary_tell(m->generations.services.service, m->generations.services.count);
	generation_forget(&m->generations);
	tls_tickets_close();
	daemon_pid_remove();
}

/* A service manager that is told when the start is over takes the end of its process for ours. */
static bool goes_to_background(const struct config_globals *globals)
{
	return globals->foreground == CONFIG_BACKGROUND && !notify_started_us();
}

static bool start(struct master *m, struct generation *g)
{
	const struct config_globals *globals = &g->config->globals;
	bool inetd = g->config->inetd;

	if (inetd &&
	    !daemon_take_streams(m->generations.streams, globals->foreground == CONFIG_FOREGROUND))
		return false;
	if (!upgrade_inherit(&m->generations.addresses, &m->generations.metrics) ||
	    !activation_adopt(&m->generations.addresses, g->config) ||
	    !bind_everything(&m->generations, g))
		return false;
	settle_addresses(&m->generations);
	tell_addresses(&m->generations, g);
	if (upgrade_is_heir() ? is_in_background(globals) && !daemon_stay()
			      : !inetd && goes_to_background(globals) && !daemon_fork())
		return false;
	log_name("main");
	if (!tls_secret_settle())
		return false;
	tls_tickets_settle();
	if (!open_log(g) || !access_open(g->config->access, globals->chroot) ||
	    !generation_start(&m->generations, g))
		return false;
	if (globals->chroot) /* logged once for all workers */
		log_main(LOG_NOTICE, "Switched to chroot directory: %s", globals->chroot);
	return inetd || !globals->pid || daemon_pid_write(globals->chroot, globals->pid);
}

/* Each connection takes two descriptors; the soft limit is low only for programs with select(). */
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

/*
 * Undoes a failed start; returns the exit status. A signal in the foreground ends it with 0, as at
 * any time; in the background, or before that is known, 0 would mean that the daemon runs.
 */
static int give_up(struct master *m, struct generation *g)
{
	bool told = child_told_to_end();
	bool in_foreground = g && !goes_to_background(&g->config->globals);

	if (told)
		log_main(LOG_NOTICE, "Terminated");
	log_unopened(LOG_ERR);
	generation_stop(&m->generations);
	if (g && m->generations.first != g)
		generation_free(g);
	generation_forget(&m->generations);
	tls_tickets_close();
	return told && in_foreground ? 0 : 1;
}

int master_run(const char *path, int fd)
{
	struct master m = {.path = path, .fd = fd, .generations.streams = {-1, -1}};
	struct generation *g;

	upgrade_open();
	notify_open();
	block_signals(&m);
	raise_descriptor_limit();
	if (!upgrade_is_heir()) /* until it is released the old process speaks */
		m.generations.waiting = manager_beat;
	m.generations.shared = shared_new(sizeof *m.generations.shared);
	if (!m.generations.shared || pipe2(m.generations.lifeline, O_CLOEXEC) != 0 ||
	    getrandom(&m.generations.shared->start, sizeof m.generations.shared->start, 0) < 0 ||
	    !generation_count(&m.generations)) {
		fprintf(stderr, "[!] Cannot start: %s (%d)\n", strerror(errno), errno);
		return 1;
	}
	g = load(&m);
	if (!g || !start(&m, g))
		return give_up(&m, g);
	if (g->config->inetd)
		generation_serve_streams(&m.generations);
	else
		log_main(LOG_INFO, "Accepting new connections");
	bind_settle(&m.generations.addresses);
	bind_settle(&m.generations.metrics);
	daemon_ready();
	shared_settle();
	if (upgrade_is_heir())
		tally_one(&m.generations.daemon->upgrades);
	upgrade_ready();
	m.generations.waiting = manager_beat;
	manager_ready(&m.generations);
	serve(&m);
	end(&m);
	return attend(&m);
}
