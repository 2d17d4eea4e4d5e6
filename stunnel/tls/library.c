/* SPDX-License-Identifier: ISC */
#include "tls/library.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <openssl/ui.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "tls/key.h"

void tls_library_start(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
}

static int refuse_to_ask(UI *ui)
{
	(void)ui;
	return 0;
}

bool tls_library_ask_nobody(void)
{
	static UI_METHOD *method;

	if (!method)
		method = UI_create_method("nobody");
	if (!method || UI_method_set_opener(method, refuse_to_ask) != 0)
		return false;
	UI_set_default_method(method);
	return true;
}

int tls_library_version(const char *name)
{
	static const struct {
		const char *name;
		int version;
	} versions[] = {
		{"all", 0},
		{"SSLv3", SSL3_VERSION},
		{"TLSv1", TLS1_VERSION},
		{"TLSv1.1", TLS1_1_VERSION},
		{"TLSv1.2", TLS1_2_VERSION},
		{"TLSv1.3", TLS1_3_VERSION},
	};

	for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++)
		if (!strcasecmp(name, versions[i].name))
			return versions[i].version;
	return -1;
}

#define OP(name)                     \
	{                            \
#name, SSL_OP_##name \
	}
/* Names that OpenSSL has retired: accepted without effect, so that old configurations load. */
#define NO_OP(name)      \
	{                \
#name, 0 \
	}

static const struct {
	const char *name;
	uint64_t bit;
} op_names[] = {
	OP(ALL),
	OP(ALLOW_CLIENT_RENEGOTIATION),
	OP(ALLOW_NO_DHE_KEX),
	OP(ALLOW_UNSAFE_LEGACY_RENEGOTIATION),
	OP(CIPHER_SERVER_PREFERENCE),
	OP(CISCO_ANYCONNECT),
	OP(CLEANSE_PLAINTEXT),
	OP(COOKIE_EXCHANGE),
	OP(CRYPTOPRO_TLSEXT_BUG),
	OP(DISABLE_TLSEXT_CA_NAMES),
	OP(DONT_INSERT_EMPTY_FRAGMENTS),
	OP(ENABLE_KTLS),
	OP(ENABLE_MIDDLEBOX_COMPAT),
	NO_OP(EPHEMERAL_RSA),
	OP(IGNORE_UNEXPECTED_EOF),
	OP(LEGACY_SERVER_CONNECT),
	NO_OP(MICROSOFT_BIG_SSLV3_BUFFER),
	NO_OP(MICROSOFT_SESS_ID_BUG),
	NO_OP(MSIE_SSLV2_RSA_PADDING),
	NO_OP(NETSCAPE_CA_DN_BUG),
	NO_OP(NETSCAPE_CHALLENGE_BUG),
	NO_OP(NETSCAPE_DEMO_CIPHER_CHANGE_BUG),
	NO_OP(NETSCAPE_REUSE_CIPHER_CHANGE_BUG),
	OP(NO_ANTI_REPLAY),
	OP(NO_COMPRESSION),
	OP(NO_DTLS_MASK),
	OP(NO_DTLSv1),
	OP(NO_DTLSv1_2),
	OP(NO_ENCRYPT_THEN_MAC),
	OP(NO_EXTENDED_MASTER_SECRET),
	OP(NO_QUERY_MTU),
	OP(NO_RENEGOTIATION),
	OP(NO_SESSION_RESUMPTION_ON_RENEGOTIATION),
	OP(NO_SSL_MASK),
	NO_OP(NO_SSLv2),
	OP(NO_SSLv3),
	OP(NO_TICKET),
	OP(NO_TLSv1),
	OP(NO_TLSv1_1),
	OP(NO_TLSv1_2),
	OP(NO_TLSv1_3),
	NO_OP(PKCS1_CHECK_1),
	NO_OP(PKCS1_CHECK_2),
	OP(PRIORITIZE_CHACHA),
	OP(SAFARI_ECDHE_ECDSA_BUG),
	NO_OP(SINGLE_DH_USE),
	NO_OP(SINGLE_ECDH_USE),
	NO_OP(SSLEAY_080_CLIENT_DH_BUG),
	NO_OP(SSLREF2_REUSE_CERT_TYPE_BUG),
	NO_OP(TLS_BLOCK_PADDING_BUG),
	NO_OP(TLS_D5_BUG),
	OP(TLSEXT_PADDING),
	NO_OP(TLS_ROLLBACK_BUG),
};

