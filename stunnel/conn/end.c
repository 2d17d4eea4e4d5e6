/* SPDX-License-Identifier: ISC */
#include "conn/end.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/net.h"

static ssize_t plain_result(ssize_t n, const char *call, char why[static TLS_WHY_MAX])
{
	if (n >= 0)
		return n;
	if (n == -EAGAIN || n == -EWOULDBLOCK)
		return TLS_AGAIN;
	snprintf(why, TLS_WHY_MAX, "%s: %s (%d)", call, strerror((int)-n), (int)-n);
	return TLS_FAILED;
}

ssize_t end_read(struct end *e, char *p, size_t len, char why[static TLS_WHY_MAX])
{
	ssize_t n;

	if (e->tls)
		return tls_read(e->tls, p, len, why);
	n = net_read(e->fd, p, len);
	if (n == -ECONNRESET && e->program)
		n = 0;
	return plain_result(n, "readsocket", why);
}

ssize_t end_write(struct end *e, const char *p, size_t len, char why[static TLS_WHY_MAX])
{
	ssize_t n;

	if (e->tls)
		return tls_write(e->tls, p, len, why);
	n = net_write(e->out, p, len);
	if ((n == -EPIPE || n == -ECONNRESET || n == -EIO) && e->program)
		n = (ssize_t)len; /* nobody will read that any more; what it has said goes on */
	return plain_result(n, "writesocket", why);
}

int end_flush(struct end *e, char why[static TLS_WHY_MAX])
{
	return e->tls ? tls_flush(e->tls, why) : 1;
}

bool end_shutdown(struct end *e)
{
	if (e->tls)
		return tls_shutdown(e->tls) != TLS_AGAIN;
	net_shutdown(e->fd, e->out);
	return true;
}

void end_make_plain(struct end *e)
{
	tls_free(e->tls);
	free(e->tls);
	e->tls = NULL;
}

/*
 * Only a peer that got all bytes may see a clean end: close_notify (RFC 8446 6.1), or a plain FIN,
 * which ends an upload. Cut, TLS goes without close_notify, so that what was sent still arrives,
 * and a plain socket with a reset. After an alert of ours a reset could overtake the alert.
 */
void end_close(struct end *e, enum end_close how)
{
	bool reset = how == END_RESET || (how == END_CUT && !e->tls);

	if (e->tls) {
		reset &= e->tls->state != TLS_DEAD;
		if (how == END_WHOLE)
			tls_shutdown(e->tls);
		end_make_plain(e);
	}
	if (e->out >= 0 && e->out != e->fd)
		net_close(e->out, reset);
	if (e->fd >= 0)
		net_close(e->fd, reset);
	*e = end_of(-1);
}
