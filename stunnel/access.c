/* SPDX-License-Identifier: ISC */
#include "access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "confined.h"
#include "http.h"
#include "log.h"

struct access_record {
	struct access_record *next;
	uint64_t number;
	struct timespec time;		 /* of day */
	uint64_t begin, first_byte, end; /* microseconds of the monotonic clock; 0: not yet */
	int status;
	uint64_t bytes;
	size_t line_len, referer_len, agent_len;
	char text[]; /* these three */
};

/* --- formats ---------------------------------------------------------------------------------- */

static const struct format {
	const char *name, *template;
} formats[] = {
	{"combined", "%{client_ip} - - [%{time}] \"%{request}\" %{status} %{bytes} \"%{referer}\" "
		     "\"%{user_agent}\" %{time_first_byte} %{time_total} %{tls_version} "
		     "%{tls_cipher} %{sni} %{session_reused} %{request_id}"},
	{"json", "{\"time\":\"%{time_iso8601}\",\"client\":\"%{client_ip}\","
		 "\"port\":%{client_port},\"request\":\"%{request}\",\"status\":%{status},"
		 "\"bytes\":%{bytes},\"referer\":\"%{referer}\",\"user_agent\":\"%{user_agent}\","
		 "\"first_byte\":%{time_first_byte},\"total\":%{time_total},"
		 "\"tls_version\":\"%{tls_version}\",\"tls_cipher\":\"%{tls_cipher}\","
		 "\"sni\":\"%{sni}\",\"session_reused\":%{session_reused},"
		 "\"request_id\":\"%{request_id}\"}"},
};

const char *access_format(struct access_log *log, const char *format)
{
	const char *why;

	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
		if (!strcmp(format, formats[i].name))
			format = formats[i].template;
	log->place = format[0] == '{' ? TEMPLATE_IN_JSON : TEMPLATE_IN_LOG;
	log->pool = (struct template_pool){0};
	why = template_compile(&log->pool, span_of(format, strlen(format)), log->place, &log->line);
	if (why)
		return why;
	if (log->line.count == 0)
		return "The format is empty";
	if (log->pool.variables == UINT32_C(1)) /* literals */
		return "Neither 'combined' nor 'json' nor a template: it has no variable, as "
		       "%{time}, %{client_ip}, %{request} or %{status}";
	/* Of one byte six become at most, as \u00FF; template.max has three of them in mind. */
	if (2 * (size_t)log->line.max + 1 > ACCESS_BUFFER_MAX)
		return "The lines of this format could become too long";
	return NULL;
}

/* --- files ------------------------------------------------------------------------------------ */

