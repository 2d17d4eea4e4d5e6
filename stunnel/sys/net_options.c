/* SPDX-License-Identifier: ISC */
#include "sys/net_options.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "sys/log.h"

enum option_type {
	TYPE_FLAG,
	TYPE_INT,
	TYPE_LINGER,
	TYPE_TIME,
	TYPE_TEXT,
};

static const struct option_row {
	const char *name;
	int level;
	int option;
	enum option_type type;
	bool tcp_only; /* not set on a Unix socket */
} rows[] = {
	{"SO_DEBUG", SOL_SOCKET, SO_DEBUG, TYPE_FLAG, false},
	{"SO_DONTROUTE", SOL_SOCKET, SO_DONTROUTE, TYPE_FLAG, false},
	{"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, TYPE_FLAG, false},
	{"SO_LINGER", SOL_SOCKET, SO_LINGER, TYPE_LINGER, false},
	{"SO_OOBINLINE", SOL_SOCKET, SO_OOBINLINE, TYPE_FLAG, false},
	{"SO_RCVBUF", SOL_SOCKET, SO_RCVBUF, TYPE_INT, false},
	{"SO_SNDBUF", SOL_SOCKET, SO_SNDBUF, TYPE_INT, false},
	{"SO_RCVLOWAT", SOL_SOCKET, SO_RCVLOWAT, TYPE_INT, false},
	{"SO_SNDLOWAT", SOL_SOCKET, SO_SNDLOWAT, TYPE_INT, false},
	{"SO_RCVTIMEO", SOL_SOCKET, SO_RCVTIMEO, TYPE_TIME, false},
	{"SO_SNDTIMEO", SOL_SOCKET, SO_SNDTIMEO, TYPE_TIME, false},
	{"SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR, TYPE_FLAG, false},
#ifdef SO_BINDTODEVICE
	{"SO_BINDTODEVICE", SOL_SOCKET, SO_BINDTODEVICE, TYPE_TEXT, true},
#endif
#ifdef TCP_KEEPCNT
	{"TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, TYPE_INT, true},
#endif
#ifdef TCP_KEEPIDLE
	{"TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, TYPE_INT, true},
#endif
#ifdef TCP_KEEPINTVL
	{"TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL, TYPE_INT, true},
#endif
	{"IP_TOS", IPPROTO_IP, IP_TOS, TYPE_INT, true},
	{"IP_TTL", IPPROTO_IP, IP_TTL, TYPE_INT, true},
	{"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, TYPE_FLAG, true},
#ifdef IP_FREEBIND
	{"IP_FREEBIND", IPPROTO_IP, IP_FREEBIND, TYPE_FLAG, true},
#endif
	{"IPV6_V6ONLY", IPPROTO_IPV6, IPV6_V6ONLY, TYPE_FLAG, true},
};

#define ROWS (sizeof rows / sizeof rows[0])

_Static_assert(NET_OPTIONS_MAX >= 3 * ROWS, "all options fit in");

static bool parse_number(const char *text, char end, int *n, const char **rest)
{
	char *stop;
	long value;

	errno = 0;
	value = strtol(text, &stop, 10);
	if (stop == text || (*stop != end && *stop != '\0') || errno != 0 || (int)value != value)
		return false;
	*n = (int)value;
	*rest = *stop ? stop + 1 : stop;
	return true;
}

static bool parse_value(const struct option_row *row, const char *text, struct net_option *option)
{
	const char *rest;

	switch (row->type) {
	case TYPE_FLAG:
		option->value[0] = !strcasecmp(text, "yes") || !strcmp(text, "1");
		return option->value[0] || !strcasecmp(text, "no") || !strcmp(text, "0");
	case TYPE_INT:
		return parse_number(text, '\0', &option->value[0], &rest);
	case TYPE_LINGER:
	case TYPE_TIME:
		if (!parse_number(text, ':', &option->value[0], &rest))
			return false;
		return !*rest || parse_number(rest, '\0', &option->value[1], &rest);
	case TYPE_TEXT:
		return snprintf(option->text, sizeof option->text, "%s", text) <
		       (int)sizeof option->text;
	}
	return false;
}

bool net_options_add(struct net_options *options, const char *text)
{
	struct net_option option = {.class = text[0]};
	const char *equals = strchr(text, '=');
	size_t i;

	if (!text[0] || !strchr("alr", text[0]) || text[1] != ':' || !equals)
		return false;
	for (option.row = 0; option.row < ROWS; option.row++) {
		size_t len = strlen(rows[option.row].name);

		if (len == (size_t)(equals - text) - 2 &&
		    !memcmp(rows[option.row].name, text + 2, len))
			break;
	}
	if (option.row == ROWS || !parse_value(&rows[option.row], equals + 1, &option))
		return false;
	for (i = 0; i < options->count; i++)
		if (options->option[i].class == option.class &&
		    options->option[i].row == option.row)
			break;
	if (i == NET_OPTIONS_MAX)
		return false;
	options->option[i] = option;
	if (i == options->count)
		options->count++;
	return true;
}

void net_options_default(struct net_options *options)
{
	options->count = 0;
	net_options_add(options, "a:SO_REUSEADDR=yes");
	net_options_add(options, "l:TCP_NODELAY=yes");
	net_options_add(options, "r:TCP_NODELAY=yes");
}

const struct net_option *net_options_find(const struct net_options *options, enum net_class class,
					  const char *name)
{
	for (size_t i = 0; i < options->count; i++)
		if (options->option[i].class == (char)class &&
		    !strcmp(rows[options->option[i].row].name, name))
			return &options->option[i];
	return NULL;
}

static int set_option(int fd, const struct option_row *row, const struct net_option *option)
{
	struct timeval time = {option->value[0], option->value[1]};

	switch (row->type) {
	case TYPE_FLAG:
	case TYPE_INT:
		return setsockopt(fd, row->level, row->option, option->value, sizeof(int));
	case TYPE_LINGER:
		return 0;
	case TYPE_TIME:
		return setsockopt(fd, row->level, row->option, &time, sizeof time);
	case TYPE_TEXT:
		return setsockopt(fd, row->level, row->option, option->text,
				  (socklen_t)strlen(option->text) + 1);
	}
	return 0;
}

int net_options_set(const struct net_options *options, enum net_class class, int family, int fd)
{
	for (size_t i = 0; i < options->count; i++) {
		const struct net_option *option = &options->option[i];
		const struct option_row *row = &rows[option->row];

		if (option->class != (char)class || (family == AF_UNIX && row->tcp_only))
			continue;
		if (set_option(fd, row, option) == 0 || errno == EOPNOTSUPP)
			continue;
		log_main(LOG_ERR, "%s: %s (%d)", row->name, strerror(errno), errno);
		return -errno;
	}
	return 0;
}

/* --- -sockets --------------------------------------------------------------------------------- */

#define TEXT_MAX 24
#define NOT_SET "    --    "

static void option_text(const struct option_row *row, const struct net_option *option,
			char text[static TEXT_MAX])
{
	switch (row->type) {
	case TYPE_FLAG:
		snprintf(text, TEXT_MAX, "%s", option->value[0] ? "yes" : "no");
		break;
	case TYPE_INT:
		snprintf(text, TEXT_MAX, "%d", option->value[0]);
		break;
	case TYPE_LINGER:
	case TYPE_TIME:
		snprintf(text, TEXT_MAX, "%d:%d", option->value[0], option->value[1]);
		break;
	case TYPE_TEXT:
		snprintf(text, TEXT_MAX, "%s", option->text);
		break;
	}
}

static void set_text(const struct net_options *options, enum net_class class,
		     const struct option_row *row, char text[static TEXT_MAX])
{
	const struct net_option *option = net_options_find(options, class, row->name);

	snprintf(text, TEXT_MAX, NOT_SET);
	if (option)
		option_text(row, option, text);
}

/* Reads an option of a socket; false if the system does not tell. */
static bool get_option(int fd, const struct option_row *row, struct net_option *option)
{
	union {
		int number;
		struct linger linger;
		struct timeval time;
		char text[sizeof option->text];
	} value = {0};
	socklen_t len = sizeof value;

	if (getsockopt(fd, row->level, row->option, &value, &len) != 0)
		return false;
	*option = (struct net_option){.value = {value.number}};
	if (row->type == TYPE_LINGER)
		option->value[1] = value.linger.l_linger;
	else if (row->type == TYPE_TIME)
		*option = (struct net_option){
			.value = {(int)value.time.tv_sec, (int)value.time.tv_usec}};
	else if (row->type == TYPE_TEXT)
		snprintf(option->text, sizeof option->text, "%.*s", (int)sizeof value.text - 1,
			 value.text);
	return true;
}

/* What the system sets on a new socket. */
static void system_text(const struct option_row *row, char text[static TEXT_MAX])
{
	int fd = socket(row->level == IPPROTO_IPV6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
	struct net_option option;

	snprintf(text, TEXT_MAX, NOT_SET);
	if (fd < 0)
		return;
	if (get_option(fd, row, &option))
		option_text(row, &option, text);
	close(fd);
}

void net_options_print(FILE *to)
{
	static const enum net_class classes[] = {NET_ACCEPT, NET_LOCAL, NET_REMOTE};
	struct net_options defaults;

	net_options_default(&defaults);
	fprintf(to, "    Option Name         |  Accept  |   Local  |  Remote  |OS default\n"
		    "    --------------------+----------+----------+----------+----------\n");
	for (size_t i = 0; i < ROWS; i++) {
		char text[TEXT_MAX];

		fprintf(to, "    %-20s", rows[i].name);
		for (size_t n = 0; n < sizeof classes / sizeof classes[0]; n++) {
			set_text(&defaults, classes[n], &rows[i], text);
			fprintf(to, "|%10s", text);
		}
		system_text(&rows[i], text);
		fprintf(to, "|%10s\n", text);
	}
}
