/* SPDX-License-Identifier: ISC */
#include "forward_connection.h"
#include "forward_stock.h"

#ifndef USE_WIN32

/*
 * Opened for each line, the file may be rotated at any time, and is not inherited by programs that
 * sections start. O_APPEND needs no lock between threads or processes.
 */
static bool append(struct forward_options *o, struct span line)
{
	int fd = open(o->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		      0640);
	ssize_t n;

	if (fd < 0)
		return false;
	/* A newline ends a line that a full disk has cut. */
	if (atomic_load(&o->log_cut) && write(fd, "\n", 1) == 1)
		atomic_store(&o->log_cut, false);
	n = write(fd, line.p, line.len);
	if (n > 0 && (size_t)n < line.len) {
		atomic_store(&o->log_cut, true);
		errno = ENOSPC;
	}
	close(fd);
	return n == (ssize_t)line.len;
}

/* Logs the first failure, and once a line is written again how many were lost. */
static void append_and_tell(struct forward_options *o, struct span line)
{
	unsigned long lost;

	if (!append(o, line)) {
		int error = errno;

		if (atomic_fetch_add(&o->log_lost, 1) == 0)
			s_log(LOG_ERR, "Cannot write access log: %s: %s (%d)", o->log,
			      strerror(error), error);
		return;
	}
	if (atomic_load(&o->log_lost) == 0)
		return;
	lost = atomic_exchange(&o->log_lost, 0);
	s_log(LOG_NOTICE, "Access log is written again: %s: %lu line(s) lost", o->log, lost);
}

static void write_line(void *owner, struct exchanges *all, const struct exchange *exchange)
{
	struct forward_options *o = owner;
	size_t cap = exchange_line_max(&o->log_format) + 1;
	struct out out = out_of(str_alloc(cap), cap); /* a thread's stack is too small */
	bool to_syslog = !strcasecmp(o->log, "syslog");

	exchange_put(all, exchange, &out);
	out_char(&out, to_syslog ? '\0' : '\n');
	if (to_syslog)
		syslog(LOG_INFO, "%s", out.p);
	else
		append_and_tell(o, out_span(&out));
	str_free(out.p);
}

/* Stock has connected long before; how long that took it does not tell. */
static void tell_backend(CLI *c)
{
	SOCKADDR_UNION addr;
	socklen_t len = sizeof addr;
	char *text;

	if (!c->remote_fd.is_socket || getpeername(c->remote_fd.fd, &addr.sa, &len) ||
	    len <= sizeof addr.sa.sa_family) /* a program has no address */
		return;
	text = s_ntop(&addr, len);
	exchange_connected(&c->forward->exchanges, span_of(text, strlen(text)));
	str_free(text);
}

static void say_lost(void *owner)
{
	(void)owner;
	s_log(LOG_ERR, "Out of memory: access log lines are lost");
}

#endif

void forward_log_begin(CLI *c)
{
#ifndef USE_WIN32
	static const struct exchange_sink sink = {write_line, say_lost};
	struct forward_options *o = c->opt->forward;
	struct forward *f = c->forward;

	if (!o->log[0])
		return;
	exchange_begin(&f->exchanges, &o->log_format, &sink, o, &f->h1,
		       span_of(c->opt->servname, strlen(c->opt->servname)));
	tell_backend(c);
#else
	(void)c;
#endif
}
