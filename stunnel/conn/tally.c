/* SPDX-License-Identifier: ISC */
#include "conn/tally.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/shared.h"

#define CACHE_LINE 64
#define NAME_BEGINS "tally " /* among names of shared memory */

const char *const tally_versions[TALLY_VERSIONS] = {"TLSv1.3", "TLSv1.2", "TLSv1.1", "TLSv1"};

const char *const tally_ciphers[TALLY_CIPHERS] = {
	"TLS_AES_256_GCM_SHA384",
	"TLS_CHACHA20_POLY1305_SHA256",
	"TLS_AES_128_GCM_SHA256",
	"TLS_AES_128_CCM_SHA256",
	"ECDHE-ECDSA-AES256-GCM-SHA384",
	"ECDHE-RSA-AES256-GCM-SHA384",
	"DHE-RSA-AES256-GCM-SHA384",
	"ECDHE-ECDSA-CHACHA20-POLY1305",
	"ECDHE-RSA-CHACHA20-POLY1305",
	"DHE-RSA-CHACHA20-POLY1305",
	"ECDHE-ECDSA-AES128-GCM-SHA256",
	"ECDHE-RSA-AES128-GCM-SHA256",
	"DHE-RSA-AES128-GCM-SHA256",
	"ECDHE-ECDSA-AES256-SHA384",
	"ECDHE-RSA-AES256-SHA384",
	"ECDHE-ECDSA-AES128-SHA256",
	"ECDHE-RSA-AES128-SHA256",
	"ECDHE-RSA-AES256-SHA",
	"ECDHE-RSA-AES128-SHA",
	"AES256-GCM-SHA384",
	"AES128-GCM-SHA256",
	"AES256-SHA",
	"AES128-SHA",
};

const char *const tally_groups[TALLY_GROUPS] = {
	"X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024", "x25519",
	"secp256r1",	  "secp384r1",	       "secp521r1",	     "x448",
	"ffdhe2048",	  "ffdhe3072",	       "ffdhe4096",	     "ffdhe6144",
	"ffdhe8192",	  "MLKEM768",	       "MLKEM1024",
};

const uint32_t tally_bounds[TALLY_BUCKETS] = {1,   2,	5,    10,   25,	  50,	 100,
					      250, 500, 1000, 2500, 5000, 10000, 30000};

/* What workers may write to: no number here says where anything else is. */
struct counted {
	_Atomic int64_t expiry;
	_Atomic int64_t staple_since, staple_until;
	pace handshakes;
	_Alignas(CACHE_LINE) char slot[]; /* of struct tally */
};

struct tallies {
	struct counted *counted;
	size_t slots;
};

/* Bytes from one slot to the next: no two share a cache line. */
static const size_t slot_size = (sizeof(struct tally) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;

/* Also of what is no figure. */
static uint64_t whole_layout(uint64_t layout)
{
	const size_t sizes[] = {sizeof(struct counted), offsetof(struct counted, slot), slot_size};

	return shared_layout(layout, sizes, sizeof sizes);
}

/* Of the name among names of shared memory; the caller frees it. */
static char *whole_name(const char *name)
{
	char *whole;

	return asprintf(&whole, NAME_BEGINS "%s", name) < 0 ? NULL : whole;
}

/* The program before this one may have had another number of workers. */
static bool map(struct tallies *all, const char *name, uint64_t layout, size_t slots)
{
	size_t left = shared_left(name, layout);
	size_t size = left != 0 ? left : sizeof *all->counted + slots * slot_size;

	if (size < sizeof *all->counted + slot_size)
		return false;
	all->counted = shared_map(name, layout, size);
	all->slots = (size - sizeof *all->counted) / slot_size;
	return all->counted;
}

struct tallies *tally_new(const char *name, uint64_t layout, size_t slots)
{
	struct tallies *all = calloc(1, sizeof *all);
	char *whole = all ? whole_name(name) : NULL;

	if (!whole || !map(all, whole, whole_layout(layout), slots)) {
		free(all);
		all = NULL;
	}
	free(whole);
	return all;
}

const char *tally_left(uint64_t layout)
{
	const char *name = shared_left_name(NAME_BEGINS, whole_layout(layout));

	return name ? name + strlen(NAME_BEGINS) : NULL;
}

void tally_free(struct tallies *all)
{
	if (all)
		shared_unmap(all->counted);
	free(all);
}

struct tally *tally_slot(struct tallies *all, size_t worker)
{
	return (struct tally *)(void *)(all->counted->slot + worker % all->slots * slot_size);
}

void tally_expire(struct tallies *all, int64_t when)
{
	atomic_store(&all->counted->expiry, when);
}

int64_t tally_expiry(const struct tallies *all)
{
	return atomic_load(&all->counted->expiry);
}

void tally_staple(struct tallies *all, const struct tally_staple *staple)
{
	atomic_store(&all->counted->staple_since, staple->since);
	atomic_store(&all->counted->staple_until, staple->until);
}

struct tally_staple tally_stapled(const struct tallies *all)
{
	return (struct tally_staple){atomic_load(&all->counted->staple_since),
				     atomic_load(&all->counted->staple_until)};
}

/* Who asks has no slot of its own. */
void tally_answer(struct tallies *all, enum tally_ocsp about, enum tls_ocsp_verdict verdict)
{
	tally_one(&tally_slot(all, 0)->ocsp[about * TALLY_VERDICTS + verdict]);
}

pace *tally_pace(struct tallies *all)
{
	return &all->counted->handshakes;
}

uint64_t tally_sum(const struct tallies *all, size_t offset)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < all->slots; i++) {
		const void *counter = all->counted->slot + i * slot_size + offset;

		sum += atomic_load_explicit((const tally_counter *)counter, memory_order_relaxed);
	}
	return sum;
}

