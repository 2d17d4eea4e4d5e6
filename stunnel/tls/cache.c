/* SPDX-License-Identifier: ISC */
#include "tls/cache.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sys/fnv.h"
#include "sys/shared.h"

#ifdef __GLIBC__
#include <gnu/libc-version.h>
#else
#define gnu_get_libc_version() ""
#endif

#define WAYS 128  /* sessions a bucket, at most */
#define TRIES 100 /* to get a lock whose holder has been put to sleep; then it is a miss */
#define CACHE_LINE 64

/* Where the session in the same place of the bucket's data is; id_len 0: none is there. */
struct entry {
	int64_t until;
	uint32_t len;
	uint32_t id_len;
	unsigned char id[TLS_CACHE_ID_MAX];
};

/*
 * In shared memory: the locks of all buckets, so that a cache without sessions has written to few
 * pages; all buckets; the entries' data.
 */
struct bucket {
	struct entry entry[WAYS];
} __attribute__((aligned(CACHE_LINE)));

struct tls_cache {
	struct tls_cache *next;
	char *name;
	unsigned holders;
	size_t size, bytes; /* as asked for */
	size_t buckets, ways;
	pthread_mutex_t *lock; /* the beginning of the mapping */
	struct bucket *bucket;
	unsigned char *data;
};

/* Lists, by their names' hashes: ten thousand sections have one each. */
#define LISTS 1024

static struct tls_cache *first[LISTS]; /* in this process; all have holders */

static struct tls_cache **list_of(const char *name)
{
	return &first[fnv_add(FNV_BEGIN, name, strlen(name)) % LISTS];
}

/* --- making and freeing ----------------------------------------------------------------------- */

static bool make_locks(struct tls_cache *c)
{
	pthread_mutexattr_t attr;
	bool ok = pthread_mutexattr_init(&attr) == 0;

	if (!ok)
		return false;
	ok = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) == 0 &&
	     pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0;
	for (size_t i = 0; ok && i < c->buckets; i++)
		ok = pthread_mutex_init(&c->lock[i], &attr) == 0;
	pthread_mutexattr_destroy(&attr);
	return ok;
}

/* Of the buckets, whose locks are libc's; how many there are is in the name. */
static uint64_t layout_of_buckets(void)
{
	const char *libc = gnu_get_libc_version();
	const size_t sizes[] = {sizeof(pthread_mutex_t),
				sizeof(struct bucket),
				sizeof(struct entry),
				WAYS,
				CACHE_LINE,
				offsetof(struct entry, id)};

	return shared_layout(shared_layout(0, libc, strlen(libc)), sizes, sizeof sizes);
}