bool access_open(struct access_file *list, const char *root)
{
	bool all = true;

	for (struct access_file *file = list; file; file = file->next) {
		int rc = file->path ? log_file_open(&file->log, root, file->path, false) : 0;

		if (rc != 0)
			log_main(LOG_ERR, "Cannot open access log: %s%s: %s (%d)", root ? root : "",
				 file->path, confined_why(rc), -rc);
		all &= rc == 0;
	}
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

static void flush(struct access_file *file)
{
	size_t written = log_file_write(&file->log, file->buffer, file->len);

	if (written < file->len) {
		file->why = errno;
		if (file->why != EAGAIN) /* a reader that is slow costs nothing as yet */
			say_failing(file);
	}
	file->len -= written;
	memmove(file->buffer, file->buffer + written, file->len);
	if (file->len != 0 || !file->failing)
		return;
	file->failing = false;
	log_main(LOG_NOTICE, "Access log is written again: %s: %lu line(s) lost", file->path,
		 file->lost);
	file->lost = 0;
}

void access_flush(struct access_file *list)
{
	for (struct access_file *file = list; file; file = file->next)
		if (file->len != 0)
			flush(file);
}

void access_finish(struct access_file *list)
{
	access_flush(list);
	for (struct access_file *file = list; file; file = file->next) {
		for (size_t i = 0; i < file->len; i++)
			file->lost += file->buffer[i] == '\n';
		if (file->lost != 0)
			log_main(LOG_ERR, "Access log %s: %lu line(s) lost", file->path,
				 file->lost);
	}
}

/* --- lines ------------------------------------------------------------------------------------ */

/* As log readers expect it: 23/Nov/2026:09:00:00 +0000. */
static struct span clf_time(const struct timespec *at)
{
	static char text[40];
	static time_t made;
	static size_t len;
	struct tm tm;

	if (at->tv_sec != made && localtime_r(&at->tv_sec, &tm)) {
		len = strftime(text, sizeof text, "%d/%b/%Y:%H:%M:%S %z", &tm);
		made = at->tv_sec;
	}
	return span_of(text, len);
}

/* 2026-11-23T09:00:00.123Z */
static struct span iso_time(const struct timespec *at, char text[static 40])
{
	struct out out = out_of(text, 40);
	long ms = at->tv_nsec / 1000000;
	struct tm tm;

	if (!gmtime_r(&at->tv_sec, &tm))
		return span_of(text, 0);
	out.len = strftime(text, 40, "%Y-%m-%dT%H:%M:%S.", &tm);
	out_char(&out, (char)('0' + ms / 100));
	out_char(&out, (char)('0' + ms / 10 % 10));
	out_char(&out, (char)('0' + ms % 10));
	out_char(&out, 'Z');
	return out_span(&out);
}

static void put_line(const struct access *a, const struct access_record *r, struct out *out)
{
	char iso[40];
	const char *referer = r->text + r->line_len, *agent = referer + r->referer_len;
	const struct template_exchange exchange = {
		.request_line = span_of(r->text, r->line_len),
		.referer = span_of(referer, r->referer_len),
		.user_agent = span_of(agent, r->agent_len),
		.time = clf_time(&r->time),
		.iso_time = iso_time(&r->time, iso),
		.status = r->status,
		.bytes = r->bytes,
		.first_byte = r->first_byte != 0 ? r->first_byte - r->begin : 0,
		.total = r->end - r->begin,
	};
	const struct template_source from = {a->h1->facts, NULL, &exchange, r->number,
					     a->log->place};

	template_put(&a->log->pool, &a->log->line, &from, out);
}

static bool add_line(const struct access *a, const struct access_record *r)
{
	struct access_file *file = a->log->file;
	struct out out = out_of(file->buffer, ACCESS_BUFFER_MAX);

	out.len = file->len;
	put_line(a, r, &out);
	out_char(&out, file->path ? '\n' : '\0');
	if (out.full)
		return false;
	if (file->path)
		file->len = out.len;
	else
		log_syslog(LOG_INFO, file->buffer);
	return true;
}

static void write_line(const struct access *a, const struct access_record *r)
{
	struct access_file *file = a->log->file;

	if (add_line(a, r))
		return;
	flush(file); /* access_format() saw to it that one line has room */
	if (!add_line(a, r)) {
		file->lost++;
		say_failing(file);
	}
}

/* --- one connection's requests ---------------------------------------------------------------- */

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static size_t keep(char *to, struct span s, size_t max)
{
	size_t len = s.len < max ? s.len : max;

	if (len != 0)
		memcpy(to, s.p, len);
	return len;
}

/* Without memory nothing more is logged of this connection: no line may name the wrong request. */
static void give_up(struct access *a)
{
	log_main(LOG_ERR, "Out of memory: access log lines are lost");
	a->h1->watch = NULL;
	a->log = NULL;
}

static void add_record(struct access *a, struct span line, struct span referer, struct span agent)
{
	size_t room = line.len + referer.len + agent.len;
	struct access_record *r;

	if (room > TEMPLATE_REQUEST_MAX + TEMPLATE_REFERER_MAX + TEMPLATE_AGENT_MAX)
		room = TEMPLATE_REQUEST_MAX + TEMPLATE_REFERER_MAX + TEMPLATE_AGENT_MAX;
	r = calloc(1, sizeof *r + room);
	if (!r) {
		give_up(a);
		return;
	}
	r->number = a->h1->requests + 1;
	r->begin = now();
	clock_gettime(CLOCK_REALTIME, &r->time);
	r->line_len = keep(r->text, line, TEMPLATE_REQUEST_MAX);
	r->referer_len = keep(r->text + r->line_len, referer, TEMPLATE_REFERER_MAX);
	r->agent_len = keep(r->text + r->line_len + r->referer_len, agent, TEMPLATE_AGENT_MAX);
	*a->last = r;
	a->last = &r->next;
}

static struct span value_of(const struct h1_head *head, struct span name)
{
	for (size_t i = 0; i < head->count; i++)
		if (head->field[i].id == HTTP_OTHER && http_equal(head->field[i].name, name))
			return head->field[i].value;
	return span_of(NULL, 0);
}

static void on_request(void *owner, struct span line, const struct h1_head *head)
{
	const struct span none = {0};

	add_record(owner, line, head ? value_of(head, SPAN("Referer")) : none,
		   head ? value_of(head, SPAN("User-Agent")) : none);
}

static void on_response(void *owner, int status)
{
	struct access_record *r = ((struct access *)owner)->first;

	if (!r)
		return;
	r->status = status;
	r->first_byte = now();
}

/* The first request's line is written, and the next one has its turn. */
static void finish_first(struct access *a)
{
	struct access_record *r = a->first;

	r->end = now();
	if (a->log)
		write_line(a, r);
	a->first = r->next;
	if (!a->first)
		a->last = &a->first;
	free(r);
}

static void on_done(void *owner, uint64_t bytes)
{
	struct access *a = owner;

	if (!a->first)
		return;
	a->first->bytes = bytes;
	finish_first(a);
}

void access_begin(struct access *a, const struct access_log *log, struct h1 *h1)
{
	static const struct h1_watch watch = {on_request, on_response, on_done};

	*a = (struct access){.log = log, .h1 = h1};
	a->last = &a->first;
	h1->watch = &watch;
	h1->watch_owner = a;
}

void access_answer(struct access *a, enum error error)
{
	if (!a->log)
		return;
	if (!a->first) /* a head that did not come to its end */
		add_record(a, span_of(NULL, 0), span_of(NULL, 0), span_of(NULL, 0));
	if (!a->first)
		return;
	on_response(a, error_info[error].status);
	on_done(a, h1_answers_head(a->h1) ? 0 : http_error_length(error));
}

void access_end(struct access *a)
{
	if (a->first && a->first->status != 0)
		a->first->bytes = a->h1->response_bytes;
	while (a->first)
		finish_first(a);
}
