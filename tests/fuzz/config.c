/* SPDX-License-Identifier: ISC */

/*
 * Fuzzes the configuration file: the input is one, and what a daemon's start would make of it is
 * made. Found out, beside what the sanitizers see: that a load writes to a file, binds, connects,
 * looks a name up itself, or says no word of why it refuses a file.
 *
 * The linker gives what would leave the process to the functions below (FORBIDDEN, LOCAL in
 * tests/fuzz/run). Files are read below the working directory only.
 */

#include "config/reader.h"
#include "metrics/server.h"
#include "sys/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <openssl/store.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool loading;	/* and not libFuzzer at work, whose calls are replaced as well */
static unsigned errors; /* that the load has told */

/* So that what `metrics` says is read, whatever is built in; no server is started. */
bool server_built(void)
{
	return true;
}

/* --- what would leave the process ------------------------------------------------------------- */

#define FORBIDDEN(name)          \
	int __wrap_##name(void); \
	int __wrap_##name(void)  \
	{                        \
		abort();         \
	}

/* What never happens at a load, whatever the file says. */
FORBIDDEN(bind)
FORBIDDEN(connect)
FORBIDDEN(listen)
FORBIDDEN(execve)
FORBIDDEN(unlinkat)
FORBIDDEN(BIO_new_connect)
FORBIDDEN(OSSL_HTTP_transfer)

/* Whether a name leads to nothing but the files that are there for it. */
static bool is_below(const char *path)
{
	bool below = !loading || (path && *path != '/' && !strstr(path, ".."));

	errno = below ? errno : ENOENT;
	return below;
}

#define WRAPPED(type, name, ...)         \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

WRAPPED(int, open, const char *path, int flags, mode_t mode)
{
	if (loading && !strcmp(path, "/dev/tty"))
		return errno = ENXIO, -1; /* nobody is asked for a pass phrase */
	if (loading && (flags & (O_ACCMODE | O_CREAT | O_TRUNC)) != O_RDONLY)
		abort();
	return is_below(path) ? __real_open(path, flags, mode) : -1;
}

WRAPPED(int, openat, int folder, const char *path, int flags, mode_t mode)
{
	(void)folder, (void)path, (void)mode;
	if ((flags & (O_ACCMODE | O_CREAT | O_TRUNC)) != O_RDONLY)
		abort();
	return errno = ENOENT, -1;
}

WRAPPED(FILE *, fopen, const char *path, const char *mode)
{
	if (loading && (*mode != 'r' || strchr(mode, '+')))
		abort();
	return is_below(path) ? __real_fopen(path, mode) : NULL;
}

WRAPPED(DIR *, opendir, const char *path)
{
	return is_below(path) ? __real_opendir(path) : NULL;
}

WRAPPED(int, scandir, const char *path, struct dirent ***list, int (*filter)(const struct dirent *),
	int (*compare)(const struct dirent **, const struct dirent **))
{
	return is_below(path) ? __real_scandir(path, list, filter, compare) : -1;
}

WRAPPED(BIO *, BIO_new_file, const char *path, const char *mode)
{
	if (*mode != 'r')
		abort();
	return is_below(path) ? __real_BIO_new_file(path, mode) : NULL;
}

WRAPPED(OSSL_STORE_CTX *, OSSL_STORE_open, const char *uri, const UI_METHOD *ui, void *ui_data,
	OSSL_STORE_post_process_info_fn post, void *post_data)
{
	if (strncmp(uri, "file:", 5) != 0 || !is_below(uri + 5))
		return NULL;
	return __real_OSSL_STORE_open(uri, ui, ui_data, post, post_data);
}

WRAPPED(int, SSL_CONF_cmd, SSL_CONF_CTX *conf, const char *name, const char *value)
{
	int type = SSL_CONF_cmd_value_type(conf, name);
	bool file = type == SSL_CONF_TYPE_FILE || type == SSL_CONF_TYPE_DIR ||
		    type == SSL_CONF_TYPE_STORE;

	return !file || is_below(value) ? __real_SSL_CONF_cmd(conf, name, value) : 0;
}

/* A provider is code. */
WRAPPED(OSSL_PROVIDER *, OSSL_PROVIDER_try_load, OSSL_LIB_CTX *library, const char *name, int keep)
{
	(void)library, (void)name, (void)keep;
	return NULL;
}

/* Sockets serve to see what the system can do; here it can nothing. */
WRAPPED(int, socket, int domain, int type, int protocol)
{
	(void)domain, (void)type, (void)protocol;
	return errno = EACCES, -1;
}

/* Names that take a look-up have no answer. */
WRAPPED(pid_t, fork, void)
{
	return errno = EAGAIN, -1;
}

WRAPPED(int, getaddrinfo, const char *host, const char *port, const struct addrinfo *hints,
	struct addrinfo **found)
{
	if (host && !(hints->ai_flags & AI_NUMERICHOST))
		abort();
	return __real_getaddrinfo(host, port, hints, found);
}

WRAPPED(int, setenv, const char *name, const char *value, int replace)
{
	(void)name, (void)value, (void)replace;
	return 0;
}

WRAPPED(int, unsetenv, const char *name)
{
	(void)name;
	return 0;
}

WRAPPED(void, log_main, int level, const char *format, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	errors += level <= LOG_ERR;
}

/* --- the target ------------------------------------------------------------------------------- */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	if (chdir("config-files") != 0) {
		perror("config-files");
		exit(1);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("config", MFD_CLOEXEC);
	struct config *config;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) != 0)
		abort();
	errors = 0;
	loading = true;
	config = reader_load(NULL, fd, READER_TEST);
	loading = false;
	if (!config && errors < 2) /* the verdict is one of them */
		abort();
	for (size_t i = 0; config && i < config->count; i++)
		if (!config->section[i]->service.tls)
			abort();
	config_free(config);
	return 0;
}
