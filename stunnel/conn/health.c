/* SPDX-License-Identifier: ISC */
#include "conn/health.h"

#include "sys/fnv.h"

/*
 * A word holds a part of the address's hash, never 0, and the time until which the address is
 * avoided, in sixteenths of a second: 32 bits of them last for eight years of the machine's being
 * up, and are compared so that a wrap does no harm.
 */
struct key {
	_Atomic uint64_t *bucket;
	uint32_t tag;
};

static uint32_t tag_of(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static uint32_t ticks(uint64_t ms)
{
	return (uint32_t)(ms * 16 / 1000);
}

static uint64_t make_word(uint32_t tag, uint64_t now)
{
	return (uint64_t)tag << 32 | ticks(now + HEALTH_HOLD_SECONDS * 1000);
}

/* For how many ticks a word's time has been over; negative: it is not. */
static int32_t overdue(uint64_t word, uint64_t now)
{
	return (int32_t)(ticks(now) - (uint32_t)word);
}

static struct key key_of(struct health *h, const struct net_addr *addr)
{
	uint64_t hash = fnv_add(FNV_BEGIN, &addr->u, addr->len);

	return (struct key){h->word[hash % HEALTH_BUCKETS], (uint32_t)(hash >> 32) | 1};
}

bool health_try(struct health *h, const struct net_addr *addr, uint64_t now)
{
	struct key key = key_of(h, addr);

	for (size_t i = 0; i < HEALTH_WAYS; i++) {
		uint64_t word = atomic_load(&key.bucket[i]);

		if (tag_of(word) != key.tag)
			continue;
		return overdue(word, now) >= 0 &&
		       atomic_compare_exchange_strong(&key.bucket[i], &word,
						      make_word(key.tag, now));
	}
	return true;
}

/* Index of the address's own word, or else of the one that is missed the least. */
static size_t place(const struct key *key, uint64_t now)
{
	size_t best = 0;
	int32_t longest = INT32_MIN;

	for (size_t i = 0; i < HEALTH_WAYS; i++) {
		uint64_t word = atomic_load(&key->bucket[i]);
		int32_t age = word == 0 ? INT32_MAX : overdue(word, now);

		if (tag_of(word) == key->tag)
			return i;
		if (age > longest) {
			longest = age;
			best = i;
		}
	}
	return best;
}

bool health_failed(struct health *h, const struct net_addr *addr, uint64_t now)
{
	struct key key = key_of(h, addr);
	_Atomic uint64_t *at = &key.bucket[place(&key, now)];
	uint64_t before = atomic_load(at);

	/* Another worker that was faster has stored a failure that is as fresh. */
	return atomic_compare_exchange_strong(at, &before, make_word(key.tag, now)) &&
	       tag_of(before) != key.tag;
}

bool health_works(struct health *h, const struct net_addr *addr)
{
	struct key key = key_of(h, addr);
	bool news = false;

	for (size_t i = 0; i < HEALTH_WAYS; i++) {
		uint64_t word = atomic_load(&key.bucket[i]);

		if (tag_of(word) == key.tag)
			news |= atomic_compare_exchange_strong(&key.bucket[i], &word, 0);
	}
	return news;
}
