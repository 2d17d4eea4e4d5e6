/* SPDX-License-Identifier: ISC */
/* A loop for TCP and one for UDP; what both do is in functions of their own. */
#include "common.h"
#include "prototypes.h"

static void transfer_tcp(CLI *);
static void transfer_udp(CLI *);

static void shake_hands(CLI *one)
{
	int done = one->opt->option.client ? SSL_connect(one->ssl) : SSL_accept(one->ssl);

	if (done <= 0 && s_poll_wait(one->fds, one->opt->timeout_busy, 0) < 0)
		throw_exception(one, 1);
}

static void serve(CLI *one)
{
	if (one->opt->protocol_late && !one->redirected)
		one->opt->protocol_late(one);
	if (one->opt->kind == SOCK_DGRAM)
		transfer_udp(one);
	else
		transfer_tcp(one);
	if (one->remote_fd.fd != INVALID_SOCKET) {
		leave(one->remote_fd.fd);
		one->remote_fd.fd = INVALID_SOCKET;
	}
	s_poll_free(one->fds);
}

static void transfer_tcp(CLI *one)
{
	int idle = 0, want = 0, n;

	do {
		want |= !(SSL_get_shutdown(one->ssl) & SSL_RECEIVED_SHUTDOWN) &&
			one->ssl_ptr < BUFFSIZE;
		if (SSL_get_shutdown(one->ssl) != (SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN))
			ask(one, want && !SSL_pending(one->ssl));
		if (s_poll_wait(one->fds, one->opt->timeout_idle, 0) < 0)
			throw_exception(one, 1);
		look_for_errors(one);
		n = writesocket(one->sock_wfd->fd, one->ssl_buff, one->ssl_ptr);
		if (n < 0)
			throw_exception(one, 1);
		n = readsocket(one->sock_rfd->fd, one->sock_buff, BUFFSIZE - one->sock_ptr);
		if (n < 0)
			throw_exception(one, 1);
		n = SSL_read(one->ssl, one->ssl_buff + one->ssl_ptr, BUFFSIZE - one->ssl_ptr);
		if (n == 0)
			say_goodbye(one);
		if (++idle > 100)
			throw_exception(one, 1);
	} while (!(SSL_get_shutdown(one->ssl) & SSL_SENT_SHUTDOWN));
}

static void say_goodbye(CLI *one)
{
	if (SSL_shutdown(one->ssl) < 0)
		throw_exception(one, 1);
}

static void transfer_udp(CLI *one)
{
	int idle = 0, n;

	do {
		if (s_poll_wait(one->fds, one->opt->timeout_idle, 0) < 0)
			throw_exception(one, 1);
		n = readsocket(one->sock_rfd->fd, one->sock_buff, BUFFSIZE);
		if (n < 0)
			throw_exception(one, 1);
		if (one->ssl_ptr < BUFFSIZE && SSL_pending(one->ssl))
			n = SSL_read(one->ssl, one->ssl_buff, BUFFSIZE);
		if (++idle > 100)
			throw_exception(one, 1);
	} while (!(SSL_get_shutdown(one->ssl) & SSL_SENT_SHUTDOWN));
}

static void look_for_errors(CLI *one)
{
	look_for_error(one, one->sock_rfd->fd, "plain");
	look_for_error(one, one->ssl_rfd->fd, "TLS");
}

static void look_for_error(CLI *one, SOCKET fd, const char *which)
{
	if (s_poll_err(one->fds, fd)) {
		int failed = get_socket_error(fd);

		if (failed)
			tell(failed, which);
	}
}
