/* SPDX-License-Identifier: ISC */
#include "conn/access.h"

#include <errno.h>
#include <string.h>

#include "sys/confined.h"
#include "sys/log.h"
#include "sys/shared.h"

_Static_assert(ACCESS_BUFFER_MAX > EXCHANGE_LINE_MAX, "one line has room, with its end");

/* --- files ------------------------------------------------------------------------------------ */

static int open_one(struct access_file *file, const char *root)
{
	const char *receiver = file->path ? log_file_receiver(file->path) : NULL;

	if (!file->path)
		return 0;
	return receiver ? log_file_send_to(&file->log, receiver)
			: log_file_open(&file->log, root, file->path, false);
}

static bool open_logged(struct access_file *file, const char *root)
{
	int rc = open_one(file, root);

	if (rc != 0)
		log_main(LOG_ERR, "Cannot open access log: %s%s: %s (%d)", root ? root : "",
			 file->path, confined_why(rc), -rc);
	return rc == 0;
}

bool access_open(struct access_file *list, const char *root)
{
	bool all = true;

	for (struct access_file *file = list; file; file = file->next)
		all &= open_logged(file, root);
	return all;
}

void access_close(struct access_file *list)
{
	for (struct access_file *file = list; file; file = file->next)
		log_file_close(&file->log);
}

void access_try(const struct access_file *list)
{
	for (const struct access_file *file = list; file; file = file->next) {
		int rc = file->path ? log_file_try(&file->log, file->path) : 0;

		if (rc != 0)
			log_main(LOG_WARNING,
				 "Workers cannot open access log after a rotation: %s: %s (%d)",
				 file->path, confined_why(rc), -rc);
	}
}

void access_own(const struct access_file *list, unsigned uid, unsigned gid)
{
	for (const struct access_file *file = list; file; file = file->next) {
		const char *why = log_file_own(&file->log, uid, gid);

		if (why)
			log_main(LOG_WARNING, "Cannot hand access log %s to user %u: %s",
				 file->path, uid, why);
	}
}

static void say_failing(struct access_file *file)
{
	if (file->failing)
		return;
	file->failing = true;
	log_main(LOG_ERR, "Cannot write access log: %s: %s (%d)", file->path, strerror(file->why),
		 file->why);
}

static void say_written_again(struct access_file *file)
{
	if (!file->failing)
		return;
	file->failing = false;
	log_main(LOG_NOTICE, "Access log is written again: %s: %lu line(s) lost", file->path,
		 file->lost);
	file->lost = 0;
}

/* Writes the lines; how many bytes of them are left. */
static size_t flush(struct access_file *file)
{
	struct access_lines *lines = file->lines;
	size_t len = lines->len, written;

	/* Of a worker that has crashed, or was taken over, this may be any number. */
	if (len > ACCESS_BUFFER_MAX)
		len = 0;
	written = log_file_write(&file->log, lines->text, len);
	if (written < len) {
		file->why = errno;
		if (file->why != EAGAIN) /* a slow reader of a pipe, by which no line is lost yet */
			say_failing(file);
	}
	memmove(lines->text, lines->text + written, len - written);
	lines->len = len - written;
	if (written == len)
		say_written_again(file);
	return len - written;
}

void access_flush(struct access_file *list)
{
	for (struct access_file *file = list; file; file = file->next)
		if (file->lines->len != 0)
			flush(file);
}

static void finish(struct access_file *file)
{
	struct access_lines *lines = file->lines;
	size_t left = lines->len != 0 ? flush(file) : 0;

	for (size_t i = 0; i < left; i++)
		file->lost += lines->text[i] == '\n';
	lines->len = 0;
	if (file->lost != 0)
		log_main(LOG_ERR, "Access log %s: %lu line(s) lost", file->path, file->lost);
	file->lost = 0;
}

void access_finish(struct access_file *list)
{
	for (struct access_file *file = list; file; file = file->next)
		finish(file);
}

/* --- memory for lines ------------------------------------------------------------------------- */

static size_t shared_size(const struct access_file *file)
{
	return file->workers * sizeof *file->shared;
}

bool access_share(struct access_file *list, size_t workers)
{
	for (struct access_file *file = list; file; file = file->next) {
		file->workers = workers;
		file->shared = shared_new(shared_size(file));
		if (!file->shared)
			return false;
	}
	return true;
}

void access_unshare(struct access_file *list)
{
	for (struct access_file *file = list; file; file = file->next) {
		shared_free(file->shared, shared_size(file));
		file->shared = file->lines = NULL;
	}
}

void access_gather(struct access_file *list, size_t worker)
{
	for (struct access_file *file = list; file; file = file->next)
		file->lines = &file->shared[worker];
}

static void write_rest(struct access_file *file, const char *root)
{
	bool closed = file->log.fd < 0;

	if (file->lines->len == 0 || (closed && !open_logged(file, root)))
		return;
	finish(file);
	file->failing = false;
	if (closed)
		log_file_close(&file->log);
}

void access_rest(struct access_file *list, size_t worker, const char *root)
{
	access_gather(list, worker);
	for (struct access_file *file = list; file; file = file->next)
		write_rest(file, root);
}

/* --- lines ------------------------------------------------------------------------------------ */

static bool add_line(struct access_file *file, struct exchanges *all,
		     const struct exchange *exchange)
{
	struct out out = out_of(file->lines->text, ACCESS_BUFFER_MAX);

	out.len = file->lines->len;
	exchange_put(all, exchange, &out);
	out_char(&out, file->path ? '\n' : '\0');
	if (out.full)
		return false;
	if (file->path)
		file->lines->len = out.len;
	else
		log_syslog(LOG_INFO, file->lines->text);
	return true;
}

static void write_line(void *owner, struct exchanges *all, const struct exchange *exchange)
{
	struct access_file *file = owner;

	if (add_line(file, all, exchange))
		return;
	flush(file); /* an empty buffer has room for any line */
	if (!add_line(file, all, exchange)) {
		file->lost++;
		say_failing(file);
	}
}

static void say_lost(void *owner)
{
	(void)owner;
	log_main(LOG_ERR, "Out of memory: access log lines are lost");
}

void access_begin(struct exchanges *all, const struct access_log *log, struct h1 *h1,
		  const char *service)
{
	static const struct exchange_sink sink = {write_line, say_lost};

	exchange_begin(all, &log->format, &sink, log->file, h1, span_of(service, strlen(service)));
}
