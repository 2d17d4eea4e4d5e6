/* SPDX-License-Identifier: ISC */
#include "process/renewal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "conn/tally.h"
#include "sys/board.h"
#include "sys/log.h"
#include "sys/net.h"
#include "tls/renewal.h"
#include "tls/staple.h"

#define SETTLE_MS 250 /* for which files have to stay as they are before they are read */
#define AGAIN_MS 1000 /* until a worker that has not got a renewal is told it again */
#define DAY_SECONDS (24 * 60 * 60)
#define DAY_MS (DAY_SECONDS * UINT64_C(1000))
#define SOON_DAYS 14

struct packet {
	uint64_t section; /* of the configuration */
	uint64_t number;  /* of the renewal, from 1 */
	unsigned char content[TLS_RENEWAL_MAX];
};

static struct packet packet; /* wiped when it is not in use */

bool renewal_needed(const struct config *config)
{
	for (size_t i = 0; i < config->count; i++)
		if (config->section[i]->renewal.seconds != 0)
			return true;
	return false;
}

bool renewal_sockets_open(struct renewal_sockets *s, size_t workers, bool fetcher)
{
	*s = (struct renewal_sockets){0};
	if (helper_sockets_open(&s->workers, workers) &&
	    (!fetcher || helper_sockets_open(&s->fetcher, 1)))
		return true;
	renewal_sockets_close(s);
	return false;
}

void renewal_sockets_close(struct renewal_sockets *s)
{
	helper_sockets_close(&s->workers);
	helper_sockets_close(&s->fetcher);
}

/* --- to the workers --------------------------------------------------------------------------- */

/* A process that hangs, or that has ended, has to be told again: its socket may be full. */
static bool send_packet(const struct helper_sockets *sockets, const char *noun, size_t len)
{
	bool all = true;

	for (size_t i = 0; i < sockets->workers; i++) {
		ssize_t n = net_write(sockets->asked[i], (const char *)&packet, len);

		if (n < 0 && n != -EAGAIN)
			log_main(LOG_ERR, "%s %zu cannot be told of a new certificate: %s (%d)",
				 noun, i + 1, strerror((int)-n), (int)-n);
		all &= n >= 0;
	}
	return all;
}

static void hand_on(const struct config *config, size_t index,
		    const struct renewal_sockets *sockets)
{
	const size_t head = offsetof(struct packet, content);
	struct config_section *s = config->section[index];
	size_t len = tls_renewal_pack(s->service.tls, packet.content, sizeof packet.content);
	struct ssl_ctx_st *library = tls_ctx_library(s->service.tls);

	packet.section = index;
	packet.number = s->renewal.number;
	s->renewal.untold = len != 0 && !send_packet(&sockets->workers, "Worker", head + len);
	explicit_bzero(&packet.content, sizeof packet.content);
	if (!tls_staple_asks(library))
		return;
	len = tls_staple_pack(library, packet.content, sizeof packet.content);
	s->renewal.untold |= !send_packet(&sockets->fetcher, "OCSP process", head + len);
}

/* --- from the files --------------------------------------------------------------------------- */

static void keep_reason(void *arg, enum tls_trouble trouble, const char *option, const char *why)
{
	char *reason = arg;

	(void)trouble, (void)option;
	if (!*reason)
		snprintf(reason, TLS_WHY_MAX, "%s", why);
}

static long long days_left(const struct config_section *s)
{
	return ((long long)tls_ctx_expiry(s->service.tls) - time(NULL)) / DAY_SECONDS;
}

/* An answer about the certificates that are served now, where a file has it. */
static void read_staple(struct config_section *s)
{
	char reason[TLS_WHY_MAX] = "";

	tls_staple_renew(tls_ctx_library(s->service.tls), &s->tls,
			 &(struct tls_fault_to){keep_reason, reason});
	if (*reason)
		log_main(LOG_WARNING, "%s: OCSPstaple: %s", s->title, reason);
	else if (tls_staple_file(&s->tls))
		log_main(LOG_NOTICE, "%s: New OCSP response", s->title);
	s->renewal.staple = s->renewal.staple_seen;
}

