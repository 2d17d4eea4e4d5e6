/* SPDX-License-Identifier: ISC */
#include "metrics/figures.h"

#include <stdio.h>
#include <string.h>

#include "conn/backends.h"
#include "sys/shared.h"
#include "tls/library.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

/* The values of a label. */
struct axis {
	const char *key;
	const char *const *name; /* NULL: what other ones are counted as */
	size_t count;
};

struct figure {
	const char *name, *type, *help;
	void (*write)(const struct figures *f, const struct figure *row,
		      const struct figures_writer *writer, void *owner);
	size_t offset;		 /* of its counters in struct tally or struct tally_daemon */
	struct axis outer, axis; /* without a key: there is only one */
	bool sparse;		 /* what has not happened is left out */
};

static const char *const rejections[] = {"limit",   "per-ip", "resources",
					 "libwrap", "ident",  "proxy-header"};
static const char *const classes[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
static const char *const ways[] = {"to_backend", "to_client"};
static const char *const no_yes[] = {"no", "yes"};
static const char *const handshake_failures[] = {"timeout", "closed", "plain", "other",
#define X(code, name) "received_" #name,
						 TALLY_ALERTS(X)
#undef X
#define X(code, name) "sent_" #name,
							 TALLY_ALERTS(X)
#undef X
};
static const char *const tickets[] = {"issued", "used", "refused"};
static const char *const lookups[] = {"hit", "miss"};
static const char *const purposes[] = {"peer", "staple"};
static const char *const verdicts[] = {"inconclusive", "good", "revoked"};
static const char *const failures[] = {"refused", "timeout", "other"};
static const char *const reload_results[] = {"success", "failure"};
#define X(id, name, status, source, text) name,
static const char *const errors[] = {ERRORS(X)}; /* from the one behind ERR_NONE on */
#undef X

_Static_assert(sizeof rejections / sizeof rejections[0] == TALLY_REJECTIONS, "a name for each");
_Static_assert(sizeof classes / sizeof classes[0] == TALLY_CLASSES, "a name for each");
_Static_assert(sizeof ways / sizeof ways[0] == TALLY_WAYS, "a name for each");
_Static_assert(sizeof handshake_failures / sizeof handshake_failures[0] == TALLY_HANDSHAKE_FAILURES,
	       "a name for each");
_Static_assert(sizeof tickets / sizeof tickets[0] == TALLY_TICKETS, "a name for each");
_Static_assert(sizeof lookups / sizeof lookups[0] == TALLY_CACHES, "a name for each");
_Static_assert(sizeof purposes / sizeof purposes[0] == TALLY_OCSPS, "a name for each");
_Static_assert(sizeof verdicts / sizeof verdicts[0] == TALLY_VERDICTS, "a name for each");
_Static_assert(sizeof failures / sizeof failures[0] == TALLY_CONNECT_FAILURES, "a name for each");

/* --- ways to write a row ---------------------------------------------------------------------- */

static void put_label(struct figures_sample *s, const struct axis *axis, size_t i)
{
	if (!axis->key)
		return;
	s->label[s->labels].key = axis->key;
	s->label[s->labels++].value = axis->name[i] ? axis->name[i] : "other";
}

static struct figures_sample of_service(const struct figures *f, size_t service)
{
	return (struct figures_sample){
		.suffix = "", .label = {{"service", f->service[service].label}}, .labels = 1};
}

static size_t values(const struct axis *axis)
{
	return axis->key ? axis->count : 1;
}

static void write_counters(const struct figures *f, const struct figure *row,
			   const struct figures_writer *writer, void *owner)
{
	size_t inner = values(&row->axis), all = values(&row->outer) * inner;

	for (size_t service = 0; service < f->count; service++)
		for (size_t i = 0; i < all; i++) {
			struct figures_sample s = of_service(f, service);

			s.value = tally_sum(f->service[service].tallies,
					    row->offset + i * sizeof(tally_counter));
			put_label(&s, &row->axis, i % inner);
			put_label(&s, &row->outer, i / inner);
			if (s.value != 0 || !row->sparse)
				writer->sample(owner, row->name, &s);
		}
}

/* Numbers of times, and their sum, as those of struct tally_times. */
struct times {
	uint64_t bucket[TALLY_BUCKETS + 1], sum;
};

/* The buckets, each with those of shorter times, as Prometheus has them. whose: their labels. */
static void write_histogram(const struct figures_sample *whose, const struct times *times,
			    const char *name, const struct figures_writer *writer, void *owner)
{
	struct figures_sample s = *whose;
	uint64_t count = 0;
	char bound[16];

	s.suffix = "_bucket";
	s.label[s.labels++].key = "le";
	for (size_t i = 0; i <= TALLY_BUCKETS; i++) {
		if (i < TALLY_BUCKETS)
			snprintf(bound, sizeof bound, "%g", tally_bounds[i] / 1000.0);
		count += times->bucket[i];
		s.label[whose->labels].value = i < TALLY_BUCKETS ? bound : "+Inf";
		s.value = count;
		writer->sample(owner, name, &s);
	}
	s = *whose;
	s.suffix = "_count";
	s.value = count;
	writer->sample(owner, name, &s);
	s.suffix = "_sum";
	s.value = times->sum;
	s.decimals = 3;
	writer->sample(owner, name, &s);
}

static void write_times(const struct figures *f, const struct figure *row,
			const struct figures_writer *writer, void *owner)
{
	for (size_t service = 0; service < f->count; service++) {
		const struct tallies *all = f->service[service].tallies;
		const struct figures_sample s = of_service(f, service);
		size_t at = row->offset + offsetof(struct tally_times, bucket);
		struct times times;

		for (size_t i = 0; i <= TALLY_BUCKETS; i++)
			times.bucket[i] = tally_sum(all, at + i * sizeof(tally_counter));
		times.sum = tally_sum(all, row->offset + offsetof(struct tally_times, sum));
		write_histogram(&s, &times, row->name, writer, owner);
	}
}

/* What is called for each address that is told apart, with what is at the row's offset. */
typedef void write_backend(const struct figures_sample *whose, const void *found, const char *name,
			   const struct figures_writer *writer, void *owner);

static void write_backends(const struct figures *f, const struct figure *row,
			   const struct figures_writer *writer, void *owner, write_backend *write)
{
	for (size_t service = 0; service < f->count; service++) {
		const struct backends *all = f->service[service].backends;

		for (size_t i = 0; all && i < BACKENDS_MAX; i++) {
			struct figures_sample s = of_service(f, service);
			char text[NET_TEXT_MAX];

			/* Whoever has taken over a worker could have written over its end. */
			snprintf(text, sizeof text, "%.*s", NET_TEXT_MAX - 1, all->of[i].text);
			s.label[s.labels].key = "target";
			s.label[s.labels++].value = text;
			if (all->of[i].used)
				write(&s, (const char *)&all->of[i] + row->offset, row->name,
				      writer, owner);
		}
	}
}

static void write_backend_counter(const struct figures_sample *whose, const void *found,
				  const char *name, const struct figures_writer *writer,
				  void *owner)
{
	struct figures_sample s = *whose;

	s.value = atomic_load((const tally_counter *)found);
	writer->sample(owner, name, &s);
}

static void write_backend_times(const struct figures_sample *whose, const void *found,
				const char *name, const struct figures_writer *writer, void *owner)
{
	const struct tally_times *counted = found;
	struct times times = {.sum = atomic_load(&counted->sum)};

	for (size_t i = 0; i <= TALLY_BUCKETS; i++)
		times.bucket[i] = atomic_load(&counted->bucket[i]);
	write_histogram(whose, &times, name, writer, owner);
}

static void write_targets(const struct figures *f, const struct figure *row,
			  const struct figures_writer *writer, void *owner)
{
	write_backends(f, row, writer, owner, write_backend_counter);
}

static void write_target_times(const struct figures *f, const struct figure *row,
			       const struct figures_writer *writer, void *owner)
{
	write_backends(f, row, writer, owner, write_backend_times);
}

/* What the board counts now, in the row's column of each service. */
static void write_board(const struct figures *f, const struct figure *row,
			const struct figures_writer *writer, void *owner)
{
	for (size_t service = 0; service < f->count; service++) {
		struct figures_sample s = of_service(f, service);

		s.value = board_sum(f->board, board_column(service) + row->offset);
		writer->sample(owner, row->name, &s);
	}
}

/* A time of each service that has one. */
static void write_moments(const struct figures *f, const struct figure *row,
			  const struct figures_writer *writer, void *owner,
			  int64_t (*moment)(const struct tallies *all))
{
	for (size_t service = 0; service < f->count; service++) {
		struct figures_sample s = of_service(f, service);

		s.value = (uint64_t)moment(f->service[service].tallies);
		if (s.value != 0)
			writer->sample(owner, row->name, &s);
	}
}

static void write_expiry(const struct figures *f, const struct figure *row,
			 const struct figures_writer *writer, void *owner)
{
	write_moments(f, row, writer, owner, tally_expiry);
}

static int64_t stapled_since(const struct tallies *all)
{
	return tally_stapled(all).since;
}

static int64_t stapled_until(const struct tallies *all)
{
	return tally_stapled(all).until;
}

static void write_since(const struct figures *f, const struct figure *row,
			const struct figures_writer *writer, void *owner)
{
	write_moments(f, row, writer, owner, stapled_since);
}

static void write_until(const struct figures *f, const struct figure *row,
			const struct figures_writer *writer, void *owner)
{
	write_moments(f, row, writer, owner, stapled_until);
}

static void write_daemon(const struct figures *f, const struct figure *row,
			 const struct figures_writer *writer, void *owner)
{
	const char *first = (const char *)f->daemon + row->offset;

	for (size_t i = 0; i < values(&row->axis); i++) {
		const tally_counter *counter = (const void *)(first + i * sizeof *counter);
		struct figures_sample s = {.suffix = "", .value = atomic_load(counter)};

		put_label(&s, &row->axis, i);
		writer->sample(owner, row->name, &s);
	}
}

static void write_build(const struct figures *f, const struct figure *row,
			const struct figures_writer *writer, void *owner)
{
	const struct figures_sample s = {
		.suffix = "",
		.label = {{"version", PACKAGE_VERSION}, {"openssl", tls_library_running_with()}},
		.labels = 2,
		.value = 1,
	};

	(void)f;
	writer->sample(owner, row->name, &s);
}

/* --- the table -------------------------------------------------------------------------------- */

#define AXIS(label, names, number)                           \
	{                                                    \
		.key = label, .name = names, .count = number \
	}
#define ALL_OF(label, names) AXIS(label, names, sizeof names / sizeof names[0])
#define DAEMON(row_name, row_type, member, row_help, ...)                                    \
	{                                                                                    \
		.name = row_name, .type = row_type, .help = row_help, .write = write_daemon, \
		.offset = offsetof(struct tally_daemon, member), __VA_ARGS__                 \
	}
#define COUNTER(row_name, member, row_help, ...)                                                \
	{                                                                                       \
		.name = row_name, .type = "counter", .help = row_help, .write = write_counters, \
		.offset = offsetof(struct tally, member), __VA_ARGS__                           \
	}
#define TIMES(row_name, member, row_help)                                                      \
	{                                                                                      \
		.name = row_name, .type = "histogram", .help = row_help, .write = write_times, \
		.offset = offsetof(struct tally, member)                                       \
	}
#define BOARD(row_name, of_service, row_help)                                              \
	{                                                                                  \
		.name = row_name, .type = "gauge", .help = row_help, .write = write_board, \
		.offset = of_service                                                       \
	}
#define TARGET(row_name, row_type, member, writes, row_help)                           \
	{                                                                              \
		.name = row_name, .type = row_type, .help = row_help, .write = writes, \
		.offset = offsetof(struct backend, member)                             \
	}
#define GAUGE(row_name, writes, row_help)                                            \
	{                                                                            \
		.name = row_name, .type = "gauge", .help = row_help, .write = writes \
	}

/* clang-format off: one row a line, so that it reads as the table that it is */
static const struct figure table[] = {
	GAUGE("stunnel_build_info", write_build, "Always 1, with the release and OpenSSL's."),
	DAEMON("stunnel_start_time_seconds", "gauge", started, "When the daemon started."),
	DAEMON("stunnel_reloads_total", "counter", reloads, "Configurations read again on SIGHUP.",
	       .axis = ALL_OF("result", reload_results)),
	DAEMON("stunnel_respawns_total", "counter", respawns, "Processes that had to be replaced."),
	DAEMON("stunnel_upgrades_total", "counter", upgrades, "New programs that took over."),
	BOARD("stunnel_connections", BOARD_CONNECTIONS, "Connections that are open."),
	BOARD("stunnel_backend_connections_idle", BOARD_SPARES,
	      "Connections to backends that wait for requests of any client."),
	GAUGE("stunnel_certificate_expiry_timestamp_seconds", write_expiry,
	      "When the first of the service's certificates expires."),
	COUNTER("stunnel_connections_total", accepted, "Connections that were accepted."),
	COUNTER("stunnel_connections_rejected_total", rejected,
		"Accepted connections that were not served.", .axis = ALL_OF("reason", rejections)),
	COUNTER("stunnel_accept_waits_total", waits,
		"Times that a worker let clients wait for maxHandshakesPerSecond."),
	COUNTER("stunnel_bytes_total", bytes, "Bytes that were forwarded, without TLS.",
		.axis = ALL_OF("direction", ways)),
	COUNTER("stunnel_handshakes_total", handshakes, "TLS handshakes that succeeded.",
		.axis = ALL_OF("version", tally_versions), .outer = ALL_OF("resumed", no_yes)),
	COUNTER("stunnel_handshake_ciphers_total", ciphers, "The same by cipher suite.",
		.axis = ALL_OF("cipher", tally_ciphers), .sparse = true),
	COUNTER("stunnel_handshake_groups_total", groups, "The same by group of the key exchange.",
		.axis = ALL_OF("group", tally_groups), .sparse = true),
	COUNTER("stunnel_handshake_failures_total", handshake_failures,
		"TLS handshakes that failed, by the alert if there was one.",
		.axis = ALL_OF("reason", handshake_failures), .sparse = true),
	TIMES("stunnel_handshake_seconds", handshake_times, "How long they took."),
	COUNTER("stunnel_session_tickets_total", tickets,
		"Session tickets, and what became of them.", .axis = ALL_OF("result", tickets)),
	COUNTER("stunnel_session_cache_total", cache, "Looks into the cache of sessions.",
		.axis = ALL_OF("result", lookups)),
	COUNTER("stunnel_ocsp_answers_total", ocsp,
		"What came of asking OCSP responders about peers, or for a staple.",
		.axis = ALL_OF("verdict", verdicts), .outer = ALL_OF("purpose", purposes)),
	GAUGE("stunnel_ocsp_staple_timestamp_seconds", write_since,
	      "When the service's staple was fetched that is the first to end."),
	GAUGE("stunnel_ocsp_staple_expiry_timestamp_seconds", write_until, "When that one ends."),
	COUNTER("stunnel_requests_total", requests, "HTTP requests by the class of the answer.",
		.axis = ALL_OF("class", classes)),
	COUNTER("stunnel_refused_total", errors[ERR_NONE + 1],
		"Requests and answers that were refused.",
		.axis = AXIS("error", errors, ERR_MENDED_FIRST - 1), .sparse = true),
	COUNTER("stunnel_mended_total", errors[ERR_MENDED_FIRST], "Answers that were mended.",
		.axis = AXIS("error", errors + ERR_MENDED_FIRST - 1, ERR_COUNT - ERR_MENDED_FIRST),
		.sparse = true),
	TIMES("stunnel_first_byte_seconds", first_byte_times,
	      "From the head of a request to that of its answer."),
	TIMES("stunnel_request_seconds", total_times, "From the head of a request to its end."),
	COUNTER("stunnel_backend_connections_total", connected, "Connections to backends."),
	COUNTER("stunnel_backend_reuses_total", reused,
		"Requests that went over a connection of earlier clients."),
	COUNTER("stunnel_backend_failures_total", connect_failures,
		"Backends that could not be connected to.", .axis = ALL_OF("reason", failures)),
	TIMES("stunnel_backend_connect_seconds", connect_times, "How long it took to connect."),
	TARGET("stunnel_target_connections_total", "counter", connected, write_targets,
	       "Connections to each address of a service that has several."),
	TARGET("stunnel_target_failures_total", "counter", failed, write_targets,
	       "Connections to it that failed."),
	TARGET("stunnel_target_connect_seconds", "histogram", connect_times, write_target_times,
	       "How long it took to connect to it."),
	TARGET("stunnel_target_first_byte_seconds", "histogram", first_byte_times,
	       write_target_times, "From the head of a request to that of its answer."),
};
/* clang-format on */

static uint64_t add_text(uint64_t layout, const char *text)
{
	return text ? shared_layout(layout, text, strlen(text) + 1) : layout;
}

static uint64_t add_axis(uint64_t layout, const struct axis *axis)
{
	layout = add_text(layout, axis->key);
	for (size_t i = 0; i < values(axis) && axis->key; i++)
		layout = add_text(layout, axis->name[i] ? axis->name[i] : "other");
	return layout;
}

uint64_t figures_layout(void)
{
	const size_t sizes[] = {sizeof(struct tally), sizeof(struct tally_daemon)};
	uint64_t layout = shared_layout(0, sizes, sizeof sizes);

	layout = shared_layout(layout, tally_bounds, sizeof tally_bounds);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		layout = add_text(layout, table[i].name);
		layout = shared_layout(layout, &table[i].offset, sizeof table[i].offset);
		layout = add_axis(layout, &table[i].outer);
		layout = add_axis(layout, &table[i].axis);
	}
	return layout;
}

void figures_write(const struct figures *f, const struct figures_writer *writer, void *owner)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		const struct figure *row = &table[i];

		writer->begin(owner, row->name, row->type, row->help);
		row->write(f, row, writer, owner);
		writer->end(owner);
	}
}
