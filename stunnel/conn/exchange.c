/* SPDX-License-Identifier: ISC */
#include "conn/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "core/http.h"
#include "core/trace.h"

#define TEXTS_MAX \
	(TEMPLATE_REQUEST_MAX + TEMPLATE_REFERER_MAX + TEMPLATE_AGENT_MAX + TEMPLATE_HOST_MAX)

struct exchange {
	struct exchange *next;
	uint64_t number;
	char trace_id[TRACE_ID_LEN];	 /* if the format tells of traces */
	struct timespec time;		 /* by the wall clock */
	uint64_t begin, first_byte, end; /* microseconds of the monotonic clock; 0: not yet */
	int status;
	uint64_t bytes;
	bool refused; /* no backend has seen it */
	uint64_t connect;
	size_t line_len, referer_len, agent_len, host_len;
	char text[]; /* request line, Referer, User-Agent, Host */
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
		 "\"request_id\":\"%{request_id}\",\"service\":\"%{service}\","
		 "\"host\":\"%{host}\",\"backend\":\"%{backend}\",\"connect\":%{time_connect}}"},
};

const char *exchange_format(struct exchange_format *format, const char *text)
{
	const char *why;

	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
		if (!strcmp(text, formats[i].name))
			text = formats[i].template;
	format->place = text[0] == '{' ? TEMPLATE_IN_JSON : TEMPLATE_IN_LOG;
	format->pool = (struct template_pool){0};
	why = template_compile(&format->pool, span_of(text, strlen(text)), format->place,
			       &format->line);
	if (why)
		return why;
	format->traces = template_uses(&format->pool, SPAN("trace_id"));
	if (format->line.count == 0)
		return "The format is empty";
	if (!template_varies(&format->pool))
		return "Neither 'combined' nor 'json' nor a template: it has no variable, as "
		       "%{time}, %{client_ip}, %{request} or %{status}";
	if (exchange_line_max(format) > EXCHANGE_LINE_MAX)
		return "The lines of this format could become too long";
	return NULL;
}

/* A byte becomes six at most, \u00FF; template.max counts three for it, %FF. */
size_t exchange_line_max(const struct exchange_format *format)
{
	return 2 * (size_t)format->line.max;
}

/* --- lines ------------------------------------------------------------------------------------ */

/* As log readers expect it: 23/Nov/2026:09:00:00 +0000. */
static struct span clf_time(struct exchanges *all, const struct timespec *at)
{
	struct tm tm;