/* What was written while it was read may be half of it: the next look sees that it has changed. */
static void take(const struct config *config, size_t index, const struct renewal_sockets *sockets)
{
	struct config_section *s = config->section[index];
	struct config_renewal *r = &s->renewal;
	char reason[TLS_WHY_MAX] = "";
	bool taken = tls_renewal_take(s->service.tls, &s->tls,
				      &(struct tls_fault_to){keep_reason, reason});

	if (taken) {
		r->number++;
		r->warn_at = 0;
		read_staple(s);
		hand_on(config, index, sockets);
		tally_expire(s->service.tallies, tls_ctx_expiry(s->service.tls));
		log_main(LOG_NOTICE, "%s: New certificate, which expires in %lld days", s->title,
			 days_left(s));
	} else if (tls_renewal_mark(&s->tls) == r->seen) {
		log_main(LOG_WARNING,
			 "%s: The certificate stays, since its new files do not fit: %s", s->title,
			 reason);
	}
	r->known = r->seen;
}

/* Milliseconds until the files are to be looked at again. */
static uint64_t look(const struct config *config, size_t index,
		     const struct renewal_sockets *sockets)
{
	struct config_section *s = config->section[index];
	struct config_renewal *r = &s->renewal;
	uint64_t mark = tls_renewal_mark(&s->tls), staple = tls_renewal_staple_mark(&s->tls);
	bool settled = mark == r->seen && staple == r->staple_seen;

	r->seen = mark;
	r->staple_seen = staple;
	if ((mark != r->known || staple != r->staple) && !settled)
		return SETTLE_MS;
	if (mark != r->known)
		take(config, index, sockets);
	else if (r->untold)
		hand_on(config, index, sockets);
	if (r->staple_seen != r->staple)
		read_staple(s);
	return r->untold && r->seconds * 1000 > AGAIN_MS ? AGAIN_MS : (uint64_t)r->seconds * 1000;
}

static void warn_of_end(struct config_section *s, uint64_t now)
{
	time_t end = tls_ctx_expiry(s->service.tls);
	long long days = days_left(s);

	if (end == 0 || days >= SOON_DAYS || now < s->renewal.warn_at)
		return;
	s->renewal.warn_at = now + DAY_MS;
	if (end <= time(NULL))
		log_main(LOG_WARNING, "%s: Its certificate has expired", s->title);
	else
		log_main(LOG_WARNING, "%s: Its certificate expires in %lld days", s->title, days);
}

int renewal_look(const struct config *config, const struct renewal_sockets *sockets, bool serving)
{
	uint64_t now = board_now(), next = 0;

	for (size_t i = 0; serving && i < config->count; i++) {
		struct config_section *s = config->section[i];

		if (s->renewal.seconds == 0)
			continue;
		if (now >= s->renewal.look_at) {
			s->renewal.look_at = now + look(config, i, sockets);
			warn_of_end(s, now);
		}
		if (next == 0 || s->renewal.look_at < next)
			next = s->renewal.look_at;
	}
	return next == 0 ? -1 : (int)(next - now);
}

/* --- in a worker, and in the fetcher -----------------------------------------------------------
 */

/* A process was forked with what it may be told once more. */
static void use(const struct renewal_intake *intake, size_t len)
{
	const size_t head = offsetof(struct packet, content);
	struct config_section *s;
	bool used;

	if (len < head || packet.section >= intake->config->count)
		return;
	s = intake->config->section[packet.section];
	if (packet.number <= s->renewal.number)
		return;
	s->renewal.number = packet.number;
	if (intake->renewed)
		used = tls_staple_unpack(tls_ctx_library(s->service.tls), packet.content,
					 len - head);
	else
		used = tls_renewal_use(s->service.tls, packet.content, len - head);
	if (!used)
		log_main(LOG_ERR, "%s: A new certificate cannot be used by this process", s->title);
	else if (intake->renewed)
		intake->renewed(intake->arg, packet.section);
}

static void on_packet(uv_poll_t *poll, int status, int events)
{
	struct renewal_intake *intake = poll->data;
	ssize_t n;

	(void)status, (void)events;
	while ((n = net_read(intake->fd, (char *)&packet, sizeof packet)) > 0)
		use(intake, (size_t)n);
	explicit_bzero(&packet, sizeof packet);
}

void renewal_open(struct renewal_intake *intake, uv_loop_t *loop)
{
	if (intake->fd < 0)
		return;
	uv_poll_init(loop, &intake->poll, intake->fd);
	intake->poll.data = intake;
	uv_poll_start(&intake->poll, UV_READABLE, on_packet);
}

void renewal_close(struct renewal_intake *intake)
{
	if (intake->fd >= 0)
		uv_close((uv_handle_t *)&intake->poll, NULL);
}
