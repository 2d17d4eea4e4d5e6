/* SPDX-License-Identifier: ISC */
#include "tls/tickets.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sys/log.h"
#include "sys/shared.h"
#include "tls/clock.h"
#include "tls/verify.h"

#define NAME_LEN 16    /* of the key, in front of each ticket */
#define KEPT 3	       /* keys whose tickets are taken: the newest and the two before it */
#define RETRY_MS 60000 /* until a key is tried again for which there was no randomness */
#define WAIT_MAX_S 3600

struct key {
	unsigned char name[NAME_LEN];
	struct tls_tickets_secret cipher, mac;
};

/*
 * The master alone writes, and only to the slot that no worker may use: a worker that was stopped
 * while it copied a key sees by `newest` that the key may have changed meanwhile.
 */
struct shared {
	_Atomic uint64_t
		newest; /* number of the newest key, from 1; key n is in slot n % (KEPT + 1) */
	struct key slot[KEPT + 1];
};

static struct shared *shared;
static int64_t made; /* tls_clock_seconds() of the newest key */

static struct key *slot_of(uint64_t number)
{
	return &shared->slot[number % (KEPT + 1)];
}

/* --- the shared keys, in the master ----------------------------------------------------------- */

static bool make_key(void)
{
	uint64_t number = atomic_load(&shared->newest) + 1;
	struct key *key = slot_of(number);

	key->cipher.len = key->mac.len = TLS_TICKETS_SECRET_MAX;
	if (RAND_bytes(key->name, sizeof key->name) != 1 ||
	    RAND_priv_bytes(key->cipher.bytes, sizeof key->cipher.bytes) != 1 ||
	    RAND_priv_bytes(key->mac.bytes, sizeof key->mac.bytes) != 1) {
		OPENSSL_cleanse(key, sizeof *key);
		return false;
	}
	atomic_store(&shared->newest, number);
	atomic_thread_fence(memory_order_seq_cst);
	/* Not the next key but this moment ends what the oldest one can do. */
	OPENSSL_cleanse(slot_of(number + 1), sizeof(struct key));
	made = tls_clock_seconds();
	return true;
}

static void lock(void)
{
	if (mlock(shared, sizeof *shared) != 0)
		log_main(LOG_WARNING, "Ticket keys may be swapped out: mlock: %s (%d)",
			 strerror(errno), errno);
}

static bool map(void)
{
	shared = shared_new(sizeof *shared);
	if (!shared)
		return false;
	lock();
	if (madvise(shared, sizeof *shared, MADV_DONTDUMP) != 0)
		log_main(LOG_WARNING, "Ticket keys may get into core dumps: madvise: %s (%d)",
			 strerror(errno), errno);
	return true;
}

bool tls_tickets_open(void)
{
	if (shared)
		return true;
	if (!map())
		return false;
	if (make_key())
		return true;
	tls_tickets_close();
	return false;
}

/* What is in front of the keys that are given away: the form that they are in, and when made. */
struct given {
	uint64_t size;
	int64_t made;
};

void tls_tickets_give(int pipe)
{
	struct given given = {sizeof *shared, made};

	if (shared && (write(pipe, &given, sizeof given) != (ssize_t)sizeof given ||
		       write(pipe, shared, sizeof *shared) != (ssize_t)sizeof *shared))
		log_main(LOG_WARNING, "Ticket keys cannot be handed over: %s (%d)", strerror(errno),
			 errno);
}

void tls_tickets_receive(int pipe)
{
	struct given given;

	if (read(pipe, &given, sizeof given) != (ssize_t)sizeof given ||
	    given.size != sizeof *shared || shared || !map())
		return;
	if (read(pipe, shared, sizeof *shared) == (ssize_t)sizeof *shared &&
	    atomic_load(&shared->newest) != 0)
		made = given.made;
	else
		tls_tickets_close();
}

void tls_tickets_settle(void)
{
	if (shared)
		lock(); /* fork() does not copy the lock */
}

int tls_tickets_rotate(int seconds)
{
	int64_t left;

	if (!shared || seconds == 0)
		return -1;
	left = made + seconds - tls_clock_seconds();
	if (left <= 0) {
		if (!make_key()) {
			log_main(LOG_ERR, "No randomness for a new ticket key: the last one stays");
			return RETRY_MS;
		}
		log_main(LOG_INFO, "Session tickets have a new key");
		left = seconds;
	}
	return (int)(left < WAIT_MAX_S ? left : WAIT_MAX_S) * 1000;
}

void tls_tickets_close(void)
{
	if (!shared)
		return;
	OPENSSL_cleanse(shared, sizeof *shared);
	shared_free(shared, sizeof *shared);
	shared = NULL;
}

void tls_tickets_let_go(void)
{
	shared_free(shared, sizeof *shared);
	shared = NULL;
}

/* --- fixed keys ------------------------------------------------------------------------------- */

bool tls_tickets_parse(struct tls_tickets_secret *secret, const char *text)
{
	struct tls_tickets_secret found = {.len = 0};
	bool ok = true;

	while (ok && *text && found.len < TLS_TICKETS_SECRET_MAX) {
		int high = OPENSSL_hexchar2int((unsigned char)text[0]);
		int low = high < 0 ? -1 : OPENSSL_hexchar2int((unsigned char)text[1]);

		ok = low >= 0;
		if (!ok)
			break;
		found.bytes[found.len++] = (unsigned char)(high << 4 | low);
		text += 2;
		if (text[0] == ':' && text[1])
			text++;
	}
	ok = ok && !*text && (found.len == 16 || found.len == 32);
	if (ok)
		*secret = found;
	OPENSSL_cleanse(&found, sizeof found);
	return ok;
}