	if (at->tv_sec != all->clock_second && localtime_r(&at->tv_sec, &tm)) {
		all->clock_len =
			strftime(all->clock, sizeof all->clock, "%d/%b/%Y:%H:%M:%S %z", &tm);
		all->clock_second = at->tv_sec;
	}
	return span_of(all->clock, all->clock_len);
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

void exchange_put(struct exchanges *all, const struct exchange *r, struct out *out)
{
	char iso[40];
	const char *referer = r->text + r->line_len, *agent = referer + r->referer_len;
	const struct exchange_back *back = &all->back;
	const struct template_exchange exchange = {
		.request_line = span_of(r->text, r->line_len),
		.referer = span_of(referer, r->referer_len),
		.user_agent = span_of(agent, r->agent_len),
		.host = span_of(agent + r->agent_len, r->host_len),
		.trace_id = span_of(r->trace_id, all->format->traces ? TRACE_ID_LEN : 0),
		.service = all->service,
		.backend = r->refused ? span_of(NULL, 0) : span_of(back->text, back->len),
		.time = clf_time(all, &r->time),
		.iso_time = iso_time(&r->time, iso),
		.status = r->status,
		.bytes = r->bytes,
		.first_byte = r->first_byte != 0 ? r->first_byte - r->begin : 0,
		.total = r->end - r->begin,
		.connect = r->connect,
	};
	const struct template_source from = {all->h1->facts, NULL, &exchange, r->number,
					     all->format->place};

	template_put(&all->format->pool, &all->format->line, &from, out);
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
static void give_up(struct exchanges *all)
{
	all->sink->lost(all->owner);
	all->format = NULL;
}

/* What a request says of itself. */
struct told {
	struct span line, referer, agent, host;
	const struct h1_head *head; /* NULL: it could not be read */
};

static void add(struct exchanges *all, const struct told *told, bool refused)
{
	size_t room = told->line.len + told->referer.len + told->agent.len + told->host.len;
	struct exchange *r;
	char *p;

	if (room > TEXTS_MAX)
		room = TEXTS_MAX;
	r = calloc(1, sizeof *r + room);
	if (!r) {
		give_up(all);
		return;
	}
	r->number = all->h1->requests + 1;
	if (all->format->traces) {
		struct out id = out_of(r->trace_id, TRACE_ID_LEN);

		trace_put_id(all->h1->facts, told->head, r->number, &id);
	}
	r->begin = now();
	clock_gettime(CLOCK_REALTIME, &r->time);
	r->refused = refused;
	p = r->text;
	p += r->line_len = keep(p, told->line, TEMPLATE_REQUEST_MAX);
	p += r->referer_len = keep(p, told->referer, TEMPLATE_REFERER_MAX);
	p += r->agent_len = keep(p, told->agent, TEMPLATE_AGENT_MAX);
	r->host_len = keep(p, told->host, TEMPLATE_HOST_MAX);
	*all->last = r;
	all->last = &r->next;
}

static void on_request(void *owner, struct span line, const struct h1_head *head)
{
	const struct exchanges *all = owner;
	struct told told = {.line = line, .head = head};

	if (!all->format)
		return;
	for (size_t i = head ? head->count : 0; i-- > 0;) {
		const struct h1_field *field = &head->field[i];

		if (field->id == HTTP_HOST_FIELD)
			told.host = field->value;
		else if (field->id == HTTP_OTHER && http_equal(field->name, SPAN("Referer")))
			told.referer = field->value;
		else if (field->id == HTTP_OTHER && http_equal(field->name, SPAN("User-Agent")))
			told.agent = field->value;
	}
	add(owner, &told, !head);
}

static void on_response(void *owner, int status)
{
	struct exchange *r = ((struct exchanges *)owner)->first;

	if (!r)
		return;
	r->status = status;
	r->first_byte = now();
}

/* Writes the line of the oldest request, and lets it go. */
static void finish_first(struct exchanges *all)
{
	struct exchange *r = all->first;

	r->end = now();
	if (!r->refused) { /* those behind it find the connection open */
		r->connect = all->back.connect;
		all->back.connect = 0;
	}
	if (all->format)
		all->sink->done(all->owner, all, r);
	all->first = r->next;
	if (!all->first)
		all->last = &all->first;
	free(r);
}

static void on_done(void *owner, uint64_t bytes)
{
	struct exchanges *all = owner;

	if (!all->first)
		return;
	all->first->bytes = bytes;
	finish_first(all);
}

void exchange_begin(struct exchanges *all, const struct exchange_format *format,
		    const struct exchange_sink *sink, void *owner, struct h1 *h1,
		    struct span service)
{
	static const struct h1_watch watch = {on_request, on_response, on_done};

	*all = (struct exchanges){.format = format,
				  .h1 = h1,
				  .sink = sink,
				  .owner = owner,
				  .service = service,
				  .back = all->back};
	if (all->service.len > TEMPLATE_SERVICE_MAX)
		all->service.len = TEMPLATE_SERVICE_MAX;
	all->last = &all->first;
	h1->watch = &watch;
	h1->watch_owner = all;
}

void exchange_connecting(struct exchanges *all)
{
	all->back = (struct exchange_back){.since = now()};
}

void exchange_connected(struct exchanges *all, struct span address)
{
	struct exchange_back *back = &all->back;

	back->len = keep(back->text, address, sizeof back->text);
	back->connect = back->since != 0 ? now() - back->since : 0;
}

void exchange_reused(struct exchanges *all, struct span address)
{
	all->back.since = 0;
	exchange_connected(all, address);
}

void exchange_answer(struct exchanges *all, enum error error)
{
	if (!all->format)
		return;
	if (!all->first) { /* a head that did not come to its end */
		const struct told nothing = {0};

		add(all, &nothing, true);
	}
	if (!all->first)
		return;
	on_response(all, errors_info[error].status);
	on_done(all, h1_answers_head(all->h1) ? 0 : http_error_length(error));
}

void exchange_end(struct exchanges *all)
{
	if (all->first && all->first->status != 0)
		all->first->bytes = all->h1->response_bytes;
	while (all->first)
		finish_first(all);
}