/* Pages that no session was put into cost nothing. */
static bool map(struct tls_cache *c)
{
	size_t locks = (c->buckets * sizeof *c->lock + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	size_t table = c->buckets * sizeof *c->bucket;
	size_t mapped = locks + table + c->buckets * c->ways * c->bytes;
	uint64_t layout = layout_of_buckets();
	bool left;
	char *name;

	if (asprintf(&name, "cache %zu %zu %s", c->size, c->bytes, c->name) < 0)
		return false;
	left = shared_left(name, layout) == mapped;
	c->lock = shared_map(name, layout, mapped);
	free(name);
	if (!c->lock)
		return false;
	madvise(c->lock, mapped, MADV_DONTDUMP);
	c->bucket = (struct bucket *)(void *)((char *)c->lock + locks);
	c->data = (unsigned char *)c->bucket + table;
	return left || make_locks(c);
}

static struct tls_cache *make(const char *name, size_t size, size_t bytes)
{
	struct tls_cache *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->size = size;
	c->bytes = bytes;
	/* Rounded down: `size` is what the administrator allows. */
	c->buckets = (size + WAYS - 1) / WAYS;
	c->ways = size / c->buckets;
	c->name = strdup(name);
	if (!c->name || !map(c)) {
		shared_unmap(c->lock);
		free(c->name);
		free(c);
		return NULL;
	}
	c->next = *list_of(name);
	*list_of(name) = c;
	return c;
}

struct tls_cache *tls_cache_hold(const char *name, size_t size, size_t bytes)
{
	struct tls_cache *c = *list_of(name);

	while (c && (strcmp(c->name, name) != 0 || c->size != size || c->bytes != bytes))
		c = c->next;
	if (!c)
		c = make(name, size, bytes);
	if (c)
		c->holders++;
	return c;
}

/* Memory that the kernel takes back is zeroed before anybody else gets it. */
void tls_cache_drop(struct tls_cache *c)
{
	struct tls_cache **at;

	if (!c || --c->holders != 0)
		return;
	at = list_of(c->name);
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	shared_unmap(c->lock);
	free(c->name);
	free(c);
}

/* --- a bucket --------------------------------------------------------------------------------- */

static struct bucket *bucket_of(const struct tls_cache *c, const unsigned char *id, size_t len)
{
	return &c->bucket[(fnv_add(FNV_BEGIN, id, len) >> 32) % c->buckets];
}

static unsigned char *data_of(const struct tls_cache *c, const struct bucket *b,
			      const struct entry *e)
{
	size_t place = (size_t)(b - c->bucket) * c->ways + (size_t)(e - b->entry);

	return c->data + place * c->bytes;
}

static void clear(const struct tls_cache *c, const struct bucket *b, struct entry *e)
{
	OPENSSL_cleanse(data_of(c, b, e), e->len < c->bytes ? e->len : c->bytes);
	OPENSSL_cleanse(e, sizeof *e);
}

static pthread_mutex_t *lock_of(const struct tls_cache *c, const struct bucket *b)
{
	return &c->lock[b - c->bucket];
}

/* Whoever died with the lock may have left half an entry: its bucket begins anew. */
static bool take_over(const struct tls_cache *c, struct bucket *b)
{
	for (size_t i = 0; i < c->ways; i++)
		clear(c, b, &b->entry[i]);
	return pthread_mutex_consistent(lock_of(c, b)) == 0;
}

/* False: nobody waits for a worker that was stopped inside; the cache only saves time. */
static bool lock(const struct tls_cache *c, struct bucket *b)
{
	for (int i = 0; i < TRIES; i++) {
		int rc = pthread_mutex_trylock(lock_of(c, b));

		if (rc == EOWNERDEAD)
			return take_over(c, b);
		if (rc != EBUSY)
			return rc == 0;
		sched_yield();
	}
	return false;
}

static struct entry *find(const struct tls_cache *c, struct bucket *b, const unsigned char *id,
			  size_t id_len)
{
	for (size_t i = 0; i < c->ways; i++)
		if (b->entry[i].id_len == id_len && !memcmp(b->entry[i].id, id, id_len))
			return &b->entry[i];
	return NULL;
}

/* An empty place, whose `until` is 0, or that of the session that ends first. */
static struct entry *oldest(const struct tls_cache *c, struct bucket *b)
{
	struct entry *found = b->entry;

	for (size_t i = 1; i < c->ways; i++)
		if (b->entry[i].until < found->until)
			found = &b->entry[i];
	return found;
}

static bool is_id(size_t len)
{
	return len != 0 && len <= TLS_CACHE_ID_MAX;
}

bool tls_cache_put(struct tls_cache *c, const unsigned char *id, size_t id_len, int64_t until,
		   const unsigned char *session, size_t len)
{
	struct bucket *b = bucket_of(c, id, id_len);
	struct entry *e;

	if (!is_id(id_len) || len == 0 || len > c->bytes || !lock(c, b))
		return false;
	e = find(c, b, id, id_len);
	if (!e)
		e = oldest(c, b);
	clear(c, b, e);
	e->len = (uint32_t)len; /* the first to be set: what take_over() has to wipe */
	memcpy(data_of(c, b, e), session, len);
	memcpy(e->id, id, id_len);
	e->until = until;
	e->id_len = (uint32_t)id_len;
	pthread_mutex_unlock(lock_of(c, b));
	return true;
}

size_t tls_cache_get(struct tls_cache *c, const unsigned char *id, size_t id_len, int64_t now,
		     unsigned char session[static TLS_CACHE_BYTES_MAX])
{
	struct bucket *b = bucket_of(c, id, id_len);
	struct entry *e;
	size_t len = 0;

	if (!is_id(id_len) || !lock(c, b))
		return 0;
	e = find(c, b, id, id_len);
	if (e && e->until > now && e->len <= c->bytes) {
		len = e->len;
		memcpy(session, data_of(c, b, e), len);
	}
	pthread_mutex_unlock(lock_of(c, b));
	return len;
}

bool tls_cache_remove(struct tls_cache *c, const unsigned char *id, size_t id_len)
{
	struct bucket *b = bucket_of(c, id, id_len);
	struct entry *e;

	if (!is_id(id_len) || !lock(c, b))
		return false;
	e = find(c, b, id, id_len);
	if (e)
		clear(c, b, e);
	pthread_mutex_unlock(lock_of(c, b));
	return true;
}
