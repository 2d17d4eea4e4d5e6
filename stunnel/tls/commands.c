/* SPDX-License-Identifier: ISC */
#include "tls/commands.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

/* As in openssl.cnf: a command is told by its name there, and not as an option of a program. */
#define FLAGS (SSL_CONF_FLAG_FILE | SSL_CONF_FLAG_CERTIFICATE | SSL_CONF_FLAG_SHOW_ERRORS)

struct command {
	char name[64];
	const char *value; /* NULL: none */
};

static bool split(const char *text, struct command *c)
{
	const char *colon = strchr(text, ':');
	int len = colon ? (int)(colon - text) : (int)strlen(text);

	c->value = colon ? colon + 1 : NULL;
	return snprintf(c->name, sizeof c->name, "%.*s", len < 1000 ? len : 1000, text) <
	       (int)sizeof c->name;
}

static bool apply(SSL_CONF_CTX *conf, const char *text, const struct tls_fault_to *to)
{
	struct command c;
	int result = split(text, &c) ? SSL_CONF_cmd(conf, c.name, c.value) : -2;

	if (result > 0)
		return true;
	if (result == -2)
		tls_fault_tell(to, TLS_TROUBLE_ERROR, "config",
			       "OpenSSL config command \"%.100s\" was not recognised", c.name);
	else if (result == -3)
		tls_fault_tell(to, TLS_TROUBLE_ERROR, "config",
			       "OpenSSL config command \"%.100s\" requires a parameter", c.name);
	else
		tls_fault_refuse(to, "config", "OpenSSL config command failed", text);
	return false;
}

bool tls_commands_use(SSL_CTX *ctx, const struct tls_settings *s, const struct tls_fault_to *to)
{
	SSL_CONF_CTX *conf = SSL_CONF_CTX_new();
	bool ok = conf != NULL;

	if (!conf)
		return tls_fault_refuse(to, NULL, "Out of memory", s->service);
	SSL_CONF_CTX_set_flags(conf,
			       FLAGS | (s->client ? SSL_CONF_FLAG_CLIENT : SSL_CONF_FLAG_SERVER));
	SSL_CONF_CTX_set_ssl_ctx(conf, ctx);
	for (size_t i = 0; i < s->commands.count; i++)
		ok = apply(conf, s->commands.item[i], to) && ok;
	ok = SSL_CONF_CTX_finish(conf) == 1 && ok;
	SSL_CONF_CTX_free(conf);
	return ok;
}

/* The context has read them: a worker may neither see the files nor wait for them. */
static bool names_file(SSL_CONF_CTX *conf, const char *name)
{
	int type = SSL_CONF_cmd_value_type(conf, name);

	return type == SSL_CONF_TYPE_FILE || type == SSL_CONF_TYPE_DIR ||
	       type == SSL_CONF_TYPE_STORE;
}

bool tls_commands_switch(SSL *ssl, const struct tls_names *commands)
{
	SSL_CONF_CTX *conf = commands->count != 0 ? SSL_CONF_CTX_new() : NULL;
	bool ok = commands->count == 0 || conf;

	if (!conf)
		return ok;
	SSL_CONF_CTX_set_flags(conf, FLAGS | SSL_CONF_FLAG_SERVER);
	SSL_CONF_CTX_set_ssl(conf, ssl);
	for (size_t i = 0; i < commands->count; i++) {
		struct command c;

		ok = split(commands->item[i], &c) && ok;
		if (!names_file(conf, c.name))
			ok = SSL_CONF_cmd(conf, c.name, c.value) > 0 && ok;
	}
	ok = SSL_CONF_CTX_finish(conf) == 1 && ok;
	SSL_CONF_CTX_free(conf);
	return ok;
}
