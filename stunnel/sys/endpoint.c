/* SPDX-License-Identifier: ISC */
#include "sys/endpoint.h"

#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "core/ip.h"

#define HOST_MAX 255
#define BLANKS " \t\v\f"
#define DIGITS "0123456789"

static const char no_port[] = "no port: write HOST:PORT";
static const char too_long[] = "longer than any address";
static const char comment[] = "comments stand on lines of their own";

static bool is_v6(const char *text, size_t len)
{
	const char *zone = memchr(text, '%', len);
	uint8_t ip[16];

	return ip_parse_v6(span_of(text, zone ? (size_t)(zone - text) : len), ip);
}

/* The reason if text is written as for another program's configuration, else NULL. */
static const char *foreign(const char *text)
{
	const char *blank = text + strcspn(text, BLANKS);
	const char *word = blank + strspn(blank, BLANKS);

	if (*text == '"' || *text == '\'')
		return "values stand without quotes";
	if (*word == ';' || *word == '#' || strpbrk(text, ";#"))
		return comment;
	if (strpbrk(text, "${}<>@"))
		return "a variable that nothing was put in for";
	if (*word == ':' && !strpbrk(word, BLANKS))
		return "a blank before the colon: write HOST:PORT";
	if (*word || strchr(text, ','))
		return "one address a line: several targets are several lines";
	if (strstr(text, "://"))
		return "an URL: write HOST:PORT";
	if (strstr(text, ":/") || *text == '.')
		return "a path stands alone, and begins with /";
	if (strchr(text, '/'))
		return "neither a path, which begins with /, nor HOST:PORT";
	return NULL;
}

static const char *check_path(const char *path)
{
	const char *blank = path + strcspn(path, BLANKS);
	const char *word = blank + strspn(blank, BLANKS);

	if (*word == ';' || *word == '#')
		return comment;
	if (strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path)
		return "Unix socket path is too long: more than 107 bytes";
	return NULL;
}

static const char *check_name(const char *host, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)host[i];
		bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';

		if (!letter && c < 0x80 && !strchr(DIGITS "-._", c))
			return "a character that no host name has";
	}
	return NULL;
}

static const char *check_host(const char *host, size_t len)
{
	if (len == 0)
		return "no host before the colon: for all addresses write PORT alone";
	if (len > HOST_MAX)
		return "the host's name is too long: more than 255 bytes";
	if (len == 1 && *host == '*') /* glibc's getaddrinfo() has it mean any */
		return NULL;
	if (memchr(host, ':', len))
		return is_v6(host, len) ? NULL : "one colon, between HOST and PORT";
	return check_name(host, len);
}

/* A name of a service is not checked: only services(5) knows which names there are. */
static const char *check_port(const char *port, bool passive)
{
	unsigned n = 0;

	if (!*port)
		return no_port;
	if (port[strspn(port, DIGITS)])
		return strlen(port) > 63 ? "not a port" : NULL;
	for (; *port; port++) {
		n = 10 * n + (unsigned)(*port - '0');
		if (n > 65535)
			return "a port is 65535 at most";
	}
	return n != 0 || passive ? NULL : "nothing can be connected at port 0";
}

/* Splits [ADDRESS]:PORT (RFC 3986 3.2.2) at *host, *len and *port; NULL or what is wrong. */
static const char *split_brackets(const char *text, const char **host, size_t *len,
				  const char **port)
{
	const char *end = strchr(text, ']');

	if (!end || !is_v6(text + 1, (size_t)(end - text) - 1))
		return "only an IPv6 address stands in brackets";
	if (end[1] != ':')
		return no_port;
	*host = text + 1;
	*len = (size_t)(end - text) - 1;
	*port = end + 2;
	return NULL;
}

static const char *split(const char *text, const char **host, size_t *len, const char **port)
{
	const char *colon = strrchr(text, ':');

	if (*text == '[')
		return split_brackets(text, host, len, port);
	*host = colon ? text : NULL;
	*len = colon ? (size_t)(colon - text) : 0;
	*port = colon ? colon + 1 : text;
	if (!colon && strchr(text, '.'))
		return no_port;
	if (colon && memchr(text, ':', *len) && !is_v6(text, *len) && is_v6(text, strlen(text)))
		return "no port: write ADDRESS:PORT, as in :::443";
	return NULL;
}

/* Copies text without the blanks before the port, which stock accepts; false if too long. */
static bool join_port(const char *text, char joined[static ENDPOINT_MAX])
{
	const char *colon = strrchr(text, ':');
	const char *port = colon ? colon + 1 : text;
	size_t len = (size_t)(port - text);

	port += strspn(port, BLANKS);
	return snprintf(joined, ENDPOINT_MAX, "%.*s%s", (int)len, text, port) < ENDPOINT_MAX;
}

const char *endpoint_check(const char *text, bool passive, char plain[static ENDPOINT_MAX])
{
	char joined[ENDPOINT_MAX];
	const char *host, *port, *why;
	size_t len;

	if (*text == '/') {
		why = check_path(text);
		if (!why)
			snprintf(plain, ENDPOINT_MAX, "%s", text);
		return why;
	}
	if (!join_port(text, joined))
		return too_long;
	text = joined;
	why = foreign(text);
	if (!why)
		why = split(text, &host, &len, &port);
	if (!why && host)
		why = check_host(host, len);
	if (!why)
		why = check_port(port, passive);
	if (!why)
		snprintf(plain, ENDPOINT_MAX, "%.*s%s%s", (int)len, host ? host : "",
			 host ? ":" : "", port);
	return why;
}
