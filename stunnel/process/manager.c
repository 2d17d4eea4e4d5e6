/* SPDX-License-Identifier: ISC */
#include "process/manager.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sys/log.h"
#include "sys/notify.h"
#include "process/pulse.h"

#define STATUS_MS 5000 /* between two looks at what the status says */
#define SILENT_PARTS 2 /* of the watchdog's time, after which a child is taken for hung */
#define DAY_SECONDS (24 * 60 * 60)

static struct {
	uint64_t next_status, next_beat; /* board_now() */
	pid_t silent;			 /* the child that was logged to hang; 0: none */
	bool failed;			 /* the last reload */
	char status[128];		 /* as it was last sent */
} told;

/* --- the status ------------------------------------------------------------------------------- */

static uint64_t connections(const struct generations *all)
{
	uint64_t sum = board_sum(all->before, BOARD_ALL);

	for (const struct generation *g = all->first; g; g = g->next)
		sum += board_sum(g->children.board, BOARD_ALL);
	return sum;
}

/* When the first of our certificates ends; 0: there are none. */
static int64_t first_expiry(const struct generations *all)
{
	int64_t first = 0;

	for (size_t i = 0; i < all->services.count; i++) {
		int64_t when = tally_expiry(all->services.service[i].tallies);

		if (when != 0 && (first == 0 || when < first))
			first = when;
	}
	return first;
}

static void write_status(const struct generations *all, char *text, size_t size)
{
	uint64_t n = connections(all);
	int64_t first = first_expiry(all), now = time(NULL);
	int len = snprintf(text, size, "%s%" PRIu64 " connection%s",
			   told.failed ? "The last reload has failed; " : "", n, n == 1 ? "" : "s");

	if (first == 0)
		return;
	if (first <= now)
		snprintf(text + len, size - (size_t)len, "; a certificate has expired");
	else
		snprintf(text + len, size - (size_t)len,
			 "; the first certificate expires in %lld days",
			 (long long)(first - now) / DAY_SECONDS);
}

/* --- the watchdog ----------------------------------------------------------------------------- */

/* The next process that takes a silent one's place may be logged again. */
static bool all_alive(const struct generations *all, uint64_t ms)
{
	const struct child *silent = NULL;

	for (const struct generation *g = all->first; g && !silent; g = g->next)
		silent = child_silent(&g->children, ms);
	if (!silent) {
		told.silent = 0;
		return true;
	}
	if (told.silent != silent->pid)
		log_main(LOG_ERR, "%s %ld hangs: nothing was heard of it for %" PRIu64 " ms",
			 silent->kind->process, (long)silent->pid, ms);
	told.silent = silent->pid;
	return false;
}

static void beat(const struct generations *all, uint64_t now)
{
	uint64_t ms = notify_watchdog_ms();

	if (ms == 0)
		return;
	told.next_beat = now + ms / PULSE_PARTS;
	if (all_alive(all, ms / SILENT_PARTS))
		notify_send("WATCHDOG=1\n");
}

/* --- what has happened ------------------------------------------------------------------------ */

void manager_ready(const struct generations *all)
{
	if (!notify_wanted())
		return;
	write_status(all, told.status, sizeof told.status);
	notify_send("READY=1\nMAINPID=%ld\nSTATUS=%s\n", (long)getpid(), told.status);
	beat(all, board_now());
}

void manager_reloading(const struct generations *all)
{
	struct timespec now;

	if (!notify_wanted())
		return;
	beat(all, board_now()); /* the reload may take its time, and is no time to be killed */
	clock_gettime(CLOCK_MONOTONIC, &now);
	notify_send("RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=Reading the configuration\n",
		    (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void manager_reloaded(const struct generations *all, bool ok)
{
	told.failed = !ok;
	manager_ready(all);
}

void manager_stopping(void)
{
	notify_send("STOPPING=1\nSTATUS=Terminating\n");
}

void manager_leave(pid_t heir)
{
	notify_send("MAINPID=%ld\nREADY=1\n", (long)heir);
	notify_leave();
}

int manager_beat(const struct generations *all)
{
	uint64_t now = board_now();

	if (notify_watchdog_ms() == 0)
		return -1;
	if (now >= told.next_beat)
		beat(all, now);
	return told.next_beat > now ? (int)(told.next_beat - now) : 0;
}

int manager_look(const struct generations *all)
{
	char status[sizeof told.status];
	uint64_t now = board_now(), next;

	if (!notify_wanted())
		return -1;
	if (now >= told.next_status) {
		told.next_status = now + STATUS_MS;
		write_status(all, status, sizeof status);
		if (strcmp(status, told.status) != 0)
			notify_send("STATUS=%s\n", status);
		memcpy(told.status, status, sizeof status);
	}
	manager_beat(all);
	next = told.next_status;
	if (notify_watchdog_ms() != 0 && told.next_beat < next)
		next = told.next_beat;
	return next > now ? (int)(next - now) : 0;
}
