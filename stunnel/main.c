/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config.h"
#include "master.h"
#include "options.h"
#include "tls_ctx.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR "/usr/local/etc"
#endif
#define DEFAULT_FILE SYSCONFDIR "/stunnel/stunnel.conf"

/* Scripts look for the first line's shape; all of it goes to stderr, as in stock. */
static void print_banner(void)
{
	fprintf(stderr, "stunnel %s on %s platform (stunnel-http)\n", PACKAGE_VERSION, HOST_TRIPLE);
	if (!strcmp(tls_compiled_with(), tls_running_with()))
		fprintf(stderr, "Compiled/running with %s\n", tls_running_with());
	else
		fprintf(stderr, "Compiled with %s\nRunning  with %s\n", tls_compiled_with(),
			tls_running_with());
	fprintf(stderr, "Threading:NONE Sockets:LIBUV,IPv6 TLS:SNI\n");
}

static void print_syntax(void)
{
	fprintf(stderr,
		"\nSyntax:\n"
		"stunnel [FILE] | -fd N | -help | -version | -options | -sockets\n"
		"    FILE     use this configuration instead of %s\n"
		"    -fd N    read the configuration from descriptor N\n"
		"    -help    list the configuration's options\n"
		"    -version show version and defaults\n"
		"    -options list the names that 'options' takes\n"
		"    -sockets show the default socket options\n",
		DEFAULT_FILE);
}

static int print_help(void)
{
	print_banner();
	print_syntax();
	fprintf(stderr, "\nOptions of the configuration: name, default, meaning\n");
	options_print(stderr);
	return 0;
}

static int print_version(void)
{
	print_banner();
	fprintf(stderr, "\nDefault configuration file: %s\n", DEFAULT_FILE);
	return 0;
}

static int print_tls_options(void)
{
	const char *name;

	print_banner();
	fprintf(stderr, "\nSupported TLS options:\n");
	for (size_t i = 0; (name = tls_option_name(i)); i++)
		fprintf(stderr, "options = %s\n", name);
	return 0;
}

static int print_sockets(void)
{
	print_banner();
	fprintf(stderr, "\nSocket options that are set unless 'socket' says otherwise:\n"
			"    a:SO_REUSEADDR=1\n    l:TCP_NODELAY=1\n    r:TCP_NODELAY=1\n");
	return 0;
}

static int run_from_fd(const char *number)
{
	char *end;
	long fd;

	if (!number) {
		fprintf(stderr, "No file descriptor specified\n");
		print_syntax();
		return 1;
	}
	fd = strtol(number, &end, 10);
	if (end == number || *end || fd < 0 || fd > 65535) {
		fprintf(stderr, "Invalid file descriptor number\n");
		print_syntax();
		return 1;
	}
	return master_run(NULL, (int)fd);
}

static int run_from_file(const char *name)
{
	char *path = realpath(name, NULL); /* so that a reload finds it from any directory */
	int status;

	if (!path) {
		fprintf(stderr,
			"[!] Invalid configuration file name \"%s\"\n[!] realpath: %s (%d)\n", name,
			strerror(errno), errno);
		return 1;
	}
	status = master_run(path, -1);
	free(path);
	return status;
}

int main(int argc, char **argv)
{
	const char *first = argc > 1 ? argv[1] : DEFAULT_FILE;

	if (!strcasecmp(first, "-help"))
		return print_help();
	if (!strcasecmp(first, "-version"))
		return print_version();
	if (!strcasecmp(first, "-options"))
		return print_tls_options();
	if (!strcasecmp(first, "-sockets"))
		return print_sockets();
	if (!strcasecmp(first, "-fd"))
		return run_from_fd(argc > 2 ? argv[2] : NULL);
	return run_from_file(first);
}
