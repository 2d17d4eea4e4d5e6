/* SPDX-License-Identifier: ISC */
#ifndef TLS_CACHE_H
#define TLS_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Sessions of one service by their id, for clients without tickets, and what else has an end and a
 * name of that length. The memory is shared by all workers, and left out of core dumps. An id leads
 * to one of several buckets, each with a lock; a worker that dies with the lock costs the sessions
 * of that bucket, and nobody waits for it. A full bucket forgets the session that would have ended
 * first.
 */

#define TLS_CACHE_ID_MAX 32	 /* bytes of an id */
#define TLS_CACHE_BYTES_MAX 8192 /* bytes of a session, in any cache */
#define TLS_CACHE_SIZE_MAX 65536 /* sessions */

struct tls_cache;

/*
 * The cache of that name, which other holders use as well if they ask for the same: so a reload
 * keeps it. size: sessions, at most TLS_CACHE_SIZE_MAX; bytes: of a session. NULL without memory.
 * For the master, before it forks.
 */
struct tls_cache *tls_cache_hold(const char *name, size_t size, size_t bytes);

/* The last holder in the process wipes and frees it; NULL: nothing. */
void tls_cache_drop(struct tls_cache *cache);

/*
 * Keeps a session until `until`, on any clock. False: it is not kept, since it is too long or the
 * lock is held; a session that was kept under the id is there as before.
 */
bool tls_cache_put(struct tls_cache *cache, const unsigned char *id, size_t id_len, int64_t until,
		   const unsigned char *session, size_t len);

/* Copies a session that is kept beyond `now`; its length, or 0. */
size_t tls_cache_get(struct tls_cache *cache, const unsigned char *id, size_t id_len, int64_t now,
		     unsigned char session[static TLS_CACHE_BYTES_MAX]);

/* False: the lock is held, and what was kept under the id still is. */
bool tls_cache_remove(struct tls_cache *cache, const unsigned char *id, size_t id_len);

#endif