void tls_tickets_forget(struct tls_tickets_secret *secret)
{
	OPENSSL_cleanse(secret, sizeof *secret);
}

static void free_fixed(void *parent, void *key, CRYPTO_EX_DATA *data, int index, long argl,
		       void *argp)
{
	(void)parent, (void)data, (void)index, (void)argl, (void)argp;
	OPENSSL_clear_free(key, sizeof(struct key));
}

/* Where a context keeps its fixed key. */
static int fixed_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_fixed);
	return index;
}

static const struct key *fixed_key(const SSL_CTX *ctx)
{
	return SSL_CTX_get_ex_data(ctx, fixed_index());
}

bool tls_tickets_are_fixed(const SSL_CTX *ctx)
{
	return fixed_key(ctx) != NULL;
}

/* Hosts with the same secrets have to call the key alike, and nobody else may learn it so. */
static bool name_fixed(struct key *key)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	size_t len;

	if (!EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key->mac.bytes, key->mac.len,
		       key->cipher.bytes, key->cipher.len, mac, sizeof mac, &len))
		return false;
	memcpy(key->name, mac, NAME_LEN);
	return true;
}

static bool keep_fixed(SSL_CTX *ctx, const struct tls_tickets_secret *cipher,
		       const struct tls_tickets_secret *mac)
{
	struct key *key = OPENSSL_zalloc(sizeof *key);

	if (!key)
		return false;
	key->cipher = *cipher;
	key->mac = *mac;
	if (name_fixed(key) && SSL_CTX_set_ex_data(ctx, fixed_index(), key) == 1)
		return true;
	OPENSSL_clear_free(key, sizeof *key);
	return false;
}

/* --- sealing and opening ---------------------------------------------------------------------- */

/* Copies a shared key; false if it was wiped before the copy was complete. */
static bool copy_shared(uint64_t number, struct key *key)
{
	*key = *slot_of(number);
	atomic_thread_fence(memory_order_acquire);
	return atomic_load(&shared->newest) - number < KEPT;
}

/* Which of the shared keys has sealed a ticket: 0 the newest, 1 the one before, ...; -1 none. */
static int find_shared(const unsigned char *name, struct key *key)
{
	uint64_t newest = atomic_load(&shared->newest);

	for (int age = 0; age < KEPT && (uint64_t)age < newest; age++)
		if (copy_shared(newest - (uint64_t)age, key) && !memcmp(key->name, name, NAME_LEN))
			return age;
	return -1;
}

/* Copies the key to seal with (name NULL), or that of a ticket; its age as in find_shared(). */
static int find_key(SSL *ssl, const unsigned char *name, struct key *key)
{
	const struct key *fixed = fixed_key(SSL_get_SSL_CTX(ssl));

	if (fixed) {
		*key = *fixed;
		return !name || !memcmp(key->name, name, NAME_LEN) ? 0 : -1;
	}
	if (name)
		return find_shared(name, key);
	while (!copy_shared(atomic_load(&shared->newest), key))
		continue;
	return 0;
}

static bool set_up(const struct key *key, unsigned char *iv, EVP_CIPHER_CTX *cipher,
		   EVP_MAC_CTX *mac, int seal)
{
	const EVP_CIPHER *aes = key->cipher.len == 16 ? EVP_aes_128_cbc() : EVP_aes_256_cbc();
	unsigned char secret[TLS_TICKETS_SECRET_MAX];
	char sha256[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, secret, key->mac.len),
		OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, sizeof sha256 - 1),
		OSSL_PARAM_END,
	};
	bool ok;

	memcpy(secret, key->mac.bytes, sizeof secret);
	ok = (!seal || RAND_bytes(iv, EVP_CIPHER_get_iv_length(aes)) == 1) &&
	     EVP_CipherInit_ex(cipher, aes, NULL, key->cipher.bytes, iv, seal) == 1 &&
	     EVP_MAC_CTX_set_params(mac, params) == 1;
	OPENSSL_cleanse(secret, sizeof secret);
	return ok;
}

/* 1: done; 2: the client is to get a new ticket; 0: the key is not known; -1: the handshake fails.
 */
static int on_key(SSL *ssl, unsigned char name[NAME_LEN], unsigned char *iv, EVP_CIPHER_CTX *cipher,
		  EVP_MAC_CTX *mac, int seal)
{
	struct tls_judge *judge = SSL_get_app_data(ssl); /* a trial has none */
	struct key key;
	int age = find_key(ssl, seal ? NULL : name, &key), result = 0;

	if (age >= 0)
		result = set_up(&key, iv, cipher, mac, seal) ? 1 : -1;
	if (result == 1 && seal)
		memcpy(name, key.name, NAME_LEN);
	if (result == 1 && seal && judge)
		judge->tickets++;
	/* Appendix C.4 of RFC 8446: a ticket that is used once does not link connections. */
	if (result == 1 && !seal && (age > 0 || SSL_version(ssl) >= TLS1_3_VERSION))
		result = 2;
	OPENSSL_cleanse(&key, sizeof key);
	return result;
}

bool tls_tickets_use(SSL_CTX *ctx, const struct tls_tickets_secret *key,
		     const struct tls_tickets_secret *mac)
{
	if (key->len != 0 && mac->len != 0 && !keep_fixed(ctx, key, mac))
		return false;
	return SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_key) == 1;
}
