/* SPDX-License-Identifier: ISC */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A line from before the sinks were open. */
struct kept {
	struct kept *next;
	int level;
	char text[];
};

/* Sinks that are open. */
struct state {
	struct log_sinks sinks;
	char *ident, *path; /* what the strings of sinks are: copies of our own */
	int file;	    /* -1: none */
};

static struct state current = {.file = -1}, replaced = {.file = -1};
static bool open_yet, starting = true;
static const char *name = "ui";
static struct kept *kept_first, **kept_last = &kept_first;

static void keep(int level, const char *text)
{
	size_t size = strlen(text) + 1;
	struct kept *k = malloc(sizeof *k + size);

	if (!k)
		return;
	k->next = NULL;
	k->level = level;
	memcpy(k->text, text, size);
	*kept_last = k;
	kept_last = &k->next;
}

static void forget_kept(void)
{
	while (kept_first) {
		struct kept *next = kept_first->next;

		free(kept_first);
		kept_first = next;
	}
	kept_last = &kept_first;
}

static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '.';
}

static const char *timestamp(void)
{
	static char text[32];
	static time_t last;
	time_t now = time(NULL);
	struct tm tm;

	if (now != last && localtime_r(&now, &tm)) {
		strftime(text, sizeof text, "%Y.%m.%d %H:%M:%S", &tm);
		last = now;
	}
	return text;
}

bool log_file_write(int fd, const char *p, size_t len)
{
	while (len != 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

void log_syslog(int level, const char *text)
{
	syslog(level, "%s", text);
}

static void emit(const char *id, int level, const char *text)
{
	const struct log_sinks *to = &current.sinks;
	char line[LOG_LINE_MAX + 128];
	int len;

	if (starting && level <= LOG_ERR && !to->to_stderr)
		fprintf(stderr, "[!] %s\n", text);
	if (to->to_syslog)
		syslog(level, "LOG%d[%s]: %s", level, id, text);
	if (current.file < 0 && !to->to_stderr)
		return;
	len = snprintf(line, sizeof line, "%s LOG%d[%s]: %s\n", timestamp(), level, id, text);
	if (len <= 0 || (size_t)len >= sizeof line)
		return;
	/* One write a line: the workers append to the same file. A failure has nobody to tell. */
	if (current.file >= 0)
		log_file_write(current.file, line, (size_t)len);
	if (to->to_stderr)
		log_file_write(STDERR_FILENO, line, (size_t)len);
}

static void log_text(int threshold, const char *id, int level, const char *format, va_list ap)
	__attribute__((format(printf, 4, 0)));

static void log_text(int threshold, const char *id, int level, const char *format, va_list ap)
{
	char text[LOG_LINE_MAX];

	if (open_yet && level > threshold)
		return;
	vsnprintf(text, sizeof text, format, ap);
	make_printable(text);
	if (open_yet)
		emit(id, level, text);
	else
		keep(level, text);
}

void log_main(int level, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	log_text(current.sinks.level, name, level, format, ap);
	va_end(ap);
}

void log_line(int threshold, const char *id, int level, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	log_text(threshold, id, level, format, ap);
	va_end(ap);
}

int log_file_open(const char *path, bool truncate)
{
	int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY;
	struct stat st;
	int fd;

	/*
	 * The directory may belong to the user whom the workers run as, and we may be root: that
	 * user's links must not lead us to anybody else's file.
	 */
	if (strncmp(path, "/dev/", 5) != 0)
		flags |= O_NOFOLLOW;
	fd = open(path, flags, 0640);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return fd;
	if (st.st_nlink == 1 && (!truncate || ftruncate(fd, 0) == 0))
		return fd;
	close(fd);
	return -EMLINK;
}

void log_file_own(int fd, unsigned uid, unsigned gid)
{
	struct stat st;

	/* Only a file of ours, not a terminal or a device that we happen to write to. */
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid != uid &&
	    fchown(fd, uid, gid) != 0)
		log_main(LOG_WARNING, "Cannot hand the log file to user %u: %s (%d)", uid,
			 strerror(errno), errno);
}

static void free_state(struct state *s)
{
	if (s->file >= 0)
		close(s->file);
	free(s->ident);
	free(s->path);
	*s = (struct state){.file = -1};
}

/* 0 or -errno, and then there is nothing to free. */
static int make_state(struct state *s, const struct log_sinks *wanted)
{
	int rc = 0;

	*s = (struct state){.sinks = *wanted, .file = -1};
	if ((wanted->ident && !(s->ident = strdup(wanted->ident))) ||
	    (wanted->path && !(s->path = strdup(wanted->path))))
		rc = -ENOMEM;
	s->sinks.ident = s->ident;
	s->sinks.path = s->path;
	if (rc == 0 && s->path)
		rc = s->file = log_file_open(s->path, wanted->overwrite);
	if (rc < 0)
		free_state(s);
	return rc < 0 ? rc : 0;
}

static void open_syslog(void)
{
	const struct log_sinks *s = &current.sinks;

	closelog();
	if (s->to_syslog || s->for_access)
		openlog(s->ident, LOG_CONS | LOG_NDELAY, s->facility);
}

int log_open(const struct log_sinks *wanted)
{
	struct state opened;
	int rc = make_state(&opened, wanted);

	if (rc != 0)
		return rc;
	free_state(&replaced);
	replaced = current;
	current = opened;
	open_syslog();
	open_yet = true;
	for (struct kept *k = kept_first; k; k = k->next)
		if (k->level <= current.sinks.level)
			emit(name, k->level, k->text);
	forget_kept();
	return 0;
}

void log_settle(void)
{
	free_state(&replaced);
}

void log_revert(void)
{
	struct state given_up = current;

	current = replaced;
	replaced = (struct state){.file = -1};
	open_syslog(); /* before the name that it was opened with is freed */
	free_state(&given_up);
}

bool log_reopen(bool may_truncate)
{
	int opened;

	if (!current.path)
		return true;
	opened = log_file_open(current.path, may_truncate && current.sinks.overwrite);
	if (opened < 0) {
		log_main(LOG_ERR, "Cannot open log file: %s: %s (%d)", current.path,
			 strerror(-opened), -opened);
		return false;
	}
	close(current.file);
	current.file = opened;
	return true;
}

void log_path(const char *path)
{
	char *copy = current.sinks.path && path ? strdup(path) : NULL;

	if (!copy)
		return;
	free(current.path);
	current.path = copy;
	current.sinks.path = copy;
}

void log_own(unsigned uid, unsigned gid)
{
	log_file_own(current.file, uid, gid);
}

void log_started(void)
{
	starting = false;
}

void log_name(const char *id)
{
	name = id;
}

/* As stock marks them. */
static char mark(int level)
{
	return level < LOG_ERR	      ? '*'
	       : level == LOG_ERR     ? '!'
	       : level == LOG_WARNING ? ':'
	       : level == LOG_NOTICE  ? '.'
				      : ' ';
}

void log_unopened(int level)
{
	for (struct kept *k = kept_first; k; k = k->next)
		if (k->level <= level)
			fprintf(stderr, "[%c] %s\n", mark(k->level), k->text);
	forget_kept();
}