#define OP_NAMES (sizeof op_names / sizeof op_names[0])

/* Case does not matter; up to stunnel 5.60 NO_TLSv1_2 was spelt NO_TLSv1.2. */
static bool same_option(const char *name, const char *known)
{
	for (; *name && *known; name++, known++)
		if (tolower((unsigned char)*name) != tolower((unsigned char)*known) &&
		    !(*name == '.' && *known == '_'))
			return false;
	return *name == *known;
}

bool tls_library_option(const char *name, uint64_t *bit)
{
	for (size_t i = 0; i < OP_NAMES; i++) {
		if (!same_option(name, op_names[i].name))
			continue;
		*bit = op_names[i].bit;
		return true;
	}
	return false;
}

const char *tls_library_option_name(size_t index)
{
	return index < OP_NAMES ? op_names[index].name : NULL;
}

/* With try_load() the default provider stays the one that is there where none was asked for. */
static OSSL_PROVIDER *load(const char *name)
{
	static struct {
		char name[64];
		OSSL_PROVIDER *provider;
	} loaded[16];
	size_t i = 0;

	while (i < 16 && loaded[i].provider && strcmp(loaded[i].name, name) != 0)
		i++;
	if (i == 16 || strlen(name) >= sizeof loaded[i].name)
		return NULL;
	if (!loaded[i].provider) {
		loaded[i].provider = OSSL_PROVIDER_try_load(NULL, name, 1);
		tls_key_forget();
		memcpy(loaded[i].name, name, strlen(name) + 1);
	}
	ERR_clear_error();
	return loaded[i].provider;
}

const char *tls_library_provider(const char *name)
{
	return load(name) ? NULL : "Failed to load provider";
}

const char *tls_library_provider_parameter(const char *text)
{
	const char *colon = strchr(text, ':'), *sign = colon ? strchr(colon, '=') : NULL;

	if (!colon || !sign || colon == text || sign == colon + 1)
		return "Malformed parameter: PROVIDER:NAME=VALUE";
#if OPENSSL_VERSION_NUMBER >= 0x30500000L
	{
		char provider[64], name[256];
		OSSL_PROVIDER *found;

		snprintf(provider, sizeof provider, "%.*s", (int)(colon - text), text);
		snprintf(name, sizeof name, "%.*s", (int)(sign - colon - 1), colon + 1);
		found = load(provider);
		if (!found || OSSL_PROVIDER_add_conf_parameter(found, name, sign + 1) != 1)
			return "Provider not found";
	}
	return NULL;
#else
	return "OpenSSL has parameters of providers from 3.5 on";
#endif
}

const char *tls_library_fips(bool on)
{
	static bool ours;

	if (EVP_default_properties_is_fips_enabled(NULL) == on)
		return NULL;
	if (!on && !ours)
		return "Failed to override system-wide FIPS mode";
	if ((on && !load("fips")) || EVP_default_properties_enable_fips(NULL, on) != 1)
		return "FIPS support is not available: FIPS provider not available";
	tls_key_forget();
	ours = on;
	return NULL;
}

const char *tls_library_compiled_with(void)
{
	return OPENSSL_VERSION_TEXT;
}

const char *tls_library_running_with(void)
{
	return OpenSSL_version(OPENSSL_VERSION);
}

void tls_library_error(char text[static TLS_WHY_MAX])
{
	const char *file, *func, *data;
	int line, flags;
	unsigned long code = ERR_get_error_all(&file, &line, &func, &data, &flags);
	char reason[256];

	if (code == 0) {
		snprintf(text, TLS_WHY_MAX, "Peer suddenly disconnected");
		return;
	}
	ERR_error_string_n(code, reason, sizeof reason);
	snprintf(text, TLS_WHY_MAX, "%s@%s:%d: %s", func, file, line, reason);
	ERR_clear_error();
}
