/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "config/reader.h"
#include "config.h"
#include "core/template.h"
#include "process/daemon.h"
#include "sys/libwrap.h"
#include "sys/log.h"
#include "process/master.h"
#include "config/table.h"
#include "sys/net_options.h"
#include "sys/title.h"
#include "tls/library.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR "/usr/local/etc"
#endif
#define DEFAULT_FILE SYSCONFDIR "/stunnel/stunnel.conf"
#define STOCK_RELEASE "5.75"

/*
 * The lines have stock's format, which scripts and log readers look for: the first one says which
 * release of stock this program stands in for, since tools compare its number.
 */
static void say_banner(void (*say)(const char *line))
{
	const char *compiled = tls_library_compiled_with(), *running = tls_library_running_with();
	bool same = !strcmp(compiled, running);
	char line[256];

	say("stunnel " STOCK_RELEASE " on " HOST_TRIPLE " platform");
	say(PACKAGE_NAME " " PACKAGE_VERSION ", which takes the place of that release");
	snprintf(line, sizeof line, "%s with %s", same ? "Compiled/running" : "Compiled", compiled);
	say(line);
	snprintf(line, sizeof line, "Running  with %s", running);
	if (!same)
		say(line);
	snprintf(line, sizeof line, "Threading:NONE Sockets:LIBUV,IPv6 TLS:SNI%s",
		 libwrap_built() ? " Auth:LIBWRAP" : "");
	say(line);
}

static void print_line(const char *line)
{
	fprintf(stderr, "%s\n", line);
}

static void log_line_of_banner(const char *line)
{
	log_main(LOG_NOTICE, "%s", line);
}

static void print_banner(void)
{
	say_banner(print_line);
}

static void print_syntax(void)
{
	fprintf(stderr,
		"\nSyntax:\n"
		"stunnel [-test] [FILE | -fd N]\n"
		"stunnel -upgrade [FILE]\n"
		"stunnel -help | -version | -options | -sockets\n"
		"    FILE     use this configuration instead of %s\n"
		"    -fd N    read the configuration from descriptor N\n"
		"    -test    check the configuration, tell all that is wrong, start nothing\n"
		"    -upgrade have the running daemon hand over to the program that is installed "
		"now\n"
		"    -help    list the configuration's options, and the variables of templates\n"
		"    -version show version and defaults\n"
		"    -options list the names that 'options' takes\n"
		"    -sockets show the default socket options\n",
		DEFAULT_FILE);
}

static const char *name_of_places(int places)
{
	if (!(places & TEMPLATE_IN_HEADER))
		return "accessLogFormat";
	return places & TEMPLATE_IN_LOG ? "anywhere" : "headers";
}

static void print_variables(void)
{
	const struct template_variable *v;

	for (size_t i = 0; (v = template_variable(i)); i++)
		fprintf(stderr, "%%{%.*s}%*s %-15s %s\n", (int)v->name.len, v->name.p,
			20 - (int)v->name.len, "", name_of_places(v->places), v->meaning);
}

static int print_help(void)
{
	print_banner();
	print_syntax();
	fprintf(stderr, "\nOptions of the configuration: name, default, meaning\n");
	table_print(stderr);
	fprintf(stderr, "\nTemplate variables: name, where it may stand, meaning\n");
	print_variables();
	return 0;
}

static int print_version(void)
{
	print_banner();
	fprintf(stderr, "\nDefault configuration file: %s\n\nDefaults of options:\n", DEFAULT_FILE);
	table_print_defaults(stderr);
	return 0;
}

static int print_tls_options(void)
{
	const char *name;

	print_banner();
	fprintf(stderr, "\nSupported TLS options:\n");
	for (size_t i = 0; (name = tls_library_option_name(i)); i++)
		fprintf(stderr, "options = %s\n", name);
	return 0;
}

static int print_sockets(void)
{
	print_banner();
	fprintf(stderr, "\nSocket option defaults:\n");
	net_options_print(stderr);
	return 0;
}

/* Serves with the configuration, or checks it for -test; returns the exit status. */
static int use(const char *path, int fd, enum reader_use what)
{
	struct config *config;

	if (what == READER_START) {
		say_banner(log_line_of_banner);
		return master_run(path, fd);
	}
	config = reader_load(path, fd, READER_TEST);
	log_unopened(LOG_WARNING);
	if (!config)
		return 1;
	fprintf(stderr, "[.] Configuration successful\n");
	config_free(config);
	return 0;
}

#define UPGRADE_SECONDS 70 /* a little more than the master waits for */