void tally_time(struct tally_times *times, uint64_t ms)
{
	size_t i = 0;

	while (i < TALLY_BUCKETS && ms > tally_bounds[i])
		i++;
	tally_one(&times->bucket[i]);
	if (ms != 0)
		tally_add(&times->sum, ms);
}

/* The place of a name in a list, or the last one's, which stands for all others. */
static size_t place_of(const char *const *names, size_t count, const char *name)
{
	size_t i = 0;

	while (i < count - 1 && names[i] && strcmp(names[i], name) != 0)
		i++;
	return i < count - 1 && names[i] ? i : count - 1;
}

/* What was found counts only where it was good for something. */
static void tally_resumption(struct tally *t, const struct tls_outcome *outcome)
{
	if (outcome->tickets != 0)
		tally_add(&t->tickets[TALLY_TICKET_ISSUED], outcome->tickets);
	if (outcome->sought & TLS_SOUGHT_TICKET)
		tally_one(&t->tickets[outcome->resumed ? TALLY_TICKET_USED : TALLY_TICKET_REFUSED]);
	if (outcome->sought & TLS_SOUGHT_CACHE)
		tally_one(&t->cache[outcome->sought & TLS_SOUGHT_FOUND && outcome->resumed
					    ? TALLY_CACHE_HIT
					    : TALLY_CACHE_MISS]);
}

void tally_handshake(struct tally *t, const struct tls_outcome *outcome)
{
	size_t version = place_of(tally_versions, TALLY_VERSIONS, outcome->version);

	tally_one(&t->handshakes[outcome->resumed ? TALLY_VERSIONS + version : version]);
	tally_one(&t->ciphers[place_of(tally_ciphers, TALLY_CIPHERS, outcome->cipher)]);
	if (outcome->group)
		tally_one(&t->groups[place_of(tally_groups, TALLY_GROUPS, outcome->group)]);
	tally_resumption(t, outcome);
}

void tally_alert(struct tally *t, struct tls_alert alert)
{
	static const unsigned char codes[] = {
#define X(code, name) code,
		TALLY_ALERTS(X)
#undef X
	};
	const size_t count = sizeof codes;
	size_t i = 0;

	while (i < count && codes[i] != alert.code)
		i++;
	if (i == count)
		tally_one(&t->handshake_failures[TALLY_OTHER]);
	else
		tally_one(&t->handshake_failures[TALLY_OTHER + 1 + (alert.sent ? count : 0) + i]);
}

void tally_connect_failed(struct tally *t, int code)
{
	enum tally_connect_failure why = code == 0 || code == ETIMEDOUT ? TALLY_CONNECT_TIMEOUT
					 : code == ECONNREFUSED		? TALLY_CONNECT_REFUSED
									: TALLY_CONNECT_OTHER;

	tally_one(&t->connect_failures[why]);
}
