/* SPDX-License-Identifier: ISC */
#include "tls/psk.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sys/log.h"
#include "tls/file.h"
#include "tls/verify.h"

#define LEAST_BYTES 16 /* of a key: 128 bits */

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

struct key {
	const char *identity;
	const unsigned char *bytes;
	size_t len;
};

/* The identities and keys are what has become of the file's text, in place. */
struct keys {
	struct tls_file *file;
	struct key *key; /* in the file's order */
	size_t count;
	struct key **sorted;   /* by identity, and in the file's order where it stands twice */
	const struct key *own; /* that a client proves itself with */
};

/* --- the file --------------------------------------------------------------------------------- */

/*
 * Decodes hexadecimal bytes, with or without colons between them, in place. Their number; 0, with
 * the text as it was, if it is anything else.
 */
static size_t decode(char *text)
{
	bool colons = strlen(text) > 2 && text[2] == ':';
	size_t step = colons ? 3 : 2, len = strlen(text) + colons;

	if (len == 0 || len % step != 0)
		return 0;
	for (size_t i = 0; i + colons < len; i++)
		if (colons && i % 3 == 2 ? text[i] != ':'
					 : OPENSSL_hexchar2int((unsigned char)text[i]) < 0)
			return 0;
	for (size_t i = 0; i < len / step; i++) {
		const unsigned char *pair = (unsigned char *)text + i * step;

		text[i] = (char)(OPENSSL_hexchar2int(pair[0]) << 4 | OPENSSL_hexchar2int(pair[1]));
	}
	return len / step;
}

/* Makes a key of a line IDENTITY:KEY. NULL, or what is wrong with the line. */
static const char *take_line(char *line, struct key *key)
{
	char *colon = strchr(line, ':');

	if (!colon)
		return "Not in identity:key format";
	*colon = '\0';
	if (colon - line > PSK_MAX_IDENTITY_LEN)
		return "Identity longer than " TEXT(PSK_MAX_IDENTITY_LEN) " characters";
	*key = (struct key){line, (unsigned char *)colon + 1, decode(colon + 1)};
	if (key->len == 0)
		key->len = strlen(colon + 1);
	if (key->len < LEAST_BYTES)
		return "Key shorter than " TEXT(LEAST_BYTES) " bytes";
	return key->len > PSK_MAX_PSK_LEN ? "Key longer than " TEXT(PSK_MAX_PSK_LEN) " bytes"
					  : NULL;
}

static size_t count_lines(const char *text)
{
	size_t lines = 1;

	while ((text = strchr(text, '\n')) != NULL)
		text++, lines++;
	return lines;
}

