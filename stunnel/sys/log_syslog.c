/* SPDX-License-Identifier: ISC */
#include "sys/log_syslog.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_MAX 65536 /* Linux queues some ten datagrams a socket: bursts need more */
#define HEAD_MAX 256	/* priority, date and name in front of a line */

static int fd = -1;
static bool wanted;
static bool stream; /* /dev/log is a stream socket: each record ends with a zero byte */
static char *name;
static int facility;

enum outcome { SENT, FULL, BROKEN };

/* Records: a uint32_t length, then so many bytes, the last one zero. Of the first record
 * sent_of_first bytes are sent. */
static char queue[QUEUE_MAX];
static size_t queued, sent_of_first;
static unsigned long lost;

static bool open_socket(int type)
{
	const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};

	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
		stream = type == SOCK_STREAM;
		return true;
	}
	close(fd);
	fd = -1;
	return false;
}

static bool connect_anew(void)
{
	if (fd >= 0)
		close(fd);
	fd = -1;
	sent_of_first = 0;
	return open_socket(SOCK_DGRAM) || (errno == EPROTOTYPE && open_socket(SOCK_STREAM));
}

/* Tried once a second at most, since each line fails while no syslog daemon listens. */
static bool reconnect(void)
{
	static time_t tried;
	time_t now = time(NULL);

	if (tried == now)
		return false;
	tried = now;
	return connect_anew();
}

/* Sends a record, whose zero byte is for stream sockets only; continues at sent_of_first. */
static enum outcome send_record(const char *p, size_t len)
{
	size_t end = stream ? len : len - 1;
	ssize_t n;

	if (fd < 0)
		return BROKEN;
	while (sent_of_first < end) {
		n = send(fd, p + sent_of_first, end - sent_of_first, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n >= 0)
			sent_of_first += (size_t)n;
		else if (errno == EAGAIN || errno == ENOBUFS)
			return FULL;
		else if (errno == EMSGSIZE) /* such a line could never be sent: it is dropped */
			break;
		else if (errno != EINTR)
			return BROKEN;
	}
	sent_of_first = 0;
	return SENT;
}

/* A syslog daemon that was restarted has a new socket at /dev/log. */
static enum outcome send_or_reconnect(const char *p, size_t len)
{
	enum outcome outcome = send_record(p, len);

	return outcome == BROKEN && reconnect() ? send_record(p, len) : outcome;
}

bool log_syslog_flush(void)
{
	enum outcome outcome = SENT;
	size_t at = 0;
	uint32_t len;

	while (at < queued) {
		memcpy(&len, queue + at, sizeof len);
		outcome = send_or_reconnect(queue + at + sizeof len, len);
		if (outcome != SENT)
			break;
		at += sizeof len + len;
	}
	queued -= at;
	if (at != 0)
		memmove(queue, queue + at, queued);
	return outcome == FULL;
}

static bool enqueue(int level, const char *text)
{
	char head[HEAD_MAX], date[32] = "";
	time_t now = time(NULL);
	size_t head_len, text_len = strlen(text);
	struct tm tm;
	uint32_t len;
	int n;

	if (localtime_r(&now, &tm))
		strftime(date, sizeof date, "%b %e %H:%M:%S", &tm);
	n = snprintf(head, sizeof head, "<%d>%s %s: ", facility | level, date, name);
	head_len = n < 0 ? 0 : (size_t)n < sizeof head ? (size_t)n : sizeof head - 1;
	len = (uint32_t)(head_len + text_len + 1);
	if (text_len > QUEUE_MAX || sizeof len + len > QUEUE_MAX - queued)
		return false;
	memcpy(queue + queued, &len, sizeof len);
	memcpy(queue + queued + sizeof len, head, head_len);
	memcpy(queue + queued + sizeof len + head_len, text, len - head_len);
	queued += sizeof len + len;
	return true;
}

static bool tell_losses(void)
{
	char text[64];

	if (lost == 0)
		return true;
	snprintf(text, sizeof text, "%lu log line(s) lost", lost);
	if (!enqueue(LOG_WARNING, text))
		return false;
	lost = 0;
	return true;
}

void log_syslog_send(int level, const char *text)
{
	if (!wanted)
		return;
	log_syslog_flush();
	if (!tell_losses() || !enqueue(level, text))
		lost++;
	log_syslog_flush();
}

void log_syslog_open(const char *ident, int where)
{
	log_syslog_close();
	name = strdup(ident ? ident : "");
	if (!name)
		return;
	wanted = true;
	facility = where;
	connect_anew();
}

void log_syslog_close(void)
{
	log_syslog_flush();
	if (fd >= 0)
		close(fd);
	fd = -1;
	free(name);
	name = NULL;
	wanted = false;
}

void log_syslog_forked(void)
{
	queued = 0;
	lost = 0;
	if (wanted)
		connect_anew();
}
