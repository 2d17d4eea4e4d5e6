/* SPDX-License-Identifier: ISC */
#include "tls/groups.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

/*
 * The first that OpenSSL takes. From 3.5 on it has hybrid groups, and a `*` in front of those for
 * which a client sends a key at once: a server without the first one then need not ask again. A
 * server prefers what stands before a `/`, even if it has to ask the client for another key.
 */
static const char *const defaults[] = {
	"*X25519MLKEM768/*X25519:P-256:X448:P-521:P-384",
	"X25519MLKEM768:X25519:P-256:X448:P-521:P-384", "X25519:P-256:X448:P-521:P-384",
	"P-256:P-521:P-384", /* FIPS */
};

/* A copy of the list if OpenSSL takes all of it, or NULL. */
static char *use_list(SSL_CTX *ctx, const char *list)
{
	char *copy = strdup(list);

	if (copy && SSL_CTX_set1_groups_list(ctx, copy) == 1)
		return copy;
	free(copy);
	return NULL;
}

static char *use_defaults(SSL_CTX *ctx)
{
	char *list = NULL;

	for (size_t i = 0; !list && i < sizeof defaults / sizeof defaults[0]; i++)
		list = use_list(ctx, defaults[i]);
	return list;
}

/* Appends to the list the len bytes of an element that stands behind `separator`. */
static void append(char *list, char separator, const char *element, size_t len)
{
	size_t had = strlen(list);

	if (had != 0)
		list[had++] = separator;
	memcpy(list + had, element, len);
	list[had + len] = '\0';
}

/* Copies the elements that OpenSSL knows to `known`, which is empty and long enough. */
static void keep_known(SSL_CTX *ctx, const struct tls_settings *s, char *known,
		       const struct tls_fault_to *to)
{
	const char *at = s->curves;
	size_t len;

	for (char separator = ':';; separator = *at++) {
		size_t marks = strspn(at, "?*-");
		char name[64] = "";

		len = strcspn(at, ":/");
		if (len > marks && len - marks < sizeof name)
			memcpy(name, at + marks, len - marks);
		if (*name && SSL_CTX_set1_groups_list(ctx, name) == 1)
			append(known, separator, at, len);
		else
			tls_fault_tell(to, TLS_TROUBLE_WARNING, s->curves_option,
				       "OpenSSL knows no such group: %.*s is left out",
				       len < 100 ? (int)len : 100, at);
		at += len;
		if (!*at)
			return;
	}
}

static char *use_known(SSL_CTX *ctx, const struct tls_settings *s, const struct tls_fault_to *to)
{
	char *known = calloc(1, strlen(s->curves) + 1);

	if (known)
		keep_known(ctx, s, known, to);
	ERR_clear_error();
	if (known && *known && SSL_CTX_set1_groups_list(ctx, known) == 1)
		return known;
	free(known);
	return NULL;
}

char *tls_groups_use(SSL_CTX *ctx, const struct tls_settings *s, const struct tls_fault_to *to)
{
	bool old = s->curves_option && !strcmp(s->curves_option, "curve");
	char *list;

	list = s->curves ? use_list(ctx, s->curves) : use_defaults(ctx);
	if (!list && s->curves)
		list = use_known(ctx, s, to);
	if (!list)
		tls_fault_refuse(to, s->curves_option,
				 old ? "Invalid groups list in 'curve'"
				     : "Invalid groups list in 'curves'",
				 s->curves ? s->curves : "");
	else
		ERR_clear_error();
	return list;
}