/*
 * -upgrade: what this program makes of the file is known before the running one is told to end.
 * Returns the exit status when the pid file has another process's id.
 */
static int upgrade(const char *path)
{
	const struct timespec pause = {0, 50 * 1000 * 1000};
	struct config *config = reader_load(path, -1, READER_TEST);
	const struct config_globals *globals = config ? &config->globals : NULL;
	long old = globals && globals->pid ? daemon_pid_read(globals->chroot, globals->pid) : 0,
	     now = old;

	log_unopened(LOG_WARNING);
	if (config && old == 0)
		fprintf(stderr, "[!] There is no pid file: %s\n",
			globals->pid ? globals->pid : "no option pid");
	if (old != 0 && kill((pid_t)old, MASTER_UPGRADE) != 0) {
		fprintf(stderr, "[!] Process %ld: %s (%d)\n", old, strerror(errno), errno);
		old = 0;
	}
	for (int i = 0; old != 0 && i < UPGRADE_SECONDS * 20; i++) {
		now = daemon_pid_read(globals->chroot, globals->pid);
		if ((now != old && now != 0) || kill((pid_t)old, 0) != 0)
			break;
		nanosleep(&pause, NULL);
	}
	if (old != 0 && now != old)
		fprintf(stderr, "[.] Process %ld took the place of %ld\n", now, old);
	else if (old != 0)
		fprintf(stderr, "[!] Process %ld goes on: its log says why\n", old);
	config_free(config);
	return old != 0 && now != 0 && now != old ? 0 : 1;
}

static int start(const char *path)
{
	return use(path, -1, READER_START);
}

static int test(const char *path)
{
	return use(path, -1, READER_TEST);
}

static int use_fd(const char *number, enum reader_use what)
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
	return use(NULL, (int)fd, what);
}

/* Another program's way to write an option of ours, or its beginning, was taken for a file. */
static void print_hint(const char *name)
{
	static const char *const options[] = {"help", "version", "options", "sockets",
					      "test", "fd",	 "upgrade"};
	const char *word = name + strspn(name, "-");
	size_t len = strlen(word);

	for (size_t i = 0; word != name && len != 0 && i < sizeof options / sizeof options[0]; i++)
		if (!strncasecmp(word, options[i], len)) {
			fprintf(stderr, "[!] Did you mean the option -%s?\n", options[i]);
			return;
		}
}

/* The descriptor that a name of no file stands for, as shells write it for a pipe; NULL: none. */
static const char *descriptor_of(const char *name)
{
	static const char folder[] = "/dev/fd/";

	if (!strcmp(name, "-") || !strcmp(name, "/dev/stdin"))
		return "0";
	return strncmp(name, folder, sizeof folder - 1) != 0 ? NULL : name + sizeof folder - 1;
}

static int use_file(const char *name, int (*take)(const char *path))
{
	char *path = realpath(name, NULL); /* a reload finds the file after chdir("/"), too */
	int status;

	if (!path) {
		fprintf(stderr,
			"[!] Invalid configuration file name \"%s\"\n[!] realpath: %s (%d)\n", name,
			strerror(errno), errno);
		if (descriptor_of(name))
			fprintf(stderr, "[!] A pipe is read with -fd %s\n", descriptor_of(name));
		print_hint(name);
		return 1;
	}
	status = take(path);
	free(path);
	return status;
}

int main(int argc, char **argv)
{
	const char *first = argc > 1 ? argv[1] : DEFAULT_FILE;
	enum reader_use what = READER_START;

	tls_library_start();
	title_take(argc, argv);
	if (!daemon_standard_streams()) {
		fprintf(stderr, "[!] Cannot open /dev/null: %s (%d)\n", strerror(errno), errno);
		return 1;
	}
	if (!strcasecmp(first, "-help"))
		return print_help();
	if (!strcasecmp(first, "-version"))
		return print_version();
	if (!strcasecmp(first, "-options"))
		return print_tls_options();
	if (!strcasecmp(first, "-sockets"))
		return print_sockets();
	if (!strcasecmp(first, "-upgrade"))
		return use_file(argc > 2 ? argv[2] : DEFAULT_FILE, upgrade);
	if (!strcasecmp(first, "-test")) {
		what = READER_TEST;
		argc--;
		argv++;
		first = argc > 1 ? argv[1] : DEFAULT_FILE;
	}
	if (!strcasecmp(first, "-fd"))
		return use_fd(argc > 2 ? argv[2] : NULL, what);
	return use_file(first, what == READER_TEST ? test : start);
}
