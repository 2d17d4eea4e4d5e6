/* SPDX-License-Identifier: ISC */
#include "config/suggest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define NAME_MAX_LEN 31 /* longer than any option */

/* The name in lower case without `-` and `_`; false if it is too long for an option's. */
static bool fold(const char *name, char folded[static NAME_MAX_LEN + 1])
{
	size_t len = 0;

	for (; *name; name++) {
		if (*name == '-' || *name == '_')
			continue;
		if (len == NAME_MAX_LEN)
			return false;
		folded[len++] = (char)tolower((unsigned char)*name);
	}
	folded[len] = '\0';
	return true;
}

static int least(int a, int b)
{
	return a < b ? a : b;
}

int suggest_distance(const char *typed, const char *known)
{
	char a[NAME_MAX_LEN + 1], b[NAME_MAX_LEN + 1];
	int d[NAME_MAX_LEN + 1][NAME_MAX_LEN + 1];
	size_t a_len, b_len;
	int found;

	if (!fold(typed, a) || !fold(known, b))
		return SUGGEST_FAR;
	a_len = strlen(a);
	b_len = strlen(b);
	if (a_len > b_len + 2 || b_len > a_len + 2)
		return SUGGEST_FAR;
	for (size_t i = 0; i <= a_len; i++)
		d[i][0] = (int)i;
	for (size_t j = 0; j <= b_len; j++)
		d[0][j] = (int)j;
	for (size_t i = 1; i <= a_len; i++) {
		for (size_t j = 1; j <= b_len; j++) {
			d[i][j] = least(d[i - 1][j - 1] + (a[i - 1] != b[j - 1]),
					least(d[i - 1][j], d[i][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
		}
	}
	found = d[a_len][b_len];
	return found <= (a_len <= 4 ? 1 : 2) ? found : SUGGEST_FAR;
}

static const char windows[] = "it is for Windows alone";

/* Names of options in patches for stunnel 4 and in other servers, folded, and ours. */
static const struct {
	const char *name, *option, *as;
} foreign[] = {
	{"sendproxy", "protocol", "protocol = proxy"},
	{"proxyprotocol", "protocol", "protocol = proxy"},
	{"proxy", "protocol", "protocol = proxy"},
	{"forwardedfor", "xForwardedFor", "xForwardedFor = yes"},
	{"addxforwardedfor", "xForwardedFor", "xForwardedFor = yes"},
	{"nbproc", "workers", "workers"},
	{"processes", "workers", "workers"},
	{"listen", "accept", "accept"},
	{"bind", "accept", "accept"},
	{"backend", "connect", "connect"},
	{"target", "connect", "connect"},
	{"sslcertificate", "cert", "cert"},
	{"certificate", "cert", "cert"},
	{"certfile", "cert", "cert"},
	{"pemfile", "cert", "cert"},
	{"sslcertificatekey", "key", "key"},
	{"keyfile", "key", "key"},
	{"privatekey", "key", "key"},
	{"sslprotocols", "sslVersionMin", "sslVersionMin and sslVersionMax"},
	{"tlsversion", "sslVersionMin", "sslVersionMin and sslVersionMax"},
	{"sslciphers", "ciphers", "ciphers"},
	{"logfile", "output", "output"},
	{"loglevel", "debug", "debug"},
	{"pidfile", "pid", "pid"},
	{"user", "setuid", "setuid"},
	{"group", "setgid", "setgid"},
	{"server", "client", "client = no for a server"},
	{"taskbar", NULL, windows},
	{"iconactive", NULL, windows},
	{"iconerror", NULL, windows},
	{"iconidle", NULL, windows},
};

const char *suggest_foreign(const char *typed, const char **as)
{
	char name[NAME_MAX_LEN + 1];

	*as = NULL;
	if (!fold(typed, name))
		return NULL;
	for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
		if (strcmp(name, foreign[i].name) != 0)
			continue;
		*as = foreign[i].as;
		return foreign[i].option;
	}
	return NULL;
}
