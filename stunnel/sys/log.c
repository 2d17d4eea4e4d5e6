/* SPDX-License-Identifier: ISC */
#include "sys/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/span.h"
#include "sys/confined.h"
#include "sys/log_file.h"
#include "sys/log_syslog.h"
#include "sys/shared.h"

#define LINE_MAX (6 * LOG_LINE_MAX + 256) /* with date, level and id, and all of JSON escaped */
#define SHORT_MAX (LOG_LINE_MAX + 64)	  /* with what a line has in front elsewhere */
#define GATHERED_MAX (4 * LINE_MAX)

/* A line that was logged before log_open(), kept until the sinks are known. */
struct kept {
	struct kept *next;
	int level;
	char text[];
};

/* Lines that are made and not written yet. The length is the last to know of a line. */
struct gathered {
	atomic_size_t len;
	char text[GATHERED_MAX];
};

/* They are not on the stack: handshakes log from jobs of OpenSSL's, whose stacks have 32 KiB. */
struct log_lines {
	struct gathered file, standard_error;
};

/* A file for lines, and the number of lines that it has lost since the last one written. */
struct sink {
	struct log_file file;
	unsigned long lost;
	int why;      /* errno of the last loss */
	bool journal; /* it is systemd's journal */
};

#define NO_SINK                     \
	{                           \
		.file = {.fd = -1 } \
	}

/* The sinks of one configuration. */
struct state {
	struct log_sinks sinks;
	char *ident, *root, *path; /* copies that the strings of sinks point at */
	struct sink file;
};

static struct state current = {.file = NO_SINK}, replaced = {.file = NO_SINK};
static struct sink standard_error = NO_SINK;
static struct log_lines own, *lines = &own;
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

void log_syslog(int level, const char *text)
{
	log_syslog_send(level, text);
}

/* The length of the line, which is not too long for LINE_MAX. */
static size_t put_line(const struct sink *sink, char *line, const char *id, int level,
		       const char *text)
{
	const struct log_form_line of = {id, level, text};
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return log_form_put(line, LINE_MAX, current.sinks.format, sink->journal, &now, &of);
}

/* Writes the number of lost lines where they are missing; false if that is not possible yet. */
static bool tell_losses(struct sink *sink)
{
	static char line[LINE_MAX];
	char text[128];
	size_t len;

	if (sink->lost == 0)
		return true;
	snprintf(text, sizeof text, "%lu log line(s) lost: %s (%d)", sink->lost,
		 strerror(sink->why), sink->why);
	len = put_line(sink, line, name, LOG_WARNING, text);
	if (log_file_write(&sink->file, line, len) != len)
		return false;
	sink->lost = 0;
	return true;
}

static void write_gathered(struct sink *sink, struct gathered *from)
{
	size_t len = atomic_load(&from->len), written;

	if (len == 0)
		return;
	/* Of a worker that has crashed, or was taken over, this may be any number. */
	if (len > GATHERED_MAX)
		len = 0;
	written = tell_losses(sink) ? log_file_write(&sink->file, from->text, len) : 0;
	if (written < len)
		sink->why = errno;
	for (; written < len; written++)
		sink->lost += from->text[written] == '\n';
	atomic_store(&from->len, 0);
}

static void write_all_gathered(struct log_lines *from)
{
	write_gathered(&current.file, &from->file);
	write_gathered(&standard_error, &from->standard_error);
}

bool log_flush(void)
{
	write_all_gathered(lines);
	return log_syslog_flush();
}

bool log_gathered(void)
{
	return atomic_load(&lines->file.len) != 0 || atomic_load(&lines->standard_error.len) != 0;
}

static void add_line(struct sink *sink, struct gathered *to, int level, struct span line)
{
	size_t len = atomic_load(&to->len);

	if (GATHERED_MAX - len < line.len) {
		write_gathered(sink, to);
		len = 0;
	}
	memcpy(to->text + len, line.p, line.len);
	atomic_store(&to->len, len + line.len);
	if (lines == &own || level <= LOG_WARNING)
		write_gathered(sink, to);
}

/* To the file and to standard error, where they are wanted; they often get the same line. */
static void add_to_files(const char *id, int level, const char *text)
{
	static char line[LINE_MAX]; /* not on the stack, as struct log_lines is not */
	bool to_file = current.file.file.fd >= 0, to_error = current.sinks.to_stderr;
	size_t len = 0;

	if (to_file) {
		len = put_line(&current.file, line, id, level, text);
		add_line(&current.file, &lines->file, level, span_of(line, len));
	}
	if (!to_error)
		return;
	if (!to_file || current.file.journal != standard_error.journal)
		len = put_line(&standard_error, line, id, level, text);
	add_line(&standard_error, &lines->standard_error, level, span_of(line, len));
}

/* Standard error is written without blocking: whoever started the daemon may not read it. */
static void show_error(const char *text)
{
	char line[SHORT_MAX];
	int len = snprintf(line, sizeof line, "[!] %s\n", text);

	if (len > 0 && len < (int)sizeof line &&
	    (standard_error.file.fd >= 0 ||
	     log_file_adopt(&standard_error.file, STDERR_FILENO) == 0))
		log_file_write(&standard_error.file, line, (size_t)len);
}