/* Takes the lines of the text. NULL, or what is wrong with line *number. */
static const char *take_lines(struct keys *keys, char *text, size_t *number)
{
	for (*number = 1; text; (*number)++) {
		char *line = strsep(&text, "\n");
		size_t len = strcspn(line, "\r");
		const char *why;

		line[len] = '\0';
		why = len != 0 ? take_line(line, &keys->key[keys->count]) : NULL;
		if (why)
			return why;
		keys->count += len != 0;
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	const struct key *one = *(struct key *const *)a, *other = *(struct key *const *)b;
	int order = strcmp(one->identity, other->identity);

	return order != 0 ? order : (one > other) - (one < other);
}

static void sort(struct keys *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		keys->sorted[i] = &keys->key[i];
	qsort(keys->sorted, keys->count, sizeof keys->sorted[0], compare);
}

/* Of an identity that stands twice, the last; NULL if there is none. */
static const struct key *find(const struct keys *keys, const char *identity)
{
	size_t from = 0, to = keys->count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (strcmp(keys->sorted[middle]->identity, identity) <= 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from != 0 && !strcmp(keys->sorted[from - 1]->identity, identity)
		       ? keys->sorted[from - 1]
		       : NULL;
}

static void free_keys(struct keys *keys)
{
	if (!keys)
		return;
	tls_file_close(keys->file);
	free(keys->key);
	free(keys->sorted);
	free(keys);
}

/* Fills the keys from the file; false with the reason in why. */
static bool read_keys(struct keys *keys, const char *path, char why[static TLS_WHY_MAX])
{
	const char *wrong;
	size_t lines, number;
	char *text;

	keys->file = tls_file_open(path, why);
	if (!keys->file)
		return false;
	text = tls_file_text(keys->file);
	lines = count_lines(text);
	keys->key = calloc(lines, sizeof keys->key[0]);
	keys->sorted = calloc(lines, sizeof(struct key *));
	if (!keys->key || !keys->sorted) {
		snprintf(why, TLS_WHY_MAX, "Out of memory");
		return false;
	}
	wrong = take_lines(keys, text, &number);
	if (wrong)
		snprintf(why, TLS_WHY_MAX, "line %zu: %s", number, wrong);
	else if (keys->count == 0)
		snprintf(why, TLS_WHY_MAX, "it is empty");
	sort(keys);
	return !wrong && keys->count != 0;
}

/* --- handshakes ------------------------------------------------------------------------------- */

static int keys_index = -1; /* of the keys among a context's data */

static void free_data(void *parent, void *data, CRYPTO_EX_DATA *all, int index, long n, void *arg)
{
	(void)parent, (void)all, (void)index, (void)n, (void)arg;
	free_keys(data);
}

static struct keys *keys_of(const SSL_CTX *ctx)
{
	return keys_index < 0 ? NULL : SSL_CTX_get_ex_data(ctx, keys_index);
}

static void say(struct tls_judge *judge, int level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void say(struct tls_judge *judge, int level, const char *format, ...)
{
	char text[PSK_MAX_IDENTITY_LEN + 64];
	va_list ap;

	if (!judge)
		return; /* tls_trial() */
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	judge->say(judge->owner, level, text);
}

/* Copies the key; its length, or 0, for none, if there is no room for it. */
static unsigned give(const struct key *key, unsigned char *to, unsigned max)
{
	if (key->len > max)
		return 0;
	memcpy(to, key->bytes, key->len);
	return (unsigned)key->len;
}

/* With TLS 1.3 OpenSSL takes a session ticket for an identity first, before it opens it. */
static bool is_text(const char *identity)
{
	if (!*identity)
		return false;
	for (; *identity; identity++)
		if ((unsigned char)*identity < ' ')
			return false;
	return true;
}

static unsigned find_for_client(SSL *ssl, const char *identity, unsigned char *to, unsigned max)
{
	const struct keys *keys = keys_of(SSL_get_SSL_CTX(ssl));
	struct tls_judge *judge = SSL_get_app_data(ssl);
	const struct key *key = keys && identity ? find(keys, identity) : NULL;

	if (!key && identity && is_text(identity))
		say(judge, LOG_INFO, "PSK identity not found: %s", identity);
	if (!key)
		return 0;
	say(judge, LOG_NOTICE, "Key configured for PSK identity \"%s\"", identity);
	if (judge)
		judge->psk = true;
	return give(key, to, max);
}

static unsigned offer(const struct key *key, char *identity, unsigned identity_max,
		      unsigned char *to, unsigned max)
{
	if ((size_t)snprintf(identity, identity_max, "%s", key->identity) >= identity_max)
		return 0;
	return give(key, to, max);
}

static unsigned offer_own(SSL *ssl, const char *hint, char *identity, unsigned identity_max,
			  unsigned char *to, unsigned max)
{
	const struct key *own = keys_of(SSL_get_SSL_CTX(ssl))->own;
	struct tls_judge *judge = SSL_get_app_data(ssl);

	(void)hint;
	say(judge, LOG_INFO, "PSK client configured for identity \"%s\"", own->identity);
	judge->psk = true;
	return offer(own, identity, identity_max, to, max);
}

/* The client's part of tls_trial(). */
static unsigned offer_first(SSL *ssl, const char *hint, char *identity, unsigned identity_max,
			    unsigned char *to, unsigned max)
{
	const struct keys *keys = SSL_get_app_data(ssl);

	(void)hint;
	return offer(&keys->key[0], identity, identity_max, to, max);
}

void tls_psk_offer(SSL *client, const SSL_CTX *server)
{
	struct keys *keys = keys_of(server);

	if (keys && SSL_set_app_data(client, keys) == 1)
		SSL_set_psk_client_callback(client, offer_first);
}

void tls_psk_switch(const SSL_CTX *ctx, SSL *ssl)
{
	SSL_set_psk_server_callback(ssl, keys_of(ctx) ? find_for_client : NULL);
}

/* --- contexts --------------------------------------------------------------------------------- */

static bool own_keys(SSL_CTX *ctx, struct keys *keys)
{
	if (keys_index < 0)
		keys_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_data);
	return keys_index >= 0 && SSL_CTX_set_ex_data(ctx, keys_index, keys) == 1;
}

/* The key of PSKidentity, or the first. */
static bool choose_own(SSL_CTX *ctx, struct keys *keys, const struct tls_settings *s,
		       const struct tls_fault_to *to)
{
	keys->own = s->psk_identity ? find(keys, s->psk_identity) : &keys->key[0];
	if (!keys->own)
		return tls_fault_refuse(to, "PSKidentity",
					"No key found for the specified PSK identity",
					s->psk_identity);
	SSL_CTX_set_psk_client_callback(ctx, offer_own);
	return true;
}

bool tls_psk_use(SSL_CTX *ctx, const struct tls_settings *s, const struct tls_fault_to *to)
{
	struct keys *keys = s->psk_secrets ? calloc(1, sizeof *keys) : NULL;
	char why[TLS_WHY_MAX] = "Out of memory";
	struct stat st;

	if (!s->psk_secrets)
		return true;
	if (!keys || !read_keys(keys, s->psk_secrets, why) || !own_keys(ctx, keys)) {
		free_keys(keys);
		return tls_fault_refuse_file(to, "PSKsecrets", "Failed to read PSK secrets",
					     s->psk_secrets, why);
	}
	if (stat(s->psk_secrets, &st) == 0 && st.st_mode & 7)
		tls_fault_tell(to, TLS_TROUBLE_WARNING, "PSKsecrets",
			       "Insecure file permissions on %.200s", s->psk_secrets);
	log_main(LOG_INFO, "PSK identities: %zu retrieved", keys->count);
	if (s->client)
		return choose_own(ctx, keys, s, to);
	if (s->psk_identity)
		log_main(LOG_NOTICE, "PSK identity is ignored in the server mode");
	SSL_CTX_set_psk_server_callback(ctx, find_for_client);
	return true;
}

bool tls_psk_digest(const SSL_CTX *ctx, EVP_MD_CTX *md)
{
	const struct keys *keys = keys_of(ctx);

	for (size_t i = 0; keys && i < keys->count; i++) {
		const struct key *key = &keys->key[i];

		/* The NUL behind an identity and the length keep neighbours apart. */
		if (EVP_DigestUpdate(md, key->identity, strlen(key->identity) + 1) != 1 ||
		    EVP_DigestUpdate(md, &key->len, sizeof key->len) != 1 ||
		    EVP_DigestUpdate(md, key->bytes, key->len) != 1)
			return false;
	}
	return true;
}