static void emit(const char *id, int level, const char *text)
{
	const struct log_sinks *to = &current.sinks;
	char line[SHORT_MAX];

	if (starting && level <= LOG_ERR && !to->to_stderr)
		show_error(text);
	/* The journal is who reads /dev/log, too, and would show each line twice. */
	if (to->to_syslog && !current.file.journal && !(to->to_stderr && standard_error.journal) &&
	    snprintf(line, sizeof line, "LOG%d[%s]: %s", level, id, text) > 0)
		log_syslog_send(level, line);
	add_to_files(id, level, text);
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

static void free_state(struct state *s)
{
	log_file_close(&s->file.file);
	free(s->ident);
	free(s->root);
	free(s->path);
	*s = (struct state){.file = NO_SINK};
}

/* $JOURNAL_STREAM names the journal's socket, which a child's descriptor need not be any more. */
static bool is_journal(int fd)
{
	const char *told = getenv("JOURNAL_STREAM");
	char text[64];
	struct stat st;

	if (!told || fstat(fd, &st) != 0)
		return false;
	snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	return !strcmp(told, text);
}

static int open_standard_error(void)
{
	standard_error.journal = is_journal(STDERR_FILENO);
	return log_file_adopt(&standard_error.file, STDERR_FILENO);
}

/* 0 or -errno; after an error *s holds nothing. */
static int make_state(struct state *s, const struct log_sinks *wanted)
{
	int rc = 0;

	*s = (struct state){.sinks = *wanted, .file = NO_SINK};
	/* So that no line is there twice. */
	if (wanted->path && log_file_standard(wanted->path) == STDERR_FILENO) {
		s->sinks.to_stderr = true;
		wanted = &s->sinks;
		s->sinks.path = NULL;
	}
	if ((wanted->ident && !(s->ident = strdup(wanted->ident))) ||
	    (wanted->root && !(s->root = strdup(wanted->root))) ||
	    (wanted->path && !(s->path = strdup(wanted->path))))
		rc = -ENOMEM;
	s->sinks.ident = s->ident;
	s->sinks.root = s->root;
	s->sinks.path = s->path;
	if (rc == 0 && s->path)
		rc = log_file_open(&s->file.file, s->root, s->path, wanted->overwrite);
	if (rc == 0 && s->path && log_file_standard(s->path) == STDOUT_FILENO)
		s->file.journal = is_journal(STDOUT_FILENO);
	if (rc == 0 && wanted->to_stderr && standard_error.file.fd < 0)
		rc = open_standard_error();
	if (rc != 0)
		free_state(s);
	return rc;
}

static void open_syslog(void)
{
	const struct log_sinks *s = &current.sinks;

	if (s->to_syslog || s->for_access)
		log_syslog_open(s->ident, s->facility);
	else
		log_syslog_close();
}

static bool say_failure(const struct log_sinks *s, int rc)
{
	log_main(LOG_ERR, "Cannot open log file: %s%s: %s (%d)", s->root ? s->root : "", s->path,
		 confined_why(rc), -rc);
	return false;
}

bool log_open(const struct log_sinks *wanted)
{
	struct state opened;
	int rc = make_state(&opened, wanted);

	if (rc != 0)
		return say_failure(wanted, rc);
	free_state(&replaced);
	replaced = current;
	current = opened;
	open_syslog();
	open_yet = true;
	for (struct kept *k = kept_first; k; k = k->next)
		if (k->level <= current.sinks.level)
			emit(name, k->level, k->text);
	forget_kept();
	return true;
}

void log_settle(void)
{
	free_state(&replaced);
}

void log_revert(void)
{
	struct state given_up = current;

	current = replaced;
	replaced = (struct state){.file = NO_SINK};
	open_syslog();
	free_state(&given_up);
}

bool log_reopen(bool may_truncate)
{
	const struct log_sinks *s = &current.sinks;
	int rc;

	if (!s->path)
		return true;
	write_all_gathered(lines); /* they are older than the rotation */
	rc = log_file_open(&current.file.file, s->root, s->path, may_truncate && s->overwrite);
	return rc == 0 || say_failure(s, rc);
}

void log_confined(void)
{
	free(current.root);
	current.root = NULL;
	current.sinks.root = NULL;
}

void log_try(void)
{
	const char *path = current.sinks.path;
	int rc = path ? log_file_try(&current.file.file, path) : 0;

	if (rc != 0)
		log_main(LOG_WARNING,
			 "Workers cannot open the log file after a rotation: %s: %s (%d)", path,
			 confined_why(rc), -rc);
}

void log_forked(void)
{
	log_settle();
	log_syslog_forked();
}

struct log_lines *log_lines_new(void)
{
	return shared_new(sizeof(struct log_lines));
}

void log_lines_free(struct log_lines *l)
{
	if (l == lines)
		lines = &own;
	shared_free(l, sizeof *l);
}

void log_gather(struct log_lines *to)
{
	lines = to;
}

void log_lines_rest(struct log_lines *of)
{
	write_all_gathered(of);
}

void log_own(unsigned uid, unsigned gid)
{
	const char *why = log_file_own(&current.file.file, uid, gid);

	if (why)
		log_main(LOG_WARNING, "Cannot hand the log file to user %u: %s", uid, why);
}

void log_started(void)
{
	starting = false;
	if (!current.sinks.to_stderr)
		log_file_close(&standard_error.file); /* a daemon keeps no terminal open */
}

void log_name(const char *id)
{
	name = id;
}

/* The character that stock prints for a level on the terminal. */
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
